import { plainLine } from '../mail/inert.ts'
import { postToApi, textOf } from './http-api.ts'
import { DeliveryError, type MailProvider, type OutgoingMail } from './provider.ts'

export type ResendOptions = {
  apiKey: string
  from: { name: string; address: string }
  /** For tests. */
  baseUrl?: string
  timeout?: number
}

/**
 * Resend's HTTP API, `POST /emails`. The message's id goes along as the `Idempotency-Key`, so that within 24
 * hours an attempt whose reply was lost can be repeated without a second mail.
 */
export function createResendProvider(options: ResendOptions): MailProvider {
  const { apiKey, from, baseUrl = 'https://api.resend.com', timeout } = options
  return {
    name: 'resend',
    async send(mail: OutgoingMail) {
      const { status, body } = await postToApi(
        `${baseUrl}/emails`,
        {
          headers: {
            authorization: `Bearer ${apiKey}`,
            'content-type': 'application/json',
            'idempotency-key': mail.id,
            'user-agent': 'roster',
          },
          body: JSON.stringify({
            from: `${quoted(from.name)} <${from.address}>`,
            to: [mail.to],
            subject: mail.subject,
            html: mail.html,
            text: mail.text,
            headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
          }),
        },
        timeout,
      )
      if (status >= 200 && status < 300) return { providerId: textOf(body.id) }
      throw refusal(status, body)
    },
  }
}

/**
 * 400 and 422 speak of the mail itself. 401 and 403 speak of the key or the sender's domain, 409 of another
 * attempt under way: those pass once somebody has put them right.
 */
function refusal(status: number, body: Readonly<Record<string, unknown>>): DeliveryError {
  const reason = plainLine([textOf(body.name), textOf(body.message)].filter(Boolean).join(': '))
  const fault =
    status === 400 || status === 422 ? 'message' : status === 401 || status === 403 ? 'busy' : 'unknown'
  return new DeliveryError(fault, `status ${status} ${reason}`.trim())
}

/** A display name as a quoted string (RFC 5322, section 3.2.4). */
const quoted = (name: string): string => `"${plainLine(name).replace(/["\\]/g, '')}"`
