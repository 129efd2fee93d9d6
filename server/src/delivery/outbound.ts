import type { Db, Tx } from '../db/store.ts'
import { ProblemError } from '../http/problems.ts'
import { addTime, type Clock } from '../lib/clock.ts'
import { uuidv7 } from '../lib/ids.ts'
import { phoneKey } from '../lib/phone.ts'
import { emailKey } from '../lib/text.ts'
import type { ContentSeal } from './content-seal.ts'
import { enqueueMessage } from './jobs.ts'
import type { DeliveryMetrics } from './metrics.ts'
import { insertMessage } from './repo.ts'
import {
  type MailData,
  type MailTemplate,
  mailTemplates,
  type SmsData,
  type SmsTemplate,
  smsTemplates,
} from './templates.ts'

type Message<Data, Template extends keyof Data> = {
  template: Template
  /** An e-mail address as the person typed it, or an E.164 number. */
  to: string
  /** BCP 47; by default the user's. */
  locale?: string | null | undefined
  /** Whose message it is: it is erased with them. */
  userId?: string | undefined
  data: Data[Template]
}

export type MailMessage<Template extends MailTemplate = MailTemplate> = {
  [T in Template]: Message<MailData, T>
}[Template]

export type SmsMessage<Template extends SmsTemplate = SmsTemplate> = {
  [T in Template]: Message<SmsData, T>
}[Template]

/**
 * The way out for messages to people. Both queue in the caller's transaction, so that a message goes out if
 * and only if the change commits, and both give the message's id. They ask nothing of a provider: a slow one
 * never slows a request.
 */
export type Outbound = {
  /**
   * @returns undefined where the user has switched off mail of this kind: nothing is sent then
   * @throws where `to` is no address that `emailKey` takes, or a link leads away from this service
   */
  mail(trx: Tx, message: MailMessage): Promise<string | undefined>
  /** @throws ProblemError sms_unavailable where no provider is configured */
  sms(trx: Tx, message: SmsMessage): Promise<string>
}

/** Whether a user wants mail of a template. Notices about safety can't be switched off. */
export type WantsMail = (db: Db, userId: string, template: MailTemplate) => Promise<boolean>

export type OutboundDeps = {
  clock: Clock
  seal: ContentSeal
  metrics: DeliveryMetrics
  wantsMail: WantsMail
  /** Every link in a mail starts with it. */
  publicUrl: string
  emailProvider: 'resend' | 'smtp' | 'mailbox'
  smsProvider: 'twilio' | 'mailbox' | 'none'
}

export function createOutbound(deps: OutboundDeps): Outbound {
  const queue = createQueue(deps)
  return {
    async mail(trx, message) {
      if (emailKey(message.to) === null)
        throw new Error(`not an address to send mail to (${message.template})`)
      checkLinks(message, deps.publicUrl)
      const { template, userId } = message
      if (userId !== undefined && !(await deps.wantsMail(trx, userId, template))) return undefined
      return queue(trx, { ...message, channel: 'email', ...mailTemplates[message.template] })
    },
    async sms(trx, message) {
      if (deps.smsProvider === 'none') throw new ProblemError('sms_unavailable')
      if (phoneKey(message.to) !== message.to) throw new Error(`not an E.164 number (${message.template})`)
      return queue(trx, { ...message, channel: 'sms', ...smsTemplates[message.template] })
    },
  }
}

/** A request's host, or anything else from outside, must never choose where a mail leads. */
function checkLinks({ template, data }: MailMessage, publicUrl: string): void {
  for (const [key, value] of Object.entries(data)) {
    if ((key === 'link' || key.endsWith('_link')) && !String(value).startsWith(`${publicUrl}/`)) {
      throw new Error(`${key} of ${template} does not start with PUBLIC_URL`)
    }
  }
}

type Queued = (MailMessage | SmsMessage) & { channel: 'email' | 'sms'; usefulFor: number }

function createQueue({ clock, seal, metrics, emailProvider, smsProvider }: OutboundDeps) {
  return async (trx: Tx, message: Queued): Promise<string> => {
    const { channel, template, to, userId, locale } = message
    const at = clock.now()
    const id = uuidv7(at)
    const kept = (channel === 'email' ? emailProvider : smsProvider) === 'mailbox'
    await insertMessage(trx, {
      id,
      channel,
      template,
      recipient: to,
      user_id: userId ?? null,
      locale: locale ?? null,
      created_at: at,
      useful_until: addTime(at, message.usefulFor),
      content: seal.close(id, message.data),
      kept,
    })
    if (kept) metrics.sent(channel)
    else await enqueueMessage(trx, id)
    return id
  }
}
