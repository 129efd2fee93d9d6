import { LRUCache } from 'lru-cache'
import pg from 'pg'

/** Runs of a statement before it is prepared: what is rare is not worth a plan's memory. */
const frequent = 20

/** PostgreSQL keeps a plan of about 20 KB until its connection ends: so many a connection are the most there will be. */
export const mostPlans = 200
/** Characters. A longer text has a list of values in it, and is a new text with each length of that. */
const longest = 4000

/**
 * A class of connections that prepare statements which come often: PostgreSQL then parses and plans them once a
 * connection, not once a run, which is half of what a short statement costs. And that write all that is sent in
 * one turn of the event loop at once: each write wakes the other side.
 */
export function createPreparingClient(): typeof pg.Client {
  const plans = createPlanNames()

  return class extends pg.Client {
    #corked = false

    // pg's own type has an overload for each way of calling it; all of them go through here.
    override query(...args: unknown[]): never {
      this.#cork()
      const [text, values, callback] = args
      const name =
        typeof text === 'string' && Array.isArray(values) && values.length > 0
          ? plans.nameOf(text)
          : undefined
      const call = super.query as (...args: unknown[]) => unknown
      const result =
        name === undefined ? call.apply(this, args) : call.call(this, { name, text, values }, callback)
      if (name !== undefined && result instanceof Promise) result.catch(plans.forgetStale)
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
}

function createPlanNames() {
  const names = new Map<string, string>()
  const runs = new LRUCache<string, number>({ max: 500 })
  let lastNumber = 0
  return {
    nameOf(text: string): string | undefined {
      const known = names.get(text)
      if (known !== undefined || names.size >= mostPlans || text.length > longest) return known
      const count = (runs.get(text) ?? 0) + 1
      runs.set(text, count)
      if (count < frequent) return undefined
      const name = `roster_${++lastNumber}`
      names.set(text, name)
      return name
    },
    /**
     * A migration changed the columns that `select *` gives: PostgreSQL refuses such a plan for good (SQLSTATE
     * 0A000). All get new names, so the next run plans anew.
     */
    forgetStale(error: unknown): void {
      if (isStalePlan(error)) names.clear()
    },
  }
}

const isStalePlan = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '0A000' && /cached plan/.test(error.message)
