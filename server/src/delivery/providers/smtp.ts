import type { Transporter } from 'nodemailer'
import { withTimeout } from '../../lib/promises.ts'
import { plainLine } from '../mail/inert.ts'
import {
  DeliveryError,
  type Fault,
  type MailProvider,
  type OutgoingMail,
  providerTimeout,
} from './provider.ts'

export type SmtpOptions = {
  url: string
  from: { name: string; address: string }
  /** Refuses to go on without TLS. */
  requireTls: boolean
  timeout?: number
}

/**
 * Any SMTP server (RFC 5321). SMTP knows no idempotency: where the connection breaks after the data and before
 * the reply, the mail may come twice; its Message-ID is the same both times, by which mail programs can tell.
 */
export function createSmtpProvider(options: SmtpOptions): MailProvider {
  const { from, timeout = providerTimeout } = options
  let transport: Promise<Transporter> | undefined
  return {
    name: 'smtp',
    async send(mail: OutgoingMail) {
      transport ??= openTransport(options, timeout)
      const opened = await transport
      const { messageId } = await within(
        timeout,
        opened.sendMail({
          from: { name: plainLine(from.name), address: from.address },
          // As an object it is one address, whatever is in it; as a text it would be parsed as a list.
          to: { name: '', address: mail.to },
          subject: mail.subject,
          html: mail.html,
          text: mail.text,
          messageId: `<${mail.id}@${from.address.slice(from.address.lastIndexOf('@') + 1)}>`,
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
          disableFileAccess: true,
          disableUrlAccess: true,
        }),
      )
      return { providerId: messageId }
    },
  }
}

async function openTransport({ url, requireTls }: SmtpOptions, timeout: number): Promise<Transporter> {
  const { createTransport } = await import('nodemailer')
  const { protocol, hostname, port, username, password } = new URL(url)
  const secure = protocol === 'smtps:'
  return createTransport({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    requireTLS: requireTls && !secure,
    ...(username && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    dnsTimeout: timeout,
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
  })
}

/** A server that answers each command just in time would otherwise hold an attempt for a minute. */
const within = <T>(timeout: number, sending: Promise<T>): Promise<T> =>
  withTimeout(
    sending.catch(error => {
      throw toDeliveryError(error)
    }),
    timeout,
    () => new DeliveryError('busy', 'no reply in time'),
  )

type SmtpError = Error & { code?: string; responseCode?: number; command?: string }

function toDeliveryError(error: unknown): DeliveryError {
  const { code, responseCode, command }: Partial<SmtpError> = error instanceof Error ? error : {}
  const parts = [code, responseCode, command && `at ${command.split(' ', 1)[0]}`]
  return new DeliveryError(faultOf(code, responseCode), parts.filter(Boolean).join(' ') || 'failed', error)
}

/** 5xx to the recipient or the data is final (RFC 5321, section 4.2.1); to the login it is the operator's affair. */
function faultOf(code: string | undefined, responseCode: number | undefined): Fault {
  if (code === 'EAUTH' || responseCode === undefined) return code === 'EENVELOPE' ? 'message' : 'busy'
  if (code === 'EENVELOPE' || code === 'EMESSAGE') return responseCode >= 500 ? 'message' : 'unknown'
  return 'busy'
}
