import type { Store } from '../../db/store.ts'
import { createLoop } from '../../lib/loop.ts'
import { noteProgress } from '../../lib/progress.ts'
import type { Watched } from '../../lib/watched.ts'
import { recordActivity } from '../users/index.ts'
import { recordUse } from './repo.ts'

/** Where a session's last request is noted until it is written. */
export type ActivitySlot = { userId: string; sessionId: string; at: number; waiting: boolean }

export type ActivityLog = {
  slot(userId: string, sessionId: string): ActivitySlot
  /** Notes an authenticated request; `at` in milliseconds since 1970. Costs two writes to memory. */
  seen(slot: ActivitySlot, at: number): void
  /** Writes what has been noted. What can't be written now is kept for the next time. */
  flush(): Promise<void>
  start(): void
  /** Writes the rest and ends. */
  stop(): Promise<void>
  watched: Watched
}

const interval = 20_000
const batchSize = 1000

/**
 * `last_activity_at` and `last_used_at`, written every 20 seconds, one statement for a thousand sessions: a
 * request costs no write of its own. A kill -9 loses 20 seconds of it, a clean stop nothing.
 */
export function createActivityLog(deps: {
  store: Store
  /** Called for each user whose activity was written. */
  written: (userId: string) => void
  failed: (error: unknown) => void
  recovered: () => void
}): ActivityLog {
  let waiting: ActivitySlot[] = []
  /** What a write has taken out of `waiting`: where it hangs, that goes back. */
  let taken: ActivitySlot[] = []
  let running: Promise<void> = Promise.resolve()

  async function writeAll(): Promise<void> {
    const due = waiting
    waiting = []
    taken = due
    for (let next = 0; next < due.length; next += batchSize) {
      const batch = due.slice(next, next + batchSize)
      for (const slot of batch) slot.waiting = false
      try {
        await write(batch.map(slot => ({ ...slot, at: new Date(slot.at) })))
        noteProgress()
      } catch (error) {
        for (const slot of batch) keep(slot)
        waiting.push(...due.slice(next + batchSize)) // still marked as waiting
        throw error
      }
    }
    if (taken === due) taken = []
  }

  /** Leaves a write behind that hangs, without what it has taken. */
  function letGo(): void {
    running = Promise.resolve()
    for (const slot of taken) slot.waiting = false
    for (const slot of taken) keep(slot)
    taken = []
  }

  async function write(batch: { userId: string; sessionId: string; at: Date }[]): Promise<void> {
    const latest = new Map<string, { userId: string; at: Date }>()
    for (const { userId, at } of batch) {
      if (at > (latest.get(userId)?.at ?? new Date(0))) latest.set(userId, { userId, at })
    }
    await recordActivity(deps.store.db, [...latest.values()])
    await recordUse(deps.store.db, batch)
    for (const userId of latest.keys()) deps.written(userId)
  }

  function keep(slot: ActivitySlot) {
    if (slot.waiting) return
    slot.waiting = true
    waiting.push(slot)
  }

  function flush(): Promise<void> {
    const mine = running.then(writeAll)
    running = mine.catch(() => undefined)
    return mine
  }

  const loop = createLoop({
    name: 'activity',
    idle: interval,
    async turn() {
      await flush()
      return false
    },
    failed: deps.failed,
    recovered: deps.recovered,
    letGo,
  })

  return {
    slot: (userId, sessionId) => ({ userId, sessionId, at: 0, waiting: false }),
    seen(slot, at) {
      slot.at = at
      keep(slot)
    },
    flush,
    start: loop.start,
    async stop() {
      await loop.stop()
      await flush().catch(deps.failed)
    },
    watched: loop.watched,
  }
}
