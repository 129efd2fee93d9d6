import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** The service as its users run it: a process of its own. */
export type Program = {
  url: string
  process: ChildProcess
  /** Everything that it has printed. */
  output(): string
  /** Sends a signal and waits for the end. @returns exit code, or null after a signal that killed it */
  end(signal: NodeJS.Signals): Promise<number | null>
}

const cli = new URL('../cli.ts', import.meta.url).pathname

/** Starts `roster serve` on a free port and waits until it is ready. */
export async function startProgram(
  env: Record<string, string>,
  options: { args?: string[] } = {},
): Promise<Program> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [cli, 'serve', ...(options.args ?? [])], {
    env: { PATH, HOME, PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      printed += text
    })
  }
  const ended = once(child, 'exit')
  const program: Program = {
    url,
    process: child,
    output: () => printed,
    async end(signal) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal)
        await ended
      }
      return child.exitCode
    },
  }
  await untilReady(program)
  return program
}

async function untilReady({ url, process: child, output }: Program): Promise<void> {
  const deadline = performance.now() + 60_000
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`the service ended:\n${output()}`)
    const ready = await fetch(`${url}/health/ready`).then(
      reply => reply.ok,
      () => false,
    )
    if (ready) return
    await sleep(50)
  }
  child.kill('SIGKILL')
  throw new Error(`not ready after a minute:\n${output()}`)
}

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
