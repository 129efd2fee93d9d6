import { Connection, type Publisher } from 'rabbitmq-client'
import { withTimeout } from '../lib/promises.ts'
import type { Dependency } from '../watch/index.ts'

/** A message for the exchange. Its id is that of the event: the same in every delivery. */
export type BrokerMessage = { id: string; routingKey: string; occurredAt: Date; body: string }

export type Broker = {
  /** Resolves when the broker has taken responsibility (publisher confirm); rejects where that is unknown. */
  publish(message: BrokerMessage): Promise<void>
  isConnected(): boolean
  close(): Promise<void>
}

const exchange = 'user.events'

/** Milliseconds after which a confirm that did not come counts as lost. */
const confirmTimeout = 10_000

/**
 * RabbitMQ: durable topic exchange `user.events`, persistent messages, publisher confirms, mandatory. A lost
 * connection is made again by itself, with growing pauses of up to two seconds.
 * @param dependency told whenever the broker answers or does not
 * @param onUnroutable no queue is bound for the routing key: the broker has thrown the message away
 */
export function connectBroker(options: {
  url: string
  dependency: Pick<Dependency, 'up' | 'down'>
  onUnroutable: (routingKey: string) => void
}): Broker {
  const connection = new Connection({
    url: options.url,
    connectionName: 'roster',
    connectionTimeout: 5000,
    acquireTimeout: 5000,
    heartbeat: 10,
    retryLow: 200,
    retryHigh: 2000,
  })
  // A line between the two that breaks while nobody closes it says `undefined`.
  connection.on('error', error => options.dependency.down(error ?? new Error('the connection broke')))
  connection.on('connection', () => options.dependency.up())
  const publisher: Publisher = connection.createPublisher({
    confirm: true,
    exchanges: [{ exchange, type: 'topic', durable: true }],
  })
  publisher.on('basic.return', message => options.onUnroutable(message.routingKey))

  return {
    isConnected: () => connection.ready,
    async publish({ id, routingKey, occurredAt, body }) {
      const sent = publisher.send(
        {
          exchange,
          routingKey,
          mandatory: true,
          durable: true,
          messageId: id,
          type: routingKey,
          appId: 'roster',
          contentType: 'application/json',
          timestamp: Math.floor(occurredAt.getTime() / 1000),
        },
        Buffer.from(body),
      )
      await withTimeout(sent, confirmTimeout, () => new Error('the broker did not confirm in time'))
    },
    async close() {
      await withTimeout(
        publisher.close().then(() => connection.close()),
        3000,
        () => new Error('the broker did not say goodbye'),
      ).catch(() => connection.unsafeDestroy())
    },
  }
}
