import { describe, expect, test } from 'vitest'
import { createTestServer } from '../testing/http-server.ts'
import { createMemoryStore, type RateLimitStore } from './rate-limits.ts'

describe('counts in memory', () => {
  test('begin again when their window ends', async () => {
    const store = createMemoryStore()
    expect(await store.hit('read', 'a', 1000, 0)).toEqual({ count: 1, resetsAt: 1000 })
    expect(await store.hit('read', 'a', 1000, 999)).toEqual({ count: 2, resetsAt: 1000 })
    expect(await store.hit('read', 'a', 1000, 1000)).toEqual({ count: 1, resetsAt: 2000 })
  })

  test('take bounded memory whatever clients come, and forget those that end first', async () => {
    const store = createMemoryStore(100)
    for (let n = 0; n < 10_000; n++) await store.hit('read', `client ${n}`, 1000, n / 100)
    expect(await store.hit('read', 'client 9999', 1000, 100)).toMatchObject({ count: 2 })
    expect(await store.hit('read', 'client 0', 1000, 100)).toMatchObject({ count: 1 })
  })

  test('of one group are not those of another', async () => {
    const store = createMemoryStore()
    await store.hit('read', 'a', 1000, 0)
    expect(await store.hit('login', 'a', 1000, 0)).toMatchObject({ count: 1 })
  })
})

describe('a store that answers later', () => {
  const config = { rateLimits: { read: { max: 1, windowMs: 60_000 } } }

  test('is waited for', async () => {
    const memory = createMemoryStore()
    const rateLimitStore: RateLimitStore = { hit: async (...args) => memory.hit(...args) }
    const app = createTestServer({ config, rateLimitStore })
    expect((await app.inject('/openapi.json')).statusCode).toBe(200)
    expect((await app.inject('/openapi.json')).statusCode).toBe(429)
  })

  test('denies the request where it fails', async () => {
    const app = createTestServer({
      config,
      rateLimitStore: {
        hit: () => Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' })),
      },
    })
    expect((await app.inject('/openapi.json')).statusCode).toBe(503)
  })
})
