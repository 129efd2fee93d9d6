import { plainLine } from '../mail/inert.ts'
import { postToApi, textOf } from './http-api.ts'
import { DeliveryError, type Fault, type OutgoingSms, type SmsProvider } from './provider.ts'

export type TwilioOptions = {
  accountSid: string
  authToken: string
  /** A number, a sender name, or a messaging service (`MG…`). */
  from: string
  /** Where it reports what became of a message; the message's id is added. */
  statusUrl: string
  /** For tests. */
  baseUrl?: string
  timeout?: number
}

/**
 * Twilio's Messages resource. It knows no idempotency: an attempt whose reply was lost may send twice. Plain
 * HTTP instead of Twilio's package, which would stay in memory for this one call.
 */
export function createTwilioProvider(options: TwilioOptions): SmsProvider {
  const { accountSid, authToken, from, statusUrl, baseUrl = 'https://api.twilio.com', timeout } = options
  return {
    name: 'twilio',
    async send({ id, to, text }: OutgoingSms) {
      const { status, body } = await postToApi(
        `${baseUrl}/2010-04-01/Accounts/${accountSid}/Messages.json`,
        {
          headers: {
            authorization: `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString('base64')}`,
            'content-type': 'application/x-www-form-urlencoded',
          },
          body: new URLSearchParams({
            To: to,
            [from.startsWith('MG') ? 'MessagingServiceSid' : 'From']: from,
            Body: text,
            StatusCallback: `${statusUrl}?message_id=${id}`,
          }).toString(),
        },
        timeout,
      )
      if (status >= 200 && status < 300) return { providerId: textOf(body.sid) }
      const reason = plainLine([textOf(body.code), textOf(body.message)].filter(Boolean).join(': '))
      throw new DeliveryError(faultOf(status, body.code), `status ${status} ${reason}`.trim())
    },
  }
}

/** Twilio's error codes: 21610 has replied STOP; the others name numbers that no message can reach. */
function faultOf(status: number, code: unknown): Fault {
  if (code === 21610) return 'opted_out'
  if (code === 21211 || code === 21614 || code === 21408 || code === 21612 || code === 21617) return 'message'
  return status === 401 || status === 403 ? 'busy' : 'unknown'
}
