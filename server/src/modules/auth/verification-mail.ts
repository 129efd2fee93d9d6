import type { Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import { ProblemError } from '../../http/problems.ts'
import { emailKey } from '../../lib/text.ts'
import type { Verification } from '../verification/index.ts'

export type VerificationMailDeps = { verification: Verification; outbound: Outbound }

/**
 * Who asked for the mail. `owner`: somebody who was registering the account, or knows its password. `signed_in`:
 * somebody in a session of it, again and again if they like. `anyone`: somebody who knows the address; if that is
 * another person, the account is not theirs (see verify-email.ts).
 */
export type Asker = 'owner' | 'signed_in' | 'anyone'

type Recipient = { id: string; email: string; name: string | null; locale?: string | null }

/**
 * Sends the mail that proves an address, with a code and a link. Both are one message in the quota. While wrong
 * guesses keep the address closed to codes, the link goes alone.
 * @throws ProblemError otp_quota_exceeded
 */
export async function sendVerificationMail(
  { verification, outbound }: VerificationMailDeps,
  trx: Tx,
  at: Date,
  { id: userId, email, name, locale }: Recipient,
  asker: Asker,
): Promise<void> {
  const proof = {
    purpose: 'EMAIL_VERIFICATION',
    userId,
    target: emailKey(email) ?? '',
    data: { asker },
  } as const
  const code = await unlessCooling(() => verification.issueCode(trx, at, proof))
  const { url } = await verification.issueLink(trx, at, { ...proof, counted: code === undefined })
  await outbound.mail(trx, {
    template: 'verify_email',
    to: email,
    locale,
    userId,
    data: { name, ...(code !== undefined && { code }), link: url },
  })
}

async function unlessCooling(issue: () => Promise<string>): Promise<string | undefined> {
  try {
    return await issue()
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'otp_cooldown') return undefined
    throw error
  }
}
