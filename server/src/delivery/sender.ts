import type { Logger } from 'pino'
import type { Store } from '../db/store.ts'
import { inBatches } from '../lib/batches.ts'
import { addTime, type Clock, days } from '../lib/clock.ts'
import type { Composer } from './composer.ts'
import { createGate } from './gate.ts'
import { enqueueMessage } from './jobs.ts'
import type { DeliveryMetrics } from './metrics.ts'
import type { OptOuts } from './opt-outs.ts'
import { type Accepted, DeliveryError, type MailProvider, type SmsProvider } from './providers/provider.ts'
import * as repo from './repo.ts'
import { attemptLease, retryDelay } from './retries.ts'

/** Takes messages out of the queue and hands them to a provider. */
export type Sender = {
  /**
   * One attempt at one message, if it is due and nobody else has it. What comes of it is written down: sent,
   * to be tried again, or dead. Throws only where the database does not answer.
   */
  send(messageId: string): Promise<void>
  /** Queues again what is overdue because a process died with it. @returns how many */
  recoverLost(): Promise<number>
  /** Deletes what nobody needs any more. */
  deleteOld(): Promise<void>
}

export type SenderDeps = {
  store: Store
  clock: Clock
  log: Logger
  metrics: DeliveryMetrics
  composer: Composer
  optOuts: OptOuts
  /** Undefined where nothing is sent by this channel. */
  providers: { email: MailProvider | undefined; sms: SmsProvider | undefined }
}

/** Days that rows are kept: metadata of what was sent, and what was given up. */
const keptFor = days(30)

/**
 * The effect is at least once: where a provider takes a message and its reply is lost, the message is tried
 * again, since nobody can tell. Two processes never send one message at the same time: an attempt is a lease.
 */
export function createSender(deps: SenderDeps): Sender {
  const { store, clock, metrics } = deps
  const gate = createGate(clock)

  async function postpone(message: repo.Claimed, until: Date): Promise<void> {
    await store.transact(async trx => {
      await repo.postponeMessage(trx, message.id, until)
      await enqueueMessage(trx, message.id, +until - +clock.now())
    })
  }

  async function handOver(message: repo.Claimed): Promise<Accepted | 'suppressed'> {
    if (message.channel === 'email') {
      const mail = await deps.composer.mail(message)
      return configured(deps.providers.email).send({ id: message.id, to: message.recipient, ...mail })
    }
    if (await deps.optOuts.has(message.recipient)) return 'suppressed'
    const text = deps.composer.text(message)
    return configured(deps.providers.sms).send({ id: message.id, to: message.recipient, text })
  }

  async function succeed({ id, channel }: repo.Claimed, outcome: Accepted | 'suppressed'): Promise<void> {
    if (outcome === 'suppressed') return repo.suppressMessage(store.db, id, clock.now())
    const provider = deps.providers[channel]?.name ?? null
    await repo.completeMessage(store.db, { id, at: clock.now(), provider, providerId: outcome.providerId })
    gate.open(channel)
    metrics.sent(channel)
  }

  async function giveUp(message: repo.Claimed, reason: string): Promise<void> {
    const { id, channel, template, attempts } = message
    await repo.giveUp(store.db, id, clock.now(), reason)
    metrics.died(channel)
    deps.log.error({ message_id: id, channel, template, attempts, reason }, 'a message was given up')
  }

  async function fail(message: repo.Claimed, error: unknown): Promise<void> {
    const { fault, reason } = describe(error)
    const { id, channel, template, attempts } = message
    metrics.failed(channel)
    deps.log.warn({ message_id: id, channel, template, attempts, fault, reason }, 'a message was not sent')
    if (fault === 'busy') gate.close(channel)
    // Any other error of a provider is its reply; a message that could not be composed never came to one.
    else if (error instanceof DeliveryError) gate.open(channel)
    if (fault === 'opted_out') {
      await deps.optOuts.add(message.recipient)
      return repo.suppressMessage(store.db, id, clock.now())
    }
    const delay = fault === 'message' ? undefined : retryDelay(attempts)
    const nextAt = delay === undefined ? undefined : addTime(clock.now(), delay)
    if (delay === undefined || nextAt === undefined || nextAt > message.useful_until)
      return giveUp(message, reason)
    await store.transact(async trx => {
      await repo.scheduleRetry(trx, id, nextAt, reason)
      await enqueueMessage(trx, id, delay)
    })
  }

  return {
    async send(messageId) {
      const at = clock.now()
      const message = await repo.claimMessage(store.db, messageId, at, addTime(at, attemptLease))
      if (!message) return
      // Before the gate, which lets one message at a time try: this one would not.
      if (message.useful_until < at) return giveUp(message, 'too late to be of use')
      const closedUntil = gate.enter(message.channel)
      if (closedUntil) return postpone(message, closedUntil)
      const outcome = await handOver(message).catch((error: unknown) => ({ error }))
      if (typeof outcome === 'object' && 'error' in outcome) await fail(message, outcome.error)
      else await succeed(message, outcome)
    },

    async recoverLost() {
      return store.transact(async trx => {
        const lost = await repo.findOverdue(trx, clock.now())
        for (const id of lost) await enqueueMessage(trx, id)
        return lost.length
      })
    },

    async deleteOld() {
      const before = addTime(clock.now(), -keptFor)
      await inBatches(limit => repo.deleteFinished(store.db, before, limit))
    },
  }
}

function configured<Provider>(provider: Provider | undefined): Provider {
  if (!provider) throw new DeliveryError('busy', 'no provider is configured')
  return provider
}

/** What went wrong, without a word of the message's content. */
function describe(error: unknown): { fault: DeliveryError['fault']; reason: string } {
  if (error instanceof DeliveryError) return { fault: error.fault, reason: error.message }
  return { fault: 'unknown', reason: error instanceof Error ? error.name : 'failed' }
}
