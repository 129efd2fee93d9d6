import { LRUCache } from 'lru-cache'
import pg from 'pg'

/** Runs of a statement in this process before it is prepared: what is rare is not worth a plan's memory. */
const frequent = 20

/** Texts that are counted. A hundred plans of about 20 KB a connection are the most that PostgreSQL keeps. */
const textsCounted = 100

type Statement = { runs: number; name: string }

const statements = new LRUCache<string, Statement>({ max: textsCounted })
let lastNumber = 0

/**
 * A connection that prepares statements which come often: PostgreSQL then parses and plans them once a
 * connection, not once a run, which is half of what a short statement costs. And one that writes all that is
 * sent in one turn of the event loop at once: each write wakes the other side.
 */
export class PreparingClient extends pg.Client {
  #corked = false

  // pg's own type has an overload for each way of calling it; all of them go through here.
  override query(...args: unknown[]): never {
    this.#cork()
    const [text, values, callback] = args
    const name =
      typeof text === 'string' && Array.isArray(values) && values.length > 0 ? nameOf(text) : undefined
    const call = super.query as (...args: unknown[]) => unknown
    const result =
      name === undefined ? call.apply(this, args) : call.call(this, { name, text, values }, callback)
    if (name !== undefined && result instanceof Promise) result.catch(forgetStalePlans)
    return result as never
  }

  #cork(): void {
    if (this.#corked) return
    this.#corked = true
    const { stream } = this.connection
    stream.cork()
    process.nextTick(() => {
      this.#corked = false
      stream.uncork()
    })
  }
}

function nameOf(text: string): string | undefined {
  let statement = statements.get(text)
  if (statement === undefined) {
    statement = { runs: 0, name: '' }
    statements.set(text, statement)
  }
  statement.runs++
  if (statement.runs < frequent) return undefined
  if (statement.name === '') statement.name = `roster_${++lastNumber}`
  return statement.name
}

/**
 * A migration changed the columns that `select *` gives: PostgreSQL refuses such a plan for good (SQLSTATE
 * 0A000). All get new names, so the next run plans anew.
 */
function forgetStalePlans(error: unknown): void {
  if (isStalePlan(error)) statements.clear()
}

const isStalePlan = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '0A000' && /cached plan/.test(error.message)
