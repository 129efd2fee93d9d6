import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createUserReader } from '../modules/users/index.ts'
import { startTestApp, type TestApp } from '../testing/harness.ts'
import { hasRedis, startRedis, type TestRedis } from '../testing/redis.ts'
import { connectRedis } from './client.ts'
import { createSharedUsers } from './shared-users.ts'

describe.skipIf(!hasRedis)('with Redis', () => {
  let redis: TestRedis
  let roster: TestApp

  beforeAll(async () => {
    redis = await startRedis()
    roster = await startTestApp()
  })

  afterAll(async () => {
    await roster.stop()
    await redis.stop()
  })

  async function startLimited(): Promise<TestApp> {
    const config = { redisUrl: redis.url, rateLimits: { read: { max: 20, windowMs: 60_000 } } }
    const app = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock, config })
    onTestFinished(() => app.stop())
    await sleep(100)
    return app
  }

  /** Statuses of requests one after the other, and milliseconds of the slowest. */
  async function knock(apps: TestApp[], count: number) {
    const statuses: number[] = []
    let slowest = 0
    for (let n = 0; n < count; n++) {
      const start = performance.now()
      const { status } = (await apps[n % apps.length]?.get('/')) ?? { status: 0 }
      slowest = Math.max(slowest, performance.now() - start)
      statuses.push(status)
    }
    return { passed: statuses.filter(status => status === 200).length, slowest }
  }

  async function ask(command: (client: Redis) => Promise<unknown>): Promise<unknown> {
    const client = new Redis(redis.url)
    const answer = await command(client)
    client.disconnect()
    return answer
  }

  describe('request limits', () => {
    test('are one for all processes', async () => {
      await ask(client => client.flushall())
      const apps = [await startLimited(), await startLimited()]
      expect((await knock(apps, 50)).passed).toBe(20)
    })

    test('hold in each process while Redis is frozen, without a stall of a second', async () => {
      const apps = [await startLimited(), await startLimited()]
      await ask(client => client.flushall())
      redis.freeze()
      const { passed, slowest } = await knock(apps, 80)
      redis.thaw()
      expect(passed).toBeGreaterThanOrEqual(20)
      expect(passed).toBeLessThanOrEqual(40)
      expect(slowest).toBeLessThan(1000)
    })

    test('hold while Redis is gone, and are shared again when it is back', async () => {
      const apps = [await startLimited(), await startLimited()]
      await redis.kill()
      const alone = await knock(apps, 80)
      await redis.start()
      expect(alone.passed).toBe(40)
      expect(alone.slowest).toBeLessThan(1000)
      await sleep(2500)
      expect((await knock(apps, 50)).passed).toBe(20)
    })
  })

  describe('cached users', () => {
    const held = 400

    async function startReader(app = roster) {
      const client = connectRedis({
        url: redis.url,
        dependency: { up: () => undefined, down: () => undefined },
      })
      onTestFinished(() => client.stop())
      let reads = 0
      const { store, news, clock } = app.resources
      const counting = { ...store, db: countReads(store.db, () => (reads += 1)) }
      const shared = createSharedUsers(client, held)
      const reader = createUserReader({ store: counting, news, clock, shared })
      await sleep(held + 100)
      return { reader, shared, reads: () => reads }
    }

    const locationIn = (json: string): string => JSON.parse(json).location

    test('are read once for all processes, and dropped at the commit of a change', async () => {
      const [first, second] = [await startReader(), await startReader()]
      await sleep(held)
      const person = await roster.signUp()
      await ask(client => client.flushall())
      await first.reader.readJson(person.id)
      await sleep(20)
      await second.reader.readJson(person.id)
      expect([first.reads(), second.reads()]).toEqual([1, 0])
      await roster.put('/api/v1/users/me', { location: 'Linz' }, person)
      expect(locationIn(await first.reader.readJson(person.id))).toBe('Linz')
      expect(locationIn(await second.reader.readJson(person.id))).toBe('Linz')
    })

    test('what was read before a change is not taken after it', async () => {
      const { shared } = await startReader()
      const readAt = performance.now()
      shared.drop('somebody')
      shared.put('somebody', '1 {"old":true}', readAt)
      await sleep(30)
      expect(await shared.get('somebody')).toBeUndefined()
    })

    test('a change that could not be told to Redis makes what it holds worthless', async () => {
      const [one, other] = [await startReader(), await startReader()]
      await sleep(held)
      await ask(client => client.flushall())
      const person = await roster.signUp()
      await ask(client => client.flushall())
      await one.reader.readJson(person.id)
      redis.freeze()
      await roster.put('/api/v1/users/me', { location: 'Wels' }, person)
      await sleep(200)
      redis.thaw()
      expect(locationIn(await other.reader.readJson(person.id))).toBe('Wels')
      expect(locationIn(await one.reader.readJson(person.id))).toBe('Wels')
    })

    test.each(['stopped', 'frozen', 'flushed'] as const)(
      'with Redis %s under load no read is older than the last change, elsewhere than a second, and none takes one',
      async fault => {
        const elsewhere = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
        onTestFinished(() => elsewhere.stop())
        const readers = [await startReader(), await startReader(elsewhere)]
        await sleep(held)
        const person = await roster.signUp()
        const written: { place: number; at: number }[] = []
        const writtenBefore = (at: number) => written.findLast(one => one.at <= at)?.place ?? -1
        let slowest = 0
        let isOver = false
        const stale: number[] = []
        const reading = readers.map(async ({ reader }, process) => {
          while (!isOver) {
            const start = performance.now()
            const expected = writtenBefore(start - process * 1000)
            const place = Number(locationIn(await reader.readJson(person.id)) ?? -1)
            slowest = Math.max(slowest, performance.now() - start)
            if (place < expected) stale.push(place)
            await sleep(1)
          }
        })
        const writing = (async () => {
          for (let n = 0; n < 100; n++) {
            await roster.put('/api/v1/users/me', { location: String(n) }, person)
            written.push({ place: n, at: performance.now() })
            await sleep(20)
          }
        })()
        await sleep(200)
        if (fault === 'stopped') await redis.kill()
        else if (fault === 'frozen') redis.freeze()
        else for (let n = 0; n < 10; n++) await ask(client => client.flushall())
        await sleep(300)
        if (fault === 'stopped') await redis.start()
        if (fault === 'frozen') redis.thaw()
        await writing
        isOver = true
        await Promise.all(reading)
        expect(stale).toEqual([])
        expect(slowest).toBeLessThan(1000)
      },
    )
  })
})

/** The same connection, telling of each statement. */
function countReads<T extends object>(db: T, count: () => void): T {
  return new Proxy(db, {
    get(target, name) {
      if (name === 'getExecutor') count()
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
