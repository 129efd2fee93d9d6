import type { Store } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { type Event, toEvent } from './envelope.ts'
import { matchesType } from './event-types.ts'
import { oldestSequence, readEvents, readOutboxState } from './repo.ts'

export type FeedPage = {
  items: Event[]
  /** Go on after this: the last number looked at, whether or not its event is among the items. */
  next_after: number
  /** The last number given. */
  head: number
}

export type FeedQuery = { after: number; limit: number; types?: readonly string[] | undefined }

/** Most numbers that one page looks at, however few of them have a type that is asked for. */
const window = 5000

export type Feed = {
  /** Before the oldest event that is held. */
  start(): Promise<number>
  /** @throws ProblemError position_gone */
  read(query: FeedQuery): Promise<FeedPage>
  /** Waits until there is a number above `after`, or the time is up, or `signal` ends it. */
  waitBeyond(after: number, milliseconds: number, signal: AbortSignal): Promise<void>
}

/** The replay feed: events by number, as long as they are held. */
export function createFeed(store: Store): Feed {
  const watcher = createHeadWatcher(async () => (await readOutboxState(store.db)).head)

  async function read({ after, limit, types }: FeedQuery): Promise<FeedPage> {
    const { head } = await readOutboxState(store.db)
    if (after > head) throw positionGone('It is above the last number given: is this another database?')
    if (after === head) return { items: [], next_after: after, head }
    const upTo = Math.min(head, after + window)
    const rows = types
      ? await readEvents(store.db, { after, upTo, limit: window })
      : await readEvents(store.db, { after, upTo, limit })
    // Asked after reading: what a clean-up deletes meanwhile is then noticed.
    if (Number(rows[0]?.sequence) !== after + 1) await refuseDeleted(store, after, head)
    const wanted = types ? rows.filter(row => matchesType(types, row.type)) : rows
    const items = wanted.slice(0, limit).map(toEvent)
    const isCut = types ? wanted.length > limit : rows.length === limit
    return { items, next_after: isCut ? (items.at(-1)?.sequence ?? after) : upTo, head }
  }

  return {
    async start() {
      const { head } = await readOutboxState(store.db)
      const oldest = await oldestSequence(store.db)
      return oldest === undefined ? head : oldest - 1
    },
    read,
    waitBeyond: watcher.waitBeyond,
  }
}

async function refuseDeleted(store: Store, after: number, head: number): Promise<void> {
  const oldest = (await oldestSequence(store.db)) ?? head + 1
  if (after + 1 < oldest) throw positionGone(`The oldest event held is ${oldest}.`)
}

const positionGone = (detail: string) => new ProblemError('position_gone', { detail })

/** Milliseconds between looks at the last number, while somebody waits for the next. */
const lookEvery = 100

/** One query for everybody of this process who waits. */
function createHeadWatcher(readHead: () => Promise<number>) {
  type Waiter = { after: number; done: () => void }
  const waiters = new Set<Waiter>()
  let isLooking = false

  async function look(): Promise<void> {
    isLooking = true
    while (waiters.size > 0) {
      // Where the database doesn't answer nobody is woken; each has a time of its own.
      const head = await readHead().catch(() => 0)
      for (const waiter of [...waiters]) if (head > waiter.after) waiter.done()
      await new Promise(resolve => setTimeout(resolve, lookEvery))
    }
    isLooking = false
  }

  return {
    waitBeyond(after: number, milliseconds: number, signal: AbortSignal): Promise<void> {
      return new Promise(resolve => {
        const waiter = { after, done }
        const timer = setTimeout(done, milliseconds)
        function done() {
          clearTimeout(timer)
          signal.removeEventListener('abort', done)
          waiters.delete(waiter)
          resolve()
        }
        if (signal.aborted) return done()
        signal.addEventListener('abort', done)
        waiters.add(waiter)
        if (!isLooking) look()
      })
    },
  }
}
