import type { Logger } from 'pino'
import type { Store } from '../../db/store.ts'
import type { Broker } from '../../delivery/broker.ts'
import type { Clock } from '../../lib/clock.ts'
import { createLoop, type Loop } from '../../lib/loop.ts'
import { noteProgress } from '../../lib/progress.ts'
import { loopLog } from '../../watch/index.ts'
import { type OutboxEvent, toEvent } from './envelope.ts'
import type { EventMetrics } from './metrics.ts'
import type { PartitionClaims } from './partition-claims.ts'
import { readOutboxState, readPartitionEvents } from './repo.ts'

export type PublisherDeps = {
  store: Store
  clock: Clock
  log: Logger
  metrics: EventMetrics
  broker: Broker
  claims: PartitionClaims
}

const batchSize = 1000
/** Milliseconds between looks at how the work is shared. */
const rebalanceEvery = 1000

/**
 * Hands the events of this process's partitions to the broker. A position moves only past what the broker has
 * confirmed: after a kill, or a confirm that got lost, the same events are sent again, and none is left out.
 */
export function createPublisher(deps: PublisherDeps): Loop {
  const { store, broker, claims, log } = deps
  let balancedAt = Number.NEGATIVE_INFINITY

  async function turn(): Promise<boolean> {
    if (!broker.isConnected()) {
      // Another process may have a better way to it.
      await claims.release()
      deps.metrics.failed('rabbitmq')
      throw new BrokerAway()
    }
    if (performance.now() - balancedAt > rebalanceEvery) {
      await claims.rebalance()
      balancedAt = performance.now()
    }
    const held = new Map(claims.held())
    if (held.size === 0) return false
    const after = Math.min(...held.values())
    const { head } = await readOutboxState(store.db)
    if (head <= after) return false
    const rows = await readPartitionEvents(store.db, {
      partitions: [...held.keys()],
      after,
      upTo: head,
      limit: batchSize,
    })
    const reached = rows.length < batchSize ? head : Number(rows.at(-1)?.sequence ?? head)
    const due = rows.filter(row => Number(row.sequence) > (held.get(row.partition) ?? 0))
    const { firstFailed, error } = await publishAll(deps, due)
    const progress = [...held].map(([partition, before]) => {
      const failed = firstFailed.get(partition)
      // A partition may be ahead of the others that it was read with.
      return [partition, Math.max(before, failed === undefined ? reached : failed - 1)] as const
    })
    await claims.advance(new Map(progress))
    if (error !== undefined) throw error
    return rows.length === batchSize
  }

  const { failed, recovered } = loopLog(log, 'publishing events')
  const loop = createLoop({
    name: 'event_publishing',
    turn,
    idle: 50,
    failed(error) {
      balancedAt = Number.NEGATIVE_INFINITY
      if (!(error instanceof BrokerAway)) failed(error)
    },
    recovered,
    letGo() {
      balancedAt = Number.NEGATIVE_INFINITY
      claims.release().catch(() => undefined)
    },
  })
  return {
    ...loop,
    watched: {
      ...loop.watched,
      // While the broker is away that is what health tells.
      failingSince: () => (broker.isConnected() ? loop.watched.failingSince?.() : undefined),
    },
    async stop() {
      await loop.stop()
      await claims.release()
    },
  }
}

class BrokerAway extends Error {}

/**
 * Sends users' events side by side, and each user's one after the other: the next only when the broker has
 * confirmed the one before. So a refused or lost message can't be overtaken by a later one of the same user.
 * @returns by partition, the first sequence that was not confirmed
 */
async function publishAll(
  { broker, clock, metrics }: PublisherDeps,
  events: readonly OutboxEvent[],
): Promise<{ firstFailed: Map<number, number>; error: unknown }> {
  const firstFailed = new Map<number, number>()
  let problem: unknown
  const byUser = Map.groupBy(events, event => event.user_id ?? event.id)
  await Promise.all(
    [...byUser.values()].map(async own => {
      for (const event of own) {
        try {
          await broker.publish({
            id: event.id,
            routingKey: event.type,
            occurredAt: event.occurred_at,
            body: JSON.stringify(toEvent(event)),
          })
          metrics.delivered('rabbitmq', event.occurred_at, clock.now())
          noteProgress()
        } catch (error) {
          metrics.failed('rabbitmq')
          problem = error
          const sequence = Number(event.sequence)
          const earlier = firstFailed.get(event.partition)
          firstFailed.set(event.partition, Math.min(sequence, earlier ?? sequence))
          return
        }
      }
    }),
  )
  return { firstFailed, error: problem }
}
