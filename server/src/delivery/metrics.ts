import { Counter, Gauge, type Registry } from 'prom-client'
import { shared } from '../lib/promises.ts'

export type Channel = 'email' | 'sms'

/** Of one channel: messages that wait, seconds the oldest has waited, and messages given up. */
export type Backlog = { channel: Channel; waiting: number; oldestSeconds: number; dead: number }

export type DeliveryMetrics = {
  sent(channel: Channel): void
  /** One attempt went wrong. */
  failed(channel: Channel): void
  /** A message was given up. */
  died(channel: Channel): void
  templateFailed(template: string): void
}

/** Counts what becomes of messages; `readBacklog` is called when the metrics are scraped. */
export function createDeliveryMetrics(
  registry: Registry,
  readBacklog: () => Promise<readonly Backlog[]>,
): DeliveryMetrics {
  const counter = (name: string, help: string, label = 'channel') =>
    new Counter({ name, help, labelNames: [label], registers: [registry] })
  const sent = counter('messages_sent_total', 'Messages handed to the provider, or to the mailbox.')
  const failed = counter('messages_failed_total', 'Attempts to send a message that failed.')
  const died = counter('messages_dead_total', 'Messages given up.')
  const templates = counter('mail_template_failures_total', 'Mails for which a template failed.', 'template')
  watchBacklog(registry, readBacklog)
  return {
    sent: channel => sent.inc({ channel }),
    failed: channel => failed.inc({ channel }),
    died: channel => died.inc({ channel }),
    templateFailed: template => templates.inc({ template }),
  }
}

function watchBacklog(registry: Registry, read: () => Promise<readonly Backlog[]>): void {
  // Three gauges, one query. Where the database does not answer, the other metrics still do.
  const readOnce = shared(() => read().catch(() => []))
  const gauge = (name: string, help: string, pick: (backlog: Backlog) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['channel'],
      registers: [registry],
      // Every process reads the same database.
      aggregator: 'max',
      async collect() {
        for (const backlog of await readOnce()) this.set({ channel: backlog.channel }, pick(backlog))
      },
    })
  gauge('messages_waiting', 'Messages that are not sent yet.', ({ waiting }) => waiting)
  gauge(
    'messages_oldest_seconds',
    'How long the oldest message that is not sent yet has waited.',
    ({ oldestSeconds }) => oldestSeconds,
  )
  gauge('messages_dead', 'Messages given up that nobody has dealt with.', ({ dead }) => dead)
}
