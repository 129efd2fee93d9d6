import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { createTestDatabase } from './testing/database.ts'
import { type Program, startProgram } from './testing/program.ts'
import { until } from './testing/until.ts'

const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-group-'))
afterAll(() => fs.rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 }))

async function start(env: Record<string, string>): Promise<Program> {
  const program = await startProgram({ DATA_DIR: dataDir, RATE_LIMITS: 'off', LOG_LEVEL: 'warn', ...env })
  onTestFinished(async () => void (await program.end('SIGTERM')))
  return program
}

async function metrics({ url }: Program): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}

/** Over a connection of its own, or that of an agent. */
const visit = (url: string, agent: http.Agent | false = false): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, reply => reply.resume().on('end', resolve))
    request.on('error', reject)
  })

/** Processes whose parent is this one, and that listen for work from it. */
function children(pid: number): number[] {
  const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  const pids = text === '' ? [] : text.split(' ').map(Number)
  return pids.filter(child => fs.readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('cli.ts'))
}

describe('several processes behind one port', () => {
  test('share the embedded database of the first, sum up their metrics, and end together', async () => {
    const program = await start({ WORKERS: '2' })
    expect(children(program.process.pid ?? 0)).toHaveLength(2)
    // The one that is ready first need not be the one that says so.
    await expect.poll(() => program.output()).toContain('Roster is ready')
    // Each request on a connection of its own: they go round.
    const count = 12
    for (let n = 0; n < count; n++) {
      await visit(`${program.url}/health/live`)
    }
    const key = 'http_request_duration_seconds_count{method="GET",route="/health/live",status="200"}'
    for (let n = 0; n < 3; n++) expect((await metrics(program)).get(key)).toBe(count)
    expect(program.output().match(/Roster is ready/g)).toHaveLength(1)
    expect(await program.end('SIGTERM')).toBe(0)
  })

  test('replace one that is killed', async () => {
    const database = await createTestDatabase()
    const program = await start({ WORKERS: '2', DATABASE_URL: database.url })
    const before = children(program.process.pid ?? 0)
    process.kill(before[0] ?? 0, 'SIGKILL')
    const deadline = performance.now() + 15_000
    for (;;) {
      const now = children(program.process.pid ?? 0)
      if (now.length === 2 && !now.includes(before[0] ?? 0)) break
      if (performance.now() > deadline) throw new Error('not replaced')
      await sleep(50)
    }
    expect((await fetch(`${program.url}/health/live`)).status).toBe(200)
    await program.end('SIGTERM')
    await database.drop()
  })

  test('outlive one that is killed while it is asked for its metrics', async () => {
    const database = await createTestDatabase()
    const program = await start({ WORKERS: '2', DATABASE_URL: database.url })
    const pid = program.process.pid ?? 0
    const [killed = 0] = children(pid)
    const agents = [1, 2].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }))
    for (const agent of agents) await visit(`${program.url}/health/live`, agent)
    // When the first process goes on, it finds the questions, and only then that one of those it asks is no more.
    process.kill(pid, 'SIGSTOP')
    const scrapes = Promise.allSettled(agents.map(agent => visit(`${program.url}/metrics`, agent)))
    await sleep(300)
    process.kill(killed, 'SIGKILL')
    await sleep(300)
    process.kill(pid, 'SIGCONT')
    await scrapes
    const answers = () =>
      fetch(`${program.url}/health/live`).then(
        reply => reply.ok,
        () => program.process.exitCode !== null,
      )
    await until(answers)
    expect(await program.end('SIGTERM')).toBe(0)
    await database.drop()
  })

  test('end all, with an error, where none can start', async () => {
    const env = { WORKERS: '2', DATABASE_URL: 'postgres://nobody:wrong@127.0.0.1:1/none' }
    await expect(start({ ...env, ENCRYPTION_KEY: 'short' })).rejects.toThrow('ENCRYPTION_KEY')
  })
})

describe('roles', () => {
  test('a web process leaves background work to a worker, which answers health and metrics alone', async () => {
    const database = await createTestDatabase()
    const web = await start({ ROLE: 'web', DATABASE_URL: database.url })
    const registration = { email: 'roles@example.com', password: 'SecurePass123' }
    const register = (program: Program) =>
      fetch(`${program.url}/api/v1/auth/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(registration),
      })
    expect((await register(web)).status).toBe(201)
    const worker = await start({ ROLE: 'worker', DATABASE_URL: database.url })
    expect((await register(worker)).status).toBe(404)
    expect((await fetch(`${worker.url}/health`)).status).toBe(200)
    const deadline = performance.now() + 5000
    while ((await metrics(worker)).get('events_total{type="user.registered"}') !== 1) {
      if (performance.now() > deadline) throw new Error('the worker did not number the event')
      await sleep(50)
    }
    // An event is counted where it gets its number, once: the other process had left it alone all the while.
    expect((await metrics(web)).get('events_total{type="user.registered"}')).toBeUndefined()
    await Promise.all([web.end('SIGTERM'), worker.end('SIGTERM')])
    await database.drop()
  })
})
