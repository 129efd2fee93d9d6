import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createTestDatabase } from '../testing/database.ts'
import { createNews } from './news.ts'
import { mostPlans } from './prepared.ts'
import { createPool, createStore, type Store, sendWithCommit } from './store.ts'

let database: Awaited<ReturnType<typeof createTestDatabase>>
let store: Store

beforeEach(async () => {
  database = await createTestDatabase()
  const pool = createPool({ url: database.url, size: 4, overflow: 0, onError: () => undefined })
  store = createStore(pool, createNews({ url: database.url, changed: () => undefined }))
  await pool.query('create table notes (n integer primary key, text text)')
})
afterEach(async () => {
  await store.pool.end()
  await database.drop()
})

const note = (n: number) => sql`insert into notes (n) values (${n})`
const kept = async () => (await store.pool.query('select n from notes order by n')).rows.map(({ n }) => n)

describe('a write that travels with the commit', () => {
  test('is there when the transaction is done, in the order in which it was sent', async () => {
    await store.transact(async trx => {
      sendWithCommit(trx, note(1))
      sendWithCommit(trx, sql`update notes set n = 7 where n = 1`)
    })
    expect(await kept()).toEqual([7])
  })

  test('is seen by what the transaction reads after it', async () => {
    const seen = await store.transact(async trx => {
      sendWithCommit(trx, note(1))
      return (await sql<{ n: number }>`select n from notes`.execute(trx)).rows
    })
    expect(seen).toEqual([{ n: 1 }])
  })

  test('that fails, fails the transaction with its own error, and nothing of it stays', async () => {
    await expect(
      store.transact(async trx => {
        sendWithCommit(trx, note(1))
        sendWithCommit(trx, note(1))
        sendWithCommit(trx, note(2))
      }),
    ).rejects.toMatchObject({ code: '23505', constraint: 'notes_pkey' })
    await expect(
      store.transact(async trx => {
        sendWithCommit(trx, note(3))
        sendWithCommit(trx, note(3))
        await note(4).execute(trx)
      }),
    ).rejects.toMatchObject({ code: '23505' })
    expect(await kept()).toEqual([])
  })

  test('goes with a transaction that its caller gives up', async () => {
    await expect(
      store.transact(async trx => {
        sendWithCommit(trx, note(1))
        throw new Error('given up')
      }),
    ).rejects.toThrow('given up')
    expect(await kept()).toEqual([])
  })

  test('is refused outside of a transaction of the store', async () => {
    const trx = await store.transact(async open => open)
    await store.db.transaction().execute(async other => {
      expect(() => sendWithCommit(other, note(1))).toThrow('outside')
    })
    expect(trx.isTransaction).toBe(true)
  })
})

describe('a transaction', () => {
  test('whose failed statement was passed over does not claim to have committed', async () => {
    await expect(
      store.transact(async trx => {
        await note(1).execute(trx)
        await note(1)
          .execute(trx)
          .catch(() => undefined)
      }),
    ).rejects.toThrow()
    expect(await kept()).toEqual([])
  })

  test('whose connection is cut fails, and the next one gets another connection', async () => {
    await expect(
      store.transact(async trx => {
        sendWithCommit(trx, note(1))
        await sql`select pg_terminate_backend(pg_backend_pid())`.execute(trx)
      }),
    ).rejects.toThrow()
    await store.transact(trx => note(2).execute(trx))
    expect(await kept()).toEqual([2])
  })

  test('leaves no connection behind, however it ends', async () => {
    const ends = Array.from({ length: 40 }, (_, n) =>
      store
        .transact(async trx => {
          await note(n).execute(trx)
          if (n % 2) throw new Error('odd')
        })
        .catch(() => undefined),
    )
    await Promise.all(ends)
    expect(await kept()).toEqual(Array.from({ length: 20 }, (_, n) => 2 * n))
    expect(store.pool.idleCount).toBe(store.pool.totalCount)
  })
})

test('a statement that comes often is prepared, and prepared anew after a migration changed what it gives', async () => {
  // One connection: which plans there are is a matter of each.
  const pool = createPool({ url: database.url, size: 1, overflow: 0, onError: () => undefined })
  onTestFinished(() => pool.end())
  const { db } = createStore(pool, createNews({ url: database.url, changed: () => undefined }))
  const read = () => sql`select * from notes where n = ${1}`.execute(db)
  await pool.query('insert into notes values (1)')
  for (let n = 0; n < 200; n++) await read()
  const prepared = await pool.query('select statement from pg_prepared_statements')
  expect(prepared.rows.map(({ statement }) => statement)).toContain('select * from notes where n = $1')

  // Texts that come and go take up no more plans than there are to be.
  for (let round = 0; round < 25; round++)
    for (let n = 0; n < mostPlans + 20; n++) await pool.query(`select ${n} as a from notes where n = $1`, [n])
  const plans = await pool.query('select count(*)::int as n from pg_prepared_statements')
  expect(plans.rows[0].n).toBe(mostPlans)

  await pool.query('alter table notes add column added integer')
  await read().catch(error => expect(error.code).toBe('0A000'))
  expect((await read()).rows).toEqual([{ n: 1, text: null, added: null }])
})
