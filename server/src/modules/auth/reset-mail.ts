import type { Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { LockedUser } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { nameOf } from './owner.ts'

/**
 * Sends a link for choosing a new password.
 * @param template `address_already_registered` where somebody tried to register with the address
 * @throws ProblemError otp_quota_exceeded
 */
export async function sendResetMail(
  { verification, outbound }: { verification: Verification; outbound: Outbound },
  trx: Tx,
  at: Date,
  user: LockedUser,
  template: 'password_reset' | 'address_already_registered' = 'password_reset',
): Promise<void> {
  const { url } = await verification.issueLink(trx, at, {
    purpose: 'PASSWORD_RESET',
    userId: user.id,
    target: user.email_key,
  })
  await outbound.mail(trx, {
    template,
    to: user.email,
    locale: user.locale,
    userId: user.id,
    data: { name: nameOf(user), link: url },
  })
}
