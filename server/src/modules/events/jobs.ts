import type { Store } from '../../db/store.ts'
import type { Job } from '../../jobs/worker.ts'
import { inBatches } from '../../lib/batches.ts'
import { addTime, type Clock, days } from '../../lib/clock.ts'
import type { EventMetrics } from './metrics.ts'
import { deleteOldEvents, deliveredUpTo } from './repo.ts'
import { deleteDeliveriesOf, deleteOldDeliveries, giveUpDeliveries } from './webhooks/repo.ts'
import { deleteDeliveriesJob } from './webhooks/service.ts'

/**
 * Deletes events that have been held for `retentionDays` and that nobody still has to be handed, and the
 * deliveries that ended as long ago. Gives up deliveries whose time is over, and deletes those of an endpoint that
 * was deleted.
 */
export function eventJobs(deps: {
  store: Store
  clock: Clock
  retentionDays: number
  hasBroker: boolean
  metrics: EventMetrics
}): Job[] {
  const { store, clock, retentionDays, hasBroker, metrics } = deps
  return [
    {
      name: 'events.delete_old',
      schedule: '41 * * * *',
      async run() {
        const before = addTime(clock.now(), -days(retentionDays))
        await inBatches(limit => deleteOldDeliveries(store.db, before, limit))
        const upTo = await deliveredUpTo(store.db, { broker: hasBroker })
        await inBatches(limit => deleteOldEvents(store.db, { before, upTo, limit }))
      },
    },
    {
      name: 'events.give_up_deliveries',
      schedule: '*/5 * * * *',
      async run() {
        await inBatches(async limit => {
          const count = await giveUpDeliveries(store.db, clock.now(), limit)
          metrics.died('webhook', count)
          return count
        })
      },
    },
    {
      ...deleteDeliveriesJob,
      async run(payload) {
        const { endpoint_id } = payload as { endpoint_id: string } // as remove() queues it
        await inBatches(limit => deleteDeliveriesOf(store.db, endpoint_id, limit))
      },
    },
  ]
}
