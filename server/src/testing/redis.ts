import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './program.ts'

export type TestRedis = {
  url: string
  /** SIGSTOP: it keeps its connections and answers nothing. */
  freeze(): void
  thaw(): void
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

const program = '/usr/bin/redis-server'

export const hasRedis = fs.existsSync(program)

/** A Redis of a test's own, on 127.0.0.1, that keeps nothing. */
export async function startRedis(): Promise<TestRedis> {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-redis-'))
  const port = await freePort()
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', home]
  let child = spawn(program, args, { stdio: 'ignore' })

  async function untilUp(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      if (await answers(port)) return
      await sleep(50)
    }
    throw new Error('Redis did not start')
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  await untilUp()
  return {
    url: `redis://127.0.0.1:${port}`,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    kill,
    async start() {
      child = spawn(program, args, { stdio: 'ignore' })
      await untilUp()
    },
    async stop() {
      await kill()
      fs.rmSync(home, { recursive: true, force: true })
    },
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
