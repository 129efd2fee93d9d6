import { applyEvent, userIdOf } from './apply-event.ts'
import { createRetryPauses } from './pauses.ts'
import {
  PositionGone,
  type ReplicaSource,
  type ReplicaStore,
  type ReplicaTransaction,
  type ReplicaUser,
  type RosterEvent,
} from './types.ts'

export type ReplicaOptions = {
  source: ReplicaSource
  store: ReplicaStore
  log?: (message: string, error?: unknown) => void
}

/** How far a batch got: `gap` where the event that comes next was not in it. */
export type Progress = { position: number; gap: boolean }

export type Replica = {
  /** Copies all users, and notes where to follow from. Can be repeated, and killed, at any time. */
  bootstrap(): Promise<void>
  /** Applies events that come next, in their order. Those that were applied before change nothing. */
  apply(events: readonly RosterEvent[]): Promise<Progress>
  /** Reads the feed to its end; bootstraps where there is no place to begin. Returns the position reached. */
  catchUp(): Promise<number>
  /** Follows the feed until `signal` ends it, through lost connections and restarts of either side. */
  follow(signal: AbortSignal): Promise<void>
  /** Compares every user with the service and repairs what differs. Returns the ids repaired. */
  reconcile(): Promise<string[]>
}

const pageSize = 500

/**
 * Keeps an own copy of the service's users in step. Events are applied strictly in the order of their numbers,
 * and in one transaction with the position: a duplicate is one below it, a gap is one beyond it, and a process
 * killed anywhere goes on where it was. Any number of processes may share one store.
 */
export function createReplica({ source, store, log = () => undefined }: ReplicaOptions): Replica {
  async function bootstrap(): Promise<void> {
    // Nobody applies events to a copy that is being made.
    await store.transact(async trx => {
      await trx.lockPosition()
      await trx.setPosition(undefined)
    })
    let first: number | undefined
    for (let after: string | undefined; ; ) {
      const page = await source.snapshot({ limit: pageSize, ...(after !== undefined && { after }) })
      const start: number = first ?? page.sequence
      first = start
      const isLast = page.next_after === null
      const isOurs = await store.transact(async trx => {
        // Whoever else was making one has finished it.
        if ((await trx.lockPosition()) !== undefined) return false
        await trx.put(page.items.map(user => ({ user, asOf: page.sequence })))
        if (isLast) {
          await trx.removeOutside(start, page.sequence)
          await trx.setPosition(start)
        }
        return true
      })
      if (!isOurs || page.next_after === null) return
      after = page.next_after
    }
  }

  function apply(events: readonly RosterEvent[]): Promise<Progress> {
    return store.transact(async trx => {
      const position = await trx.lockPosition()
      if (position === undefined) throw new PositionGone('bootstrap first')
      const next = takeNext(events, position)
      const reached = next.at(-1)?.sequence ?? position
      if (next.length > 0) {
        await applyAll(trx, source, next)
        await trx.setPosition(reached)
      }
      return { position: reached, gap: events.some(event => event.sequence > reached) }
    })
  }

  const position = () => store.transact(trx => trx.lockPosition())

  async function catchUp(): Promise<number> {
    for (;;) {
      try {
        const after = await position()
        if (after === undefined) throw new PositionGone('there was no copy yet')
        const page = await source.events({ after, limit: pageSize })
        const { position: reached } = await apply(page.items)
        if (reached >= page.head) return reached
      } catch (error) {
        if (!(error instanceof PositionGone)) throw error
        await bootstrap()
        log(`copied all users: ${error.message}`)
      }
    }
  }

  async function follow(signal: AbortSignal): Promise<void> {
    const retries = createRetryPauses(signal)
    while (!signal.aborted) {
      try {
        const after = await catchUp()
        await source.events({ after, limit: 1, wait: 25, signal })
        retries.reset()
      } catch (error) {
        if (signal.aborted) return
        log('following the feed failed; trying again', error)
        await retries.pause()
      }
    }
  }

  async function reconcile(): Promise<string[]> {
    const repaired: string[] = []
    for (let after: string | undefined; ; ) {
      const page = await source.snapshot({ limit: 100, ...(after !== undefined && { after }) })
      const last = page.next_after ?? undefined
      const own = await idsBetween(store, after, last)
      const ids = [...new Set([...own, ...page.items.map(({ id }) => id)])]
      repaired.push(...(await repair(source, store, ids)))
      if (last === undefined) return repaired
      after = last
    }
  }

  return { bootstrap, apply, catchUp, follow, reconcile }
}

/** The events that come right after `position`, without a gap, each once. */
function takeNext(events: readonly RosterEvent[], position: number): RosterEvent[] {
  const next: RosterEvent[] = []
  let reached = position
  for (const event of events.toSorted((a, b) => a.sequence - b.sequence)) {
    if (event.sequence <= reached) continue
    if (event.sequence !== reached + 1) break
    next.push(event)
    reached = event.sequence
  }
  return next
}

async function applyAll(
  trx: ReplicaTransaction,
  source: ReplicaSource,
  events: readonly RosterEvent[],
): Promise<void> {
  const ids = [...new Set(events.flatMap(event => userIdOf(event) ?? []))]
  const known = new Map((await trx.find(ids)).map(stored => [stored.user.id, stored]))
  const changed = new Set<string>()
  const removed = new Set<string>()
  const asked = new Set<string>()
  for (const event of events) {
    const id = userIdOf(event)
    const stored = id === undefined ? undefined : known.get(id)
    if (id === undefined || (stored && stored.asOf >= event.sequence)) continue
    const result = applyEvent(stored?.user, event)
    if (result.kind === 'ask') asked.add(id)
    if (result.kind === 'put') {
      known.set(id, { user: result.user, asOf: event.sequence })
      changed.add(id)
    }
    if (result.kind === 'remove') {
      known.delete(id)
      changed.delete(id)
      asked.delete(id)
      removed.add(id)
    }
  }
  await trx.remove([...removed])
  await trx.put([...changed].flatMap(id => known.get(id) ?? []))
  await askFor(trx, source, [...asked])
}

/** Replaces users by what the service says of them now. */
async function askFor(trx: ReplicaTransaction, source: ReplicaSource, ids: readonly string[]): Promise<void> {
  for (let from = 0; from < ids.length; from += 100) {
    const some = ids.slice(from, from + 100)
    const { items, sequence } = await source.snapshot({ ids: some })
    const found = new Set(items.map(({ id }) => id))
    await trx.put(items.map(user => ({ user, asOf: sequence })))
    await trx.remove(some.filter(id => !found.has(id)))
  }
}

async function idsBetween(
  store: ReplicaStore,
  after: string | undefined,
  upTo: string | undefined,
): Promise<string[]> {
  const ids: string[] = []
  for (let from = after; ; ) {
    const page = await store.ids(from, pageSize)
    ids.push(...page.filter(id => upTo === undefined || id <= upTo))
    from = page.at(-1)
    if (page.length < pageSize || (upTo !== undefined && from !== undefined && from > upTo)) return ids
  }
}

/** Compares under the lock of the position, with a snapshot taken after it: neither side is ahead unseen. */
function repair(source: ReplicaSource, store: ReplicaStore, ids: readonly string[]): Promise<string[]> {
  return store.transact(async trx => {
    const repaired: string[] = []
    const position = await trx.lockPosition()
    for (let from = 0; from < ids.length; from += 100) {
      const some = ids.slice(from, from + 100)
      const { items, sequence } = await source.snapshot({ ids: some })
      // Changes that the service knows and this copy has not been told of are not its faults.
      const isBehind = position === undefined || position < sequence
      const theirs = new Map(items.map(user => [user.id, user]))
      const own = new Map((await trx.find(some)).map(({ user }) => [user.id, user]))
      const differing = some.filter(id => !isSame(own.get(id), theirs.get(id)))
      await trx.put(differing.flatMap(id => theirs.get(id) ?? []).map(user => ({ user, asOf: sequence })))
      await trx.remove(differing.filter(id => !theirs.has(id)))
      if (!isBehind) repaired.push(...differing)
    }
    return repaired
  })
}

/** A service that is newer than this copy may tell more of a user than it keeps. */
function isSame(own: ReplicaUser | undefined, theirs: ReplicaUser | undefined): boolean {
  if (!own || !theirs) return own === theirs
  const of = (user: ReplicaUser) =>
    JSON.stringify(Object.keys(own).map(name => user[name as keyof ReplicaUser])) // its own keys
  return of(own) === of(theirs)
}
