import type { Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import { unusablePasswordHash } from '../../hashing/unusable-hash.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import type { Factors } from '../factors/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { type LockedUser, replacePasswordHash } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { endAccess } from './end-access.ts'
import { dropFactors } from './enrol-factor.ts'
import { tellOfMfaChange } from './notices.ts'
import { sendResetMail } from './reset-mail.ts'

export type HandOverDeps = { factors: Factors; verification: Verification; outbound: Outbound }

/**
 * Takes an account from whoever made it, for the owner of its address, who proves for the first time that it is
 * theirs: somebody else may have registered with it, and have kept a way in for later (“pre-hijacking”, Sudhodanan
 * and Paverd, 2022). Factors, passkeys, codes and links end. End the password and their access with it.
 */
export async function handOver(
  deps: HandOverDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
): Promise<void> {
  await deps.verification.cancel(trx, user.id)
  await dropMakersFactors(deps, trx, at, origin, user)
}

/**
 * Takes away every factor and passkey that was enrolled before anybody had proved the address. False where there
 * were none.
 */
export async function dropMakersFactors(
  deps: Pick<HandOverDeps, 'factors' | 'outbound'>,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
): Promise<boolean> {
  if (!(await dropFactors(deps, trx, at, origin, user.id))) return false
  await tellOfMfaChange(deps.outbound, trx, user, 'all_handed_over')
  return true
}

/**
 * Hands an account over to whoever has the mailbox and nothing else: with no password but the one that they may
 * choose by the mail which this sends.
 */
export async function handOverByMail(
  deps: HandOverDeps & { store: Store; sessions: Sessions },
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
): Promise<void> {
  await replacePasswordHash(trx, { userId: user.id, hash: unusablePasswordHash(), at })
  await handOver(deps, trx, at, origin, user)
  await endAccess(deps, trx, at, origin, { userId: user.id, reason: 'email_verified' })
  await appendAudit(trx, at, origin, {
    action: 'user.credentials_revoked',
    subject: { type: 'user', id: user.id },
    changedFields: ['password'],
    details: { reason: 'email_verified' },
  })
  // Strangers may have used the quota up, and without this mail nobody gets in any more.
  await sendResetMail(deps, trx, at, user, { counted: false })
}
