import type { Eraser } from '../../db/eraser.ts'
import type { Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { refuseMightier } from '../access/index.ts'
import type { Factors } from '../factors/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { type LockedUser, lockUser, type UsernameDeps, type UserReader } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'

export type AdministrationDeps = UsernameDeps & {
  store: Store
  clock: Clock
  cursorKey: Buffer
  users: UserReader
  sessions: Sessions
  factors: Factors
  verification: Verification
  outbound: Outbound
  erasers: readonly Eraser[]
  /** ERASE_AFTER_DAYS */
  eraseAfterDays: number
  /** What forgets a user's failed attempts, of every kind there is. */
  unlockers: readonly Unlocker[]
}

export type Unlocker = (trx: Tx, at: Date, user: LockedUser) => Promise<void>

/**
 * Locks the user that an administrator is about to act on.
 * @throws ProblemError not_found, forbidden where the user may do more than the administrator
 */
export async function lockSubject(trx: Tx, principal: Principal, userId: string): Promise<LockedUser> {
  const user = await lockUser(trx, userId)
  if (!user) throw new ProblemError('not_found')
  await refuseMightier(trx, principal, userId)
  return user
}

/** Locks the user, then changes what is about them, in one transaction. @throws ProblemError not_found, forbidden */
export function changeSubject<T>(
  { store, clock }: Pick<AdministrationDeps, 'store' | 'clock'>,
  principal: Principal,
  userId: string,
  change: (trx: Tx, at: Date, user: LockedUser) => Promise<T>,
): Promise<T> {
  return store.transact(async trx => {
    const at = clock.now()
    return change(trx, at, await lockSubject(trx, principal, userId))
  })
}
