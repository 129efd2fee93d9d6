import type { Store } from '../db/store.ts'
import { pageOf, readCursor } from '../http/paging.ts'
import { ProblemError } from '../http/problems.ts'
import type { Clock } from '../lib/clock.ts'
import { phoneFault, phoneKey } from '../lib/phone.ts'
import { appendAudit, type Origin } from '../modules/audit/index.ts'
import { enqueueMessage } from './jobs.ts'
import type { OptOuts } from './opt-outs.ts'
import type { Outbound } from './outbound.ts'
import * as repo from './repo.ts'
import type { Message } from './schemas.ts'

export type MessageDeps = {
  store: Store
  clock: Clock
  outbound: Outbound
  optOuts: OptOuts
  cursorKey: Buffer
}

export type MessageFilter = { state?: Message['state'] | undefined }

/** A page of messages, newest first. @throws ProblemError validation_failed for a cursor of another list */
export async function listMessages(
  { store, cursorKey }: MessageDeps,
  filter: MessageFilter,
  page: { limit: number; cursor?: string | undefined },
): Promise<{ items: Message[]; next_cursor: string | null }> {
  const list = { key: cursorKey, name: `messages ${filter.state ?? ''}` }
  const [before] = readCursor(list, page.cursor, ['string']) ?? []
  const rows = await repo.listMessages(store.db, { ...filter, before, limit: page.limit + 1 })
  const { items, next_cursor } = pageOf(list, rows, page.limit, ({ id }) => [id])
  return { items: items.map(toMessage), next_cursor }
}

/**
 * Queues a dead message again, from its first attempt.
 * @throws ProblemError not_found; conflict where it is not dead, or too late
 */
export async function retryMessage(deps: MessageDeps, origin: Origin, id: string): Promise<Message> {
  const { store, clock } = deps
  return store.transact(async trx => {
    const at = clock.now()
    const message = await repo.lockMessage(trx, id)
    if (!message) throw new ProblemError('not_found')
    if (message.state !== 'dead') {
      throw new ProblemError('conflict', { detail: `The message is ${message.state}, not dead.` })
    }
    if (message.useful_until < at) {
      throw new ProblemError('conflict', { detail: 'It is too late: what the message says no longer holds.' })
    }
    const revived = await repo.reviveMessage(trx, id, at)
    await enqueueMessage(trx, id)
    await appendAudit(trx, at, origin, { action: 'message.retried', subject: { type: 'message', id } })
    return toMessage(revived)
  })
}

/**
 * Queues a text message in somebody's own words.
 * @returns its id
 * @throws ProblemError validation_failed, sms_opted_out, sms_unavailable
 */
export async function sendSms(
  deps: MessageDeps,
  origin: Origin,
  message: { to: string; text: string },
): Promise<string> {
  const to = phoneKey(message.to)
  if (to === null) {
    throw new ProblemError('validation_failed', {
      errors: [{ path: '/to', code: 'phone', message: `to ${phoneFault(message.to)}` }],
    })
  }
  if (await deps.optOuts.has(to)) throw new ProblemError('sms_opted_out')
  return deps.store.transact(async trx => {
    const id = await deps.outbound.sms(trx, { template: 'custom', to, data: { text: message.text } })
    await appendAudit(trx, deps.clock.now(), origin, { action: 'sms.sent', subject: { type: 'message', id } })
    return id
  })
}

const toMessage = ({ recipient, ...row }: repo.MessageRow): Message => ({
  ...row,
  to: recipient,
  created_at: row.created_at.toISOString(),
  next_attempt_at: row.next_attempt_at?.toISOString() ?? null,
  useful_until: row.useful_until.toISOString(),
  finished_at: row.finished_at?.toISOString() ?? null,
})
