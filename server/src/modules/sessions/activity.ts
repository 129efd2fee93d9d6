import type { Store } from '../../db/store.ts'
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
  log: (message: string, error: unknown) => void
}): ActivityLog {
  let waiting: ActivitySlot[] = []
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()

  async function writeAll(): Promise<void> {
    const due = waiting
    waiting = []
    while (due.length > 0) {
      const batch = due.splice(0, batchSize)
      for (const slot of batch) slot.waiting = false
      try {
        await write(batch.map(slot => ({ ...slot, at: new Date(slot.at) })))
      } catch (error) {
        for (const slot of batch) keep(slot)
        waiting.push(...due) // still marked as waiting
        deps.log('activity could not be written; it will be tried again', error)
        return
      }
    }
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
    running = running.then(writeAll)
    return running
  }

  return {
    slot: (userId, sessionId) => ({ userId, sessionId, at: 0, waiting: false }),
    seen(slot, at) {
      slot.at = at
      keep(slot)
    },
    flush,
    start() {
      timer = setInterval(flush, interval)
      timer.unref()
    },
    async stop() {
      clearInterval(timer)
      await flush()
    },
  }
}
