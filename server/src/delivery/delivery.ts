import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import type { Store } from '../db/store.ts'
import type { Metrics } from '../http/metrics.ts'
import type { Clock } from '../lib/clock.ts'
import { createContentSeal } from './content-seal.ts'
import { createDeliveryMetrics } from './metrics.ts'
import { createOutbound, type Outbound } from './outbound.ts'
import { readBacklog } from './repo.ts'

export type DeliveryDeps = { config: Config; clock: Clock; log: Logger; store: Store; metrics: Metrics }

/** Everything about messages to people that one process needs. */
export type Delivery = { outbound: Outbound }

export function createDelivery({ config, clock, store, metrics }: DeliveryDeps): Delivery {
  const seal = createContentSeal(config.encryptionKey)
  const counts = createDeliveryMetrics(metrics.registry, () => readBacklog(store.db, clock.now()))
  const outbound = createOutbound({
    clock,
    seal,
    metrics: counts,
    emailProvider: config.emailProvider,
    smsProvider: config.smsProvider,
  })
  return { outbound }
}
