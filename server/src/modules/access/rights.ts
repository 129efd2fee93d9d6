import type { Db } from '../../db/store.ts'
import { can, type Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { expandPermissions } from './permissions.ts'
import * as repo from './repo.ts'

/** @throws ProblemError forbidden where `permissions`, as a role stores them, go beyond what `principal` may */
export function refuseBeyond(principal: Principal, permissions: readonly string[], what: string): void {
  const beyond = [...expandPermissions(permissions)].find(permission => !can(principal, permission))
  if (beyond === undefined) return
  throw new ProblemError('forbidden', { detail: `${what} allows more than you may: ${beyond}.` })
}

/**
 * Nobody grants what they don't hold.
 * @throws ProblemError validation_failed for a role that doesn't exist, forbidden for one that allows more
 *   than `granter` may
 */
export async function refuseRolesBeyond(db: Db, granter: Principal, roles: readonly string[]): Promise<void> {
  for (const name of roles) {
    const stored = await repo.findRolePermissions(db, name)
    if (!stored) {
      throw new ProblemError('validation_failed', {
        errors: [
          { path: '/roles', code: 'unknown_role', message: `there is no role ${JSON.stringify(name)}` },
        ],
      })
    }
    refuseBeyond(granter, stored, `The role ${name}`)
  }
}

/**
 * Nobody administers somebody who may more than they do: through a changed address, a reset or a session they
 * would come into rights that they lack.
 * @throws ProblemError forbidden
 */
export async function refuseMightier(db: Db, principal: Principal, userId: string): Promise<void> {
  if (principal.userId === userId) return
  const roles = await repo.rolesOf(db, userId)
  refuseBeyond(
    principal,
    roles.flatMap(role => role.permissions),
    'This user’s role',
  )
}
