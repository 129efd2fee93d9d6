import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { shared } from '../../lib/promises.ts'

export type Destination = 'rabbitmq' | 'webhook'

export type Backlog = { waiting: number; oldestSeconds: number }

export type EventMetrics = {
  /** An event got its number: that counts it once, whatever the number of processes. */
  recorded(type: string): void
  /** It reached its destination, which took from `occurredAt` to `now`. */
  delivered(to: Destination, occurredAt: Date, now: Date): void
  /** One attempt went wrong. */
  failed(to: Destination): void
  /** Deliveries were given up. */
  died(to: Destination, count: number): void
  /** No queue was bound for an event's type. */
  unroutable(): void
  /** Called at each scrape. */
  watch(to: Destination, read: () => Promise<Backlog>): void
}

export function createEventMetrics(registry: Registry): EventMetrics {
  const registers = [registry]
  const counter = (name: string, help: string, label: string) =>
    new Counter({ name, help, labelNames: [label], registers })
  const recorded = counter('events_total', 'Events that happened, by type.', 'type')
  const published = counter('events_published_total', 'Events confirmed by where they were sent.', 'to')
  const failed = counter('events_publish_failures_total', 'Attempts to deliver an event that failed.', 'to')
  const died = counter('events_dead_total', 'Deliveries of events that were given up.', 'to')
  const unroutable = new Counter({
    name: 'events_unroutable_total',
    help: 'Events that the broker dropped since no queue is bound for their type.',
    registers,
  })
  const lag = new Histogram({
    name: 'event_lag_seconds',
    help: 'Seconds from a change to the confirmation that its event was delivered.',
    labelNames: ['to'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600],
    registers,
  })
  const backlogs = new Map<Destination, () => Promise<Backlog | undefined>>()
  watchBacklogs(registry, backlogs)
  return {
    recorded: type => recorded.inc({ type }),
    delivered(to, occurredAt, now) {
      published.inc({ to })
      lag.observe({ to }, Math.max(0, now.getTime() - occurredAt.getTime()) / 1000)
    },
    failed: to => failed.inc({ to }),
    died: (to, count) => died.inc({ to }, count),
    unroutable: () => unroutable.inc(),
    // Two gauges, one query. Where the database does not answer, the other metrics still do.
    watch: (to, read) =>
      void backlogs.set(
        to,
        shared(() => read().catch(() => undefined)),
      ),
  }
}

function watchBacklogs(
  registry: Registry,
  backlogs: ReadonlyMap<Destination, () => Promise<Backlog | undefined>>,
): void {
  const gauge = (name: string, help: string, pick: (backlog: Backlog) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['to'],
      registers: [registry],
      // Every process reads the same database.
      aggregator: 'max',
      async collect() {
        for (const [to, read] of backlogs) {
          const backlog = await read()
          if (backlog) this.set({ to }, pick(backlog))
        }
      },
    })
  gauge('events_pending', 'Events that are not delivered yet.', ({ waiting }) => waiting)
  gauge('events_oldest_pending_seconds', 'Age of the oldest of them.', ({ oldestSeconds }) => oldestSeconds)
}
