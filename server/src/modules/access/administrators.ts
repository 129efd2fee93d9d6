import type { Db, Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import * as repo from './repo.ts'
import { adminRole } from './well-known.ts'

/** Whether there is an active administrator. */
export const hasAdministrator = (db: Db): Promise<boolean> => repo.hasActiveHolder(db, adminRole)

/**
 * Lets one transaction at a time decide who administers: until `trx` ends, another that asks waits. Without
 * it two requests could each see the other's administrator, or each see none.
 */
export const lockAdministration = (trx: Tx): Promise<void> => repo.lockRole(trx, adminRole)

/**
 * Runs a change that may leave `userId` without the admin role, inactive or gone, and takes it back where that
 * would have been the last active administrator. Lock the user before; administration is locked here.
 * @throws ProblemError last_administrator
 */
export async function keepAnAdministrator<T>(trx: Tx, userId: string, change: () => Promise<T>): Promise<T> {
  if (!(await repo.grantedRoles(trx, userId)).includes(adminRole)) return change()
  await lockAdministration(trx)
  const had = await hasAdministrator(trx)
  const result = await change()
  if (had && !(await hasAdministrator(trx))) throw new ProblemError('last_administrator')
  return result
}
