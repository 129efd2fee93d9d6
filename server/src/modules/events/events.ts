import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { ErasedPerson } from '../../db/eraser.ts'
import type { Store, Tx } from '../../db/store.ts'
import { connectBroker } from '../../delivery/broker.ts'
import { createWebhookCaller } from '../../delivery/webhook-caller.ts'
import type { Vault } from '../../encryption/index.ts'
import type { Job } from '../../jobs/worker.ts'
import type { Clock } from '../../lib/clock.ts'
import { deriveKey } from '../../lib/secrets.ts'
import type { Watched } from '../../lib/watched.ts'
import type { Dependencies } from '../../watch/index.ts'
import { createFeed, type Feed } from './feed.ts'
import { eventJobs } from './jobs.ts'
import { createEventMetrics, type EventMetrics } from './metrics.ts'
import { createPartitionClaims } from './partition-claims.ts'
import { createPublisher } from './publisher.ts'
import { readPublishBacklog, redactEvents } from './repo.ts'
import { createSequencer } from './sequencer.ts'
import { createDispatcher } from './webhooks/dispatcher.ts'
import { readBacklog } from './webhooks/repo.ts'
import { createWebhooks, type Webhooks } from './webhooks/service.ts'

export type EventsConfig = {
  environment: 'development' | 'production'
  rabbitmqUrl: string | undefined
  eventRetentionDays: number
  webhookPrivateNetworks: readonly string[]
}

export type EventsDeps = {
  config: EventsConfig
  vault: Pick<Vault, 'root'>
  store: Store
  clock: Clock
  log: Logger
  registry: Registry
  dependencies: Dependencies
  version: string
}

/** The way of events out of the outbox, as one process sees it. */
export type Events = {
  feed: Feed
  webhooks: Webhooks
  jobs: Job[]
  /**
   * Begins to number, publish and deliver, beside whoever else does. `url`: of the database, for connections
   * that hold claims.
   */
  startRelay(url: string): Relay
}

export type Relay = { isBrokerConnected(): boolean; watched: Watched[]; stop(): Promise<void> }

export function createEvents(deps: EventsDeps): Events {
  const { config, store, clock } = deps
  const metrics = createEventMetrics(deps.registry)
  const allowPlainText = config.environment === 'development'
  const call = createWebhookCaller({
    allowedNetworks: config.webhookPrivateNetworks,
    allowPlainText,
    userAgent: `Roster/${deps.version}`,
  })
  const secretsKey = deriveKey(deps.vault.root, 'webhook secrets')
  return {
    feed: createFeed(store),
    webhooks: createWebhooks({
      store,
      clock,
      call,
      secretsKey,
      allowedNetworks: config.webhookPrivateNetworks,
      allowPlainText,
    }),
    jobs: eventJobs({
      store,
      clock,
      retentionDays: config.eventRetentionDays,
      hasBroker: config.rabbitmqUrl !== undefined,
      metrics,
    }),
    startRelay(url) {
      const publishing = config.rabbitmqUrl === undefined ? undefined : openPublisher(deps, metrics, url)
      const dispatcher = createDispatcher({ ...deps, metrics, call, secretsKey })
      const sequencer = createSequencer({
        ...deps,
        metrics,
        numbered() {
          publishing?.publisher.wake()
          dispatcher.wake()
        },
      })
      metrics.watch('webhook', () => readBacklog(store.db, clock.now()))
      const loops = [sequencer, dispatcher, ...(publishing ? [publishing.publisher] : [])]
      for (const loop of loops) loop.start()
      return {
        watched: loops.map(({ watched }) => watched),
        isBrokerConnected: () => publishing?.broker.isConnected() ?? false,
        async stop() {
          await Promise.all(loops.map(loop => loop.stop()))
          await publishing?.broker.close()
        },
      }
    },
  }
}

function openPublisher(deps: EventsDeps, metrics: EventMetrics, url: string) {
  const { config, store, clock, log, dependencies } = deps
  const broker = connectBroker({
    url: config.rabbitmqUrl ?? '',
    dependency: dependencies.of('rabbitmq', 'RabbitMQ'),
    onUnroutable(routingKey) {
      metrics.unroutable()
      log.debug({ event_type: routingKey }, 'no queue is bound for an event')
    },
  })
  metrics.watch('rabbitmq', () => readPublishBacklog(store.db, clock.now()))
  const claims = createPartitionClaims(url)
  return { broker, publisher: createPublisher({ store, clock, log, metrics, broker, claims }) }
}

/** Takes a person out of the events that are still held: what happened stays, without whom it names. */
export const eraseFromEvents = (trx: Tx, { userId }: Pick<ErasedPerson, 'userId'>): Promise<void> =>
  redactEvents(trx, userId)
