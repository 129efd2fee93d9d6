/** A message ready to leave. */
export type OutgoingMail = { id: string; to: string; subject: string; html: string; text: string }
export type OutgoingSms = { id: string; to: string; text: string }

/** What a provider says of a message it took. */
export type Accepted = {
  /** Its own name for the message, under which it reports later. */
  providerId: string | undefined
}

export type MailProvider = {
  name: 'smtp' | 'resend'
  /** @throws DeliveryError */
  send(mail: OutgoingMail): Promise<Accepted>
}

export type SmsProvider = {
  name: 'twilio'
  /** @throws DeliveryError */
  send(sms: OutgoingSms): Promise<Accepted>
}

/** Milliseconds that a provider may take for one message. */
export const providerTimeout = 10_000

/**
 * - `message`: the provider will never take this one (no such mailbox, a number that can't be).
 * - `opted_out`: the person has asked the provider for silence.
 * - `busy`: the provider takes nothing now, or could not be reached. Others would fare no better.
 * - `unknown`: this attempt failed; the next may work.
 */
export type Fault = 'message' | 'opted_out' | 'busy' | 'unknown'

/** An attempt that failed. The message is for operators: it holds nothing of the message's content. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError'
  readonly fault: Fault

  constructor(fault: Fault, message: string, cause?: unknown) {
    super(message, { cause })
    this.fault = fault
  }
}
