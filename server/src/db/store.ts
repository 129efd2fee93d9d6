import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Announcement, News } from './news.ts'
import { createPreparingClient } from './prepared.ts'
import type { Database } from './tables.ts'
import { createTransactions, type Tx } from './transaction.ts'

export { sendWithCommit, type Tx } from './transaction.ts'

/** A connection or a transaction: what reads take first. */
export type Db = Kysely<Database>

/** The database as services use it: reads on `db`, every change inside `transact`. */
export type Store = {
  db: Db
  pool: pg.Pool
  /**
   * Runs `change` in one READ COMMITTED transaction. What it announced reaches this process's caches before
   * the promise resolves, and every other process's by NOTIFY at the same commit.
   */
  transact<T>(change: (trx: Tx) => Promise<T>): Promise<T>
  /** Tells every process, at the commit of `trx`, what it must forget. */
  announce(trx: Tx, announcement: Announcement): Promise<void>
}

export type PoolOptions = {
  url: string
  size: number
  overflow: number
  /** Milliseconds until a query is given up with an error. */
  queryTimeout?: number
  onError: (error: Error) => void
}

/**
 * A pool that keeps `size` connections, goes up to `size + overflow` under load, and fails a caller who waited
 * four seconds, so that an exhausted or unreachable database is a quick 503 and never a hung request.
 */
export function createPool({ url, size, overflow, queryTimeout = 4500, onError }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    Client: createPreparingClient(),
    pipeline: true,
    min: 0,
    max: size + overflow,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 4000,
    statement_timeout: queryTimeout,
    query_timeout: queryTimeout + 400,
    idle_in_transaction_session_timeout: 15_000,
    application_name: 'roster',
    keepAlive: true,
  })
  pool.on('error', onError)
  // The pool listens to idle connections only: one that breaks in use would otherwise end the process. Its
  // query fails all the same.
  pool.on('connect', client => client.on('error', () => undefined))
  return pool
}

export function createStore(pool: pg.Pool, news: News): Store {
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  const runTransaction = createTransactions(pool)
  const announced = new WeakMap<Tx, Announcement[]>()
  return {
    db,
    pool,
    async transact(change) {
      const made: Announcement[] = []
      const result = await runTransaction(trx => {
        announced.set(trx, made)
        return change(trx)
      })
      for (const announcement of made) news.apply(announcement)
      return result
    },
    async announce(trx, announcement) {
      const made = announced.get(trx)
      if (!made) throw new Error('announce() outside of transact()')
      made.push(announcement)
      await news.notify(trx, announcement)
    },
  }
}
