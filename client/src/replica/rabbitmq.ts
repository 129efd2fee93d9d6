import { Connection, ConsumerStatus } from 'rabbitmq-client'
import { createRetryPauses } from './pauses.ts'
import type { Replica } from './replica.ts'
import type { RosterEvent } from './types.ts'

export type RabbitMqOptions = {
  url: string
  /** Durable queue of this service alone; made, and bound to every event, where it is missing. */
  queue: string
  log?: (message: string, error?: unknown) => void
}

export type Follower = {
  /** Stops taking messages; those under way go back to the queue unless they were applied. */
  stop(): Promise<void>
}

type Held = { event: RosterEvent; settle: (status: ConsumerStatus) => void }

const prefetch = 500
/** Milliseconds for which an event that comes too early waits for those before it. */
const gapPatience = 500
/** Milliseconds of silence after which the feed is asked whether it is really quiet. */
const checkEvery = 30_000

/**
 * Keeps a replica in step from RabbitMQ. Messages come in each user's order, but not in that of all: those that
 * come early are held. What does not come at all (a queue that was deleted, a message that was thrown away) is
 * read from the feed. A message is acknowledged when it is applied and committed.
 */
export async function followRabbitMq(replica: Replica, options: RabbitMqOptions): Promise<Follower> {
  const { log = () => undefined } = options
  const held: Held[] = []
  const stopping = new AbortController()
  const { signal } = stopping
  let checkedAt = Number.NEGATIVE_INFINITY
  let wake = () => {}
  const connection = new Connection({ url: options.url, retryLow: 200, retryHigh: 5000 })
  connection.on('error', error => log('RabbitMQ', error))
  const consumer = connection.createConsumer(
    {
      queue: options.queue,
      queueOptions: { durable: true },
      exchanges: [{ exchange: 'user.events', type: 'topic', durable: true }],
      queueBindings: [{ exchange: 'user.events', routingKey: '#' }],
      qos: { prefetchCount: prefetch },
    },
    message =>
      new Promise(settle => {
        if (signal.aborted) return settle(ConsumerStatus.REQUEUE)
        const event: unknown = message.body
        if (!isEvent(event)) {
          log(`dropped a message that is no event, with the routing key '${message.routingKey}'`)
          return settle(ConsumerStatus.DROP)
        }
        held.push({ event, settle })
        wake()
      }),
  )
  consumer.on('error', error => log('RabbitMQ', error))
  // What was published before the queue was bound, or while it was away, is in the feed only.
  consumer.on('ready', () => {
    checkedAt = Number.NEGATIVE_INFINITY
    wake()
  })

  /** Applies what is next. Returns whether an event is missing before one that is here. */
  async function applyHeld(): Promise<boolean> {
    const { position, gap } = await replica.apply(held.map(({ event }) => event))
    for (const one of held.splice(0)) {
      if (one.event.sequence <= position) one.settle(ConsumerStatus.ACK)
      else held.push(one)
    }
    return gap
  }

  async function run(): Promise<void> {
    const retries = createRetryPauses(signal)
    let gapSince: number | undefined
    while (!signal.aborted) {
      try {
        const now = performance.now()
        const isStuck = gapSince !== undefined && now - gapSince > gapPatience
        if (isStuck || now - checkedAt > checkEvery || held.length >= prefetch) {
          checkedAt = performance.now()
          await replica.catchUp()
        }
        const gap = await applyHeld()
        gapSince = gap ? (gapSince ?? now) : undefined
        retries.reset()
        if (held.length === 0 || gap) await pause(gap ? 100 : 1000)
      } catch (error) {
        checkedAt = Number.NEGATIVE_INFINITY
        log('applying events failed; trying again', error)
        await retries.pause()
      }
    }
  }

  function pause(milliseconds: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, milliseconds)
      wake = () => {
        clearTimeout(timer)
        // A moment more, so that one transaction takes many messages.
        setTimeout(resolve, 5)
      }
    })
  }

  const running = run()
  return {
    async stop() {
      stopping.abort()
      wake()
      await running
      // Takes no more, and waits for every message to be settled.
      const closing = consumer.close()
      for (const { settle } of held.splice(0)) settle(ConsumerStatus.REQUEUE)
      await closing
      await connection.close()
    },
  }
}

/** Anybody with rights at the broker may put other things into the queue. */
function isEvent(body: unknown): body is RosterEvent {
  if (typeof body !== 'object' || body === null) return false
  const { sequence, eventType, data } = body as Record<keyof RosterEvent, unknown> // just checked
  return (
    Number.isSafeInteger(sequence) &&
    typeof eventType === 'string' &&
    typeof data === 'object' &&
    data !== null
  )
}
