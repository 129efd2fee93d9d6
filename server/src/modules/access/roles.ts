import type { Db, Tx } from '../../db/store.ts'
import { can, type Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { expandPermissions } from './permissions.ts'
import * as repo from './repo.ts'

export const adminRole = 'admin'
/** Everybody holds it, without a grant. */
export const defaultRole = 'user'

/** Whether there is an active administrator. */
export const hasAdministrator = (db: Db): Promise<boolean> => repo.hasActiveHolder(db, adminRole)

/**
 * Lets one transaction at a time decide who administers: until `trx` ends, another that asks waits. Without
 * it two requests could each see the other's administrator, or each see none.
 */
export const lockAdministration = (trx: Tx): Promise<void> => repo.lockRole(trx, adminRole)

/** Gives a user a role; holding it already is no error and leaves no trace. */
export async function grantRole(
  trx: Tx,
  at: Date,
  origin: Origin,
  grant: { userId: string; role: string },
): Promise<void> {
  if (grant.role === defaultRole) return
  const added = await repo.insertGrant(trx, {
    user_id: grant.userId,
    role_name: grant.role,
    granted_at: at,
    granted_by: origin.actorId ?? null,
  })
  if (!added) return
  const roles = [...(await repo.grantedRoles(trx, grant.userId)), defaultRole].sort()
  await appendAudit(trx, at, origin, {
    action: 'role.granted',
    subject: { type: 'user', id: grant.userId },
    details: { role: grant.role },
  })
  await appendEvent(trx, at, {
    type: 'user.roles_updated',
    userId: grant.userId,
    data: { userId: grant.userId, roles, updatedAt: at.toISOString() },
  })
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
    const beyond = [...expandPermissions(stored)].filter(permission => !can(granter, permission))
    if (beyond.length > 0) {
      throw new ProblemError('forbidden', {
        detail: `The role ${name} allows more than you may: ${beyond[0]}.`,
      })
    }
  }
}
