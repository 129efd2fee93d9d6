import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createPool } from '../../db/store.ts'
import { createMetrics } from '../../http/metrics.ts'
import { createTestDatabase } from '../../testing/database.ts'
import { createTestClock } from '../../testing/harness.ts'
import { createTestServer } from '../../testing/http-server.ts'
import { type Phase, type SystemDeps, systemRoutes } from './index.ts'

async function createSystem(url: string, overrides: Partial<SystemDeps['config']> = {}) {
  const pool = createPool({ url, size: 2, overflow: 1, onError: () => undefined })
  const phase = { current: 'ready' as Phase }
  const undeclared: string[] = []
  const config = { environment: 'development' as const, metricsToken: undefined, ...overrides }
  const metrics = createMetrics()
  const app = createTestServer({
    metrics,
    config: { environment: config.environment },
    onUndeclaredResponse: error => void undeclared.push(error.message),
  })
  systemRoutes(app, {
    config,
    clock: createTestClock(),
    pool,
    metrics,
    version: '1.2.3',
    phase: () => phase.current,
    migrations: async () => ({ applied: 2, pending: [] }),
  })
  onTestFinished(async () => {
    await pool.end()
    expect(undeclared).toEqual([])
  })
  return { app, pool, phase }
}

async function useDatabase(): Promise<string> {
  const database = await createTestDatabase()
  onTestFinished(() => database.drop())
  return database.url
}

/** A port that takes connections and never says a word. */
async function createBlackHole(): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createTcpServer(socket => void sockets.add(socket.on('error', () => undefined)))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  // A TCP server that listens has an address object.
  return `postgres://u:p@127.0.0.1:${(server.address() as AddressInfo).port}/d`
}

const nowhere = 'postgres://u:p@127.0.0.1:1/d'

describe('service information', () => {
  test('is JSON for programs, and a way to pages for browsers', async () => {
    const { app } = await createSystem(nowhere)
    expect((await app.inject('/')).json()).toMatchObject({
      name: 'Roster',
      version: '1.2.3',
      time: '2026-01-31T10:00:00.000Z',
      links: { documentation: '/docs' },
    })
    const browser = await app.inject({ url: '/', headers: { accept: 'text/html,*/*;q=0.8' } })
    expect(browser.statusCode).toBe(302)
    expect(browser.headers).toMatchObject({ location: '/account', vary: 'Accept' })
  })
})

describe('health', () => {
  test('tells each dependency’s state and latency', async () => {
    const { app } = await createSystem(await useDatabase())
    const reply = await app.inject('/health?monitor=1')
    expect(reply.statusCode).toBe(200)
    expect(reply.json()).toMatchObject({
      status: 'ok',
      dependencies: { database: { state: 'up', latency_ms: expect.any(Number) } },
    })
  })

  test('is 503 with Retry-After while the database is away, though the process lives', async () => {
    const { app } = await createSystem(nowhere)
    for (const url of ['/health', '/health/ready']) {
      const reply = await app.inject(url)
      expect(reply.statusCode).toBe(503)
      expect(reply.headers['retry-after']).toBe('5')
      expect(reply.json()).toMatchObject({ dependencies: { database: { state: 'down', latency_ms: null } } })
    }
    expect((await app.inject('/health/live')).json()).toEqual({ status: 'ok' })
  })

  test.each(['starting', 'draining'] as const)('is not ready while %s, but well', async current => {
    const { app, phase } = await createSystem(await useDatabase())
    phase.current = current
    expect((await app.inject('/health/ready')).statusCode).toBe(503)
    expect((await app.inject('/health')).statusCode).toBe(200)
    phase.current = 'ready'
    expect((await app.inject('/health/ready')).statusCode).toBe(200)
  })

  test('answers within about two seconds where the database never answers, and piles nothing up', async () => {
    const { app, pool } = await createSystem(await createBlackHole())
    const start = performance.now()
    const replies = await Promise.all(Array.from({ length: 20 }, () => app.inject('/health/ready')))
    expect(performance.now() - start).toBeLessThan(30_000)
    expect(replies.map(reply => reply.statusCode)).toEqual(Array(20).fill(503))
    expect(pool.totalCount + pool.waitingCount).toBeLessThanOrEqual(2)
  })
})

describe('the database status', () => {
  test('has version, size, pool, migrations and replication', async () => {
    const { app } = await createSystem(await useDatabase())
    const reply = await app.inject('/db/status')
    expect(reply.statusCode).toBe(200)
    expect(reply.json()).toMatchObject({
      version: expect.stringMatching(/^\d+/),
      size_bytes: expect.any(Number),
      pool: { max: 3, waiting: 0 },
      migrations: { applied: 2, pending: [] },
      replication: { is_replica: false, replay_lag_seconds: null, replicas: [] },
    })
  })

  test('is 503 where there is no database', async () => {
    const { app } = await createSystem(nowhere)
    const reply = await app.inject('/db/status')
    expect(reply.statusCode).toBe(503)
    expect(reply.json().code).toBe('database_unavailable')
  })

  test('needs a permission in production', async () => {
    const { app } = await createSystem(nowhere, { environment: 'production' })
    await app.ready()
    const operation = app.swagger() as { paths: Record<string, { get: { security?: unknown } }> } // the plugin's own type is a union of versions
    expect(operation.paths['/db/status']?.get.security).toEqual([{ bearerAuth: [] }])
  })
})

describe('metrics', () => {
  const scrape = (token?: string) => ({
    url: '/metrics',
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  })

  test('are open in development', async () => {
    const { app } = await createSystem(nowhere)
    const reply = await app.inject(scrape())
    expect(reply.headers['content-type']).toMatch(/^text\/plain/)
    expect(reply.body).toContain('process_cpu_seconds_total')
  })

  test('do not exist in production without a token to guard them', async () => {
    const { app } = await createSystem(nowhere, { environment: 'production' })
    expect((await app.inject(scrape('anything'))).statusCode).toBe(404)
  })

  test('take the right token and no other in production', async () => {
    const { app } = await createSystem(nowhere, { environment: 'production', metricsToken: 'right-token' })
    expect((await app.inject(scrape('right-token'))).statusCode).toBe(200)
    expect((await app.inject(scrape())).json().code).toBe('unauthorized')
    for (const wrong of ['right-toke', 'right-token2', 'x', 'RIGHT-TOKEN']) {
      expect((await app.inject(scrape(wrong))).json().code).toBe('invalid_token')
    }
  })
})
