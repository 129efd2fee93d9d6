import type { Db } from '../../db/store.ts'
import { can, type Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { allPermissions, expandPermissions } from './permissions.ts'
import * as repo from './repo.ts'

/** @throws ProblemError forbidden where `permissions`, as a role stores them, go beyond what `principal` may */
export function refuseBeyond(principal: Principal, permissions: readonly string[], what: string): void {
  const beyond = [...expandPermissions(permissions)].find(permission => !can(principal, permission))
  if (beyond === undefined) return
  throw new ProblemError('forbidden', { detail: `${what} allows more than you may: ${beyond}.` })
}

/** For what binds administrators too. @throws ProblemError forbidden where `principal` lacks a permission */
export function refuseUnlessAll(principal: Principal, what: string): void {
  if (allPermissions.every(permission => can(principal, permission))) return
  throw new ProblemError('forbidden', { detail: `Only those who hold every permission change ${what}.` })
}

/** The field of a body that names roles. */
export type RoleField = 'role' | 'roles'

/**
 * Nobody grants what they don't hold.
 * @param field of each role, for the error
 * @throws ProblemError validation_failed for a role that doesn't exist, forbidden for one that allows more
 *   than `granter` may
 */
export async function refuseRolesBeyond(
  db: Db,
  granter: Principal,
  roles: readonly string[],
  field: (role: string) => RoleField = () => 'roles',
): Promise<void> {
  for (const name of roles) {
    const stored = await repo.findRolePermissions(db, name)
    if (!stored) throw unknownRole(name, field(name))
    refuseBeyond(granter, stored, `The role ${name}`)
  }
}

export const unknownRole = (name: string, field: RoleField): ProblemError =>
  new ProblemError('validation_failed', {
    errors: [
      { path: `/${field}`, code: 'unknown_role', message: `there is no role ${JSON.stringify(name)}` },
    ],
  })

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
