import type { Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import { emailKey } from '../../lib/text.ts'
import type { Verification } from '../verification/index.ts'

export type VerificationMailDeps = { verification: Verification; outbound: Outbound }

/**
 * Who asked for the mail. `owner`: somebody who was registering the account or signed in to it. `anyone`:
 * somebody who knows the address; if that is another person, the account is not theirs (see verify-email.ts).
 */
export type Asker = 'owner' | 'anyone'

type Recipient = { id: string; email: string; name: string | null; locale?: string | null }

/**
 * Sends the mail that proves an address, with a code and a link. Both are one message in the quota.
 * @throws ProblemError otp_quota_exceeded, otp_cooldown
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
  const code = await verification.issueCode(trx, at, proof)
  const { url } = await verification.issueLink(trx, at, { ...proof, counted: false })
  await outbound.mail(trx, {
    template: 'verify_email',
    to: email,
    locale,
    userId,
    data: { name, code, link: url },
  })
}
