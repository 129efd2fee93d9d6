import { once } from 'node:events'
import http from 'node:http'
import type { RosterEvent } from '@roster/client/replica'
import { Connection, ConsumerStatus } from 'rabbitmq-client'

/** Writes down every event that reaches it, as often as it does. */
export type Sink = { received: RosterEvent[]; stop(): Promise<void> }

/** A queue of its own, bound to everything. */
export async function rabbitSink(url: string): Promise<Sink> {
  const received: RosterEvent[] = []
  const connection = new Connection({ url, retryLow: 200, retryHigh: 1000 })
  connection.on('error', () => undefined)
  const consumer = connection.createConsumer(
    {
      queue: 'ledger',
      queueOptions: { durable: true },
      exchanges: [{ exchange: 'user.events', type: 'topic', durable: true }],
      queueBindings: [{ exchange: 'user.events', routingKey: '#' }],
      qos: { prefetchCount: 200 },
    },
    message => {
      received.push(message.body)
      return ConsumerStatus.ACK
    },
  )
  consumer.on('error', () => undefined)
  await once(consumer, 'ready')
  return {
    received,
    async stop() {
      await consumer.close()
      await connection.close()
    },
  }
}

/** An endpoint that now and then takes a message without saying so, which then comes again. */
export async function webhookSink(): Promise<Sink & { url: string }> {
  const received: RosterEvent[] = []
  const seen = new Set<string>()
  const server = http.createServer(async (request, reply) => {
    const body = (await request.toArray()).join('')
    const event: RosterEvent = JSON.parse(body)
    const isNew = !seen.has(event.id)
    received.push(event)
    seen.add(event.id)
    if (isNew && seen.size % 50 === 0) request.socket.destroy()
    else reply.writeHead(204).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  return {
    received,
    url: `http://127.0.0.1:${port}/`,
    async stop() {
      server.closeAllConnections()
      server.close()
    },
  }
}
