import type { Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { LockedUser } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { nameOf } from './owner.ts'

export type ResetTemplate = 'password_reset' | 'address_already_registered'

/**
 * Sends a link for choosing a new password.
 * @param options.template `address_already_registered` where somebody tried to register with the address
 * @param options.counted false where it must go out whatever the quota of the address says
 * @throws ProblemError otp_quota_exceeded
 */
export async function sendResetMail(
  { verification, outbound }: { verification: Verification; outbound: Outbound },
  trx: Tx,
  at: Date,
  user: LockedUser,
  options: { template?: ResetTemplate; counted?: boolean } = {},
): Promise<void> {
  const { url } = await verification.issueLink(trx, at, {
    purpose: 'PASSWORD_RESET',
    userId: user.id,
    target: user.email_key,
    ...(options.counted !== undefined && { counted: options.counted }),
  })
  await outbound.mail(trx, {
    template: options.template ?? 'password_reset',
    to: user.email,
    locale: user.locale,
    userId: user.id,
    data: { name: nameOf(user), link: url },
  })
}
