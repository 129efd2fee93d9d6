import type { Logger } from 'pino'
import type { Store } from '../../db/store.ts'
import { createLoop, type Loop } from '../../lib/loop.ts'
import { loopLog } from '../../watch/index.ts'
import type { EventMetrics } from './metrics.ts'
import { readOutboxState, sequenceEvents } from './repo.ts'

const batchSize = 2000

/**
 * Gives events their numbers soon after their commit. Every process looks; one at a time does it.
 * @param numbered told when there are new numbers
 */
export function createSequencer(deps: {
  store: Store
  log: Logger
  metrics: EventMetrics
  numbered: () => void
}): Loop {
  const { store, log, metrics } = deps
  return createLoop({
    name: 'event_numbering',
    idle: 50,
    async turn() {
      const { waiting } = await readOutboxState(store.db)
      if (!waiting) return false
      const events = await store.transact(trx => sequenceEvents(trx, batchSize))
      for (const { type } of events) metrics.recorded(type)
      if (events.length > 0) deps.numbered()
      return events.length === batchSize
    },
    ...loopLog(log, 'numbering events'),
  })
}
