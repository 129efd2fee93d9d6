import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './program.ts'

export type RabbitMq = {
  url: string
  /** Its operating system process, for signals such as SIGSTOP. */
  pid(): number
  /** Ends it at once, as kill -9 or a power cut would. */
  kill(): Promise<void>
  /** Starts it again, with what it had on disk. */
  start(): Promise<void>
  /** Ends it and removes everything. */
  stop(): Promise<void>
}

const program = '/usr/lib/rabbitmq/bin/rabbitmq-server'

/** Whether this machine has RabbitMQ. With CI=true a run without it fails elsewhere. */
export const hasRabbitMq = fs.existsSync(program)

/** A RabbitMQ of a test's own, on 127.0.0.1, in a temporary folder. */
export async function startRabbitMq(): Promise<RabbitMq> {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-rabbitmq-'))
  const [port, distribution, epmd] = [await freePort(), await freePort(), await freePort()]
  fs.writeFileSync(path.join(home, 'rabbitmq.conf'), `listeners.tcp.default = 127.0.0.1:${port}\n`)
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: home,
    ERL_EPMD_PORT: String(epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    // Lets it be ended while it still believes in a node that was killed.
    ERL_EPMD_RELAXED_COMMAND_CHECK: '1',
    RABBITMQ_NODENAME: `roster-${randomBytes(4).toString('hex')}@localhost`,
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_CONFIG_FILE: path.join(home, 'rabbitmq'),
    RABBITMQ_MNESIA_BASE: path.join(home, 'data'),
    RABBITMQ_LOG_BASE: path.join(home, 'log'),
    RABBITMQ_PID_FILE: path.join(home, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: path.join(home, 'plugins'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 2:2 +sbwt none',
  }
  let child: ChildProcess

  async function start(): Promise<void> {
    // It leaves crash dumps where it runs.
    child = spawn(program, [], { cwd: home, env, stdio: 'ignore', detached: true })
    fs.writeFileSync(path.join(home, 'group'), String(child.pid))
    const deadline = performance.now() + 60_000
    while (!(await isAnswering(port))) {
      if (child.exitCode !== null || performance.now() > deadline) throw new Error('RabbitMQ did not start')
      await sleep(200)
    }
  }

  async function kill(): Promise<void> {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    // The group: a shell and the Erlang machine.
    process.kill(-child.pid, 'SIGKILL')
    await ended
  }

  const guard = startGuard(home, epmd)
  async function stop(): Promise<void> {
    const ended = once(guard, 'exit')
    guard.ref()
    guard.stdin?.end()
    await ended
  }

  await start().catch(async error => {
    await stop()
    throw error
  })
  return {
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    pid: () => child.pid ?? 0,
    kill,
    start,
    stop,
  }
}

/** A shell that ends and removes everything once its input ends, which comes with the end of this process. */
function startGuard(home: string, epmd: number): ChildProcess {
  const script = `
    read -r line
    kill -s KILL -- "-$(cat "$0/group")" 2>/dev/null
    ERL_EPMD_PORT=$1 epmd -kill
    rm -rf "$0" || { sleep 1; rm -rf "$0"; }`
  const guard = spawn('/bin/sh', ['-c', script, home, String(epmd)], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.unref()
  return guard
}

/** Whether something greets as AMQP 0-9-1 does. */
function isAnswering(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('AMQP\0\0\x09\x01'))
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => end(false))
    socket.once('data', () => end(true))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}
