import type { Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { Origin } from '../audit/index.ts'
import type { Factors } from '../factors/index.ts'
import type { LockedUser } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { dropFactors } from './enrol-factor.ts'
import { tellOfMfaChange } from './notices.ts'

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
