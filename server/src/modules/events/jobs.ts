import type { Store } from '../../db/store.ts'
import type { Job } from '../../jobs/worker.ts'
import { addTime, type Clock, days } from '../../lib/clock.ts'
import { deleteOldEvents, deliveredUpTo } from './repo.ts'
import { deleteOldDeliveries } from './webhooks/repo.ts'

const batchSize = 2000

/**
 * Deletes events that have been held for `retentionDays` and that nobody still has to be handed, and the
 * deliveries that ended as long ago.
 */
export function eventJobs(deps: {
  store: Store
  clock: Clock
  retentionDays: number
  hasBroker: boolean
}): Job[] {
  const { store, clock, retentionDays, hasBroker } = deps
  return [
    {
      name: 'events.delete_old',
      schedule: '41 * * * *',
      async run() {
        const before = addTime(clock.now(), -days(retentionDays))
        await untilLess(batchSize, () => deleteOldDeliveries(store.db, before, batchSize))
        const upTo = await deliveredUpTo(store.db, { broker: hasBroker })
        await untilLess(batchSize, () => deleteOldEvents(store.db, { before, upTo, limit: batchSize }))
      },
    },
  ]
}

async function untilLess(size: number, work: () => Promise<number>): Promise<void> {
  while ((await work()) >= size) {}
}
