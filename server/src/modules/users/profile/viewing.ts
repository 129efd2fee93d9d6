import type { Store } from '../../../db/store.ts'
import { can, type Principal } from '../../../http/principal.ts'
import { ProblemError } from '../../../http/problems.ts'
import type { UserReader } from '../reading.ts'
import type { User } from '../schemas.ts'
import type { PublicUserRow } from './public-columns.ts'
import { findPublicUsers } from './repo.ts'

/** How much of a user somebody sees: their own record, any record in full, or the public part. */
export type View = 'own' | 'full' | 'public'

/**
 * How much of a user `principal` sees. Whoever sees nobody gets the same answer for every id, whether it
 * exists or not.
 * @throws ProblemError premium_required
 */
export async function viewOf(users: UserReader, principal: Principal, userId: string): Promise<View> {
  if (principal.userId === userId) return 'own'
  if (can(principal, 'users:read')) return 'full'
  if (await isPremium(users, principal.userId)) return 'public'
  throw new ProblemError('premium_required')
}

/** @throws ProblemError premium_required for those who may not search */
export async function refuseToSearch(users: UserReader, principal: Principal): Promise<void> {
  if (can(principal, 'users:read') || (await isPremium(users, principal.userId))) return
  throw new ProblemError('premium_required')
}

async function isPremium(users: UserReader, id: string): Promise<boolean> {
  const user = JSON.parse(await users.readJson(id)) as User // what the reader serialised
  return user.is_premium
}

/** A user as others see them. Inactive and private ones are not there for others. @throws ProblemError not_found */
export async function readPublicUser({ db }: Store, userId: string): Promise<PublicUserRow> {
  const [row] = await findPublicUsers(db, [userId])
  if (!row?.is_active || row.visibility === 'private') throw new ProblemError('not_found')
  return row
}
