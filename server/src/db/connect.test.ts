import { createServer } from 'node:net'
import type pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createEmptyDatabase } from '../testing/database.ts'
import { startProxy } from '../testing/tcp-proxy.ts'
import { checkDatabase, createPatience } from './connect.ts'
import { createNews } from './news.ts'
import { createPool } from './store.ts'

async function database(): Promise<string> {
  const { url, drop } = await createEmptyDatabase()
  onTestFinished(drop)
  return url
}

function poolOf(url: string): pg.Pool {
  const pool = createPool({ url, size: 1, overflow: 0, onError: () => undefined })
  onTestFinished(() => pool.end())
  return pool
}

const waitForDatabase = (pool: pg.Pool, ...rest: Parameters<typeof createPatience>) =>
  createPatience(...rest)(() => checkDatabase(pool))

describe('a start', () => {
  test('goes on when the database answers', async () => {
    await waitForDatabase(poolOf(await database()), () => expect.unreachable())
  })

  test('waits for a database that is not there yet, and says so once', async () => {
    const url = await database()
    const proxy = await startProxy(url)
    proxy.set('refuse')
    const said: string[] = []
    const waiting = waitForDatabase(poolOf(proxy.url), line => {
      said.push(line)
      proxy.set('pass')
    })
    await waiting
    expect(said).toEqual([expect.stringMatching(/^waiting for the database: .+$/)])
  })

  test('gives up after a while, with the reason', async () => {
    const server = createServer()
    const { promise, resolve } = Promise.withResolvers<void>()
    server.listen(0, '127.0.0.1', resolve)
    await promise
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    server.close()
    const pool = poolOf(`postgres://nobody@127.0.0.1:${port}/none`)
    await expect(waitForDatabase(pool, () => undefined, { patience: 600 })).rejects.toThrow(
      /^no database \(DATABASE_URL\): .*ECONNREFUSED/,
    )
  })

  test.each([
    [
      'a wrong password',
      (url: string) => url.replace(/:[^:@/]+@/, ':wrong@'),
      /password authentication failed/,
    ],
    [
      'no such database',
      (url: string) => url.replace(/\/test_[0-9a-f]+/, '/no_such_database'),
      /does not exist/,
    ],
  ])('does not wait where that changes nothing: %s', async (_what, change, reason) => {
    const pool = poolOf(change(await database()))
    const start = performance.now()
    await expect(waitForDatabase(pool, () => undefined)).rejects.toThrow(reason)
    expect(performance.now() - start).toBeLessThan(3000)
  })

  test('refuses a PostgreSQL that is too old', async () => {
    const answer = { rows: [{ server_version: '13.9', number: 130_009 }] }
    // No such server is at hand: a pool that answers as one would is.
    const pool = { query: () => Promise.resolve(answer) } as unknown as pg.Pool
    await expect(waitForDatabase(pool, () => undefined)).rejects.toThrow(
      'PostgreSQL 13.9 is too old: 14 or newer is needed',
    )
  })
})

describe('news between processes', () => {
  test('says when its connection is lost, and when it is current again', async () => {
    const proxy = await startProxy(await database())
    const said: boolean[] = []
    const news = createNews({ url: proxy.url, changed: heard => said.push(heard) })
    let missed = 0
    news.subscribe({
      heard: () => undefined,
      missed: () => {
        missed += 1
      },
    })
    expect(news.isCurrent(performance.now())).toBe(false)
    await news.start()
    expect([news.isCurrent(performance.now()), missed]).toEqual([true, 1])
    proxy.set('swallow')
    await expect.poll(() => news.isCurrent(performance.now())).toBe(false)
    await expect.poll(() => said).toEqual([false])
    proxy.set('pass')
    await expect.poll(() => news.isCurrent(performance.now())).toBe(true)
    await expect.poll(() => [missed, said]).toEqual([2, [false, true]])
    await news.stop()
    expect(news.isCurrent(performance.now())).toBe(false)
  })

  test('that can’t begin fails the start', async () => {
    const proxy = await startProxy(await database())
    proxy.set('refuse')
    const news = createNews({ url: proxy.url, changed: () => undefined })
    await expect(news.start()).rejects.toThrow()
  })
})
