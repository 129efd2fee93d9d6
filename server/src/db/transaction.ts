import {
  type CompiledQuery,
  DefaultQueryExecutor,
  DummyDriver,
  type Kysely,
  PostgresAdapter,
  PostgresDialect,
  PostgresDriver,
  PostgresQueryCompiler,
  Transaction,
} from 'kysely'
import type pg from 'pg'
import type { Database } from './tables.ts'

/** A transaction: what a function demands that locks, or that must happen together with its caller's change. */
export type Tx = Transaction<Database>

/** Runs `change` in one READ COMMITTED transaction: committed when it resolves, rolled back when it rejects. */
export type RunTransaction = <T>(change: (trx: Tx) => Promise<T>) => Promise<T>

// The type that the driver's own methods want back; acquireConnection() names a wider one.
type Connection = Parameters<PostgresDriver['releaseConnection']>[0]

type Sent = { connection: Connection; unawaited: Promise<unknown>[] }

const underWay = new WeakMap<Tx, Sent>()

/**
 * Sends a write whose result nobody looks at. The transaction waits for it, and fails with it, at the commit.
 * Until then the caller goes on: so an audit entry and an event cost no wait of their own.
 */
export function sendWithCommit(trx: Tx, query: { compile(db: Kysely<Database>): CompiledQuery }): void {
  const sent = underWay.get(trx)
  if (!sent) throw new Error('sendWithCommit() outside of a transaction of the store')
  const write = sent.connection.executeQuery(query.compile(trx))
  write.catch(() => undefined)
  sent.unawaited.push(write)
}

/**
 * Transactions over pipelined connections: BEGIN travels with the first statement, statements that are started
 * together travel together, and COMMIT follows the last write at once. A wait for the other side costs both
 * sides more than most of these statements do.
 */
export function createTransactions(pool: pg.Pool): RunTransaction {
  const driver = new PostgresDriver({ pool })
  const initialised = driver.init()
  const open = createOpener(new PostgresDialect({ pool }))

  async function perform<T>(connection: Connection, change: (trx: Tx) => Promise<T>): Promise<T> {
    const { trx, unawaited } = open(connection)
    const begun = driver.beginTransaction(connection, {})
    begun.catch(() => undefined)
    try {
      const result = await change(trx)
      const committed = driver.commitTransaction(connection)
      committed.catch(() => undefined)
      await Promise.all([begun, ...unawaited])
      await committed
      return result
    } catch (error) {
      // What failed unseen made everything after it fail, so it is the better answer.
      const failed = (await Promise.allSettled([begun, ...unawaited])).find(
        ({ status }) => status === 'rejected',
      )
      await driver.rollbackTransaction(connection).catch(() => undefined)
      throw failed?.status === 'rejected' ? failed.reason : error
    }
  }

  return async change => {
    await initialised
    const connection = (await driver.acquireConnection()) as Connection
    try {
      return await perform(connection, change)
    } finally {
      await driver.releaseConnection(connection)
    }
  }
}

/** Kysely's own transaction would send each statement only after the reply to the one before. */
function createOpener(dialect: PostgresDialect) {
  const compiler = new PostgresQueryCompiler()
  const adapter = new PostgresAdapter()
  const driver = new DummyDriver()
  return (connection: Connection) => {
    const executor = new DefaultQueryExecutor(compiler, adapter, {
      provideConnection: consumer => consumer(connection),
    })
    const trx: Tx = new Transaction<Database>({ config: { dialect }, dialect, driver, executor })
    const unawaited: Promise<unknown>[] = []
    underWay.set(trx, { connection, unawaited })
    return { trx, unawaited }
  }
}
