import type { Store, Tx } from '../../db/store.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { keepAnAdministrator } from './administrators.ts'
import * as repo from './repo.ts'
import { type RoleField, refuseMightier, refuseRolesBeyond, unknownRole } from './rights.ts'
import { adminRole, defaultRole } from './well-known.ts'

/**
 * Gives a new user a role; holding it already is no error and leaves no trace.
 * @throws ProblemError validation_failed for a role that doesn't exist (any more)
 */
export async function grantRole(
  trx: Tx,
  at: Date,
  origin: Origin,
  { userId, role, field = 'roles' }: { userId: string; role: string; field?: RoleField },
): Promise<void> {
  if (role === defaultRole) return
  if (await addGrant(trx, at, origin, userId, role, field)) await publishRoles(trx, at, userId)
}

/** The roles of a user, the default one included, in order. @throws ProblemError not_found */
export async function readRoles({ db }: Pick<Store, 'db'>, userId: string): Promise<string[]> {
  if (!(await repo.userExists(db, userId))) throw new ProblemError('not_found')
  return withDefault(await repo.grantedRoles(db, userId))
}

/**
 * Changes which roles a user holds. Nobody gives or takes a role that allows more than they may themselves, nor
 * any of somebody who may more. The last active administrator stays one.
 * @param decide from the roles held beyond the default one to those that shall be
 * @param field that names them in the body
 * @returns all roles held then
 * @throws ProblemError not_found, validation_failed (unknown role), forbidden, last_administrator
 */
export function changeRoles(
  { store, clock }: { store: Store; clock: Clock },
  origin: Origin,
  principal: Principal,
  userId: string,
  decide: (held: readonly string[]) => readonly string[],
  field: RoleField = 'roles',
): Promise<string[]> {
  return store.transact(async trx => {
    if (!(await repo.lockMember(trx, userId))) throw new ProblemError('not_found')
    await refuseMightier(trx, principal, userId)
    const held = await repo.grantedRoles(trx, userId)
    const wanted = new Set(decide(held).filter(role => role !== defaultRole))
    const added = [...wanted].filter(role => !held.includes(role)).sort()
    const removed = held.filter(role => !wanted.has(role)).sort()
    if (added.length === 0 && removed.length === 0) return withDefault(held)
    const changed = [...added, ...removed]
    await refuseRolesBeyond(trx, principal, changed, () => field)
    const at = clock.now()
    const apply = async () => {
      for (const role of removed) await removeGrant(trx, at, origin, userId, role)
      for (const role of added) await addGrant(trx, at, origin, userId, role, field)
    }
    await (removed.includes(adminRole) ? keepAnAdministrator(trx, userId, apply) : apply())
    await repo.touchUser(trx, userId, at, origin.actorId ?? null)
    await store.announce(trx, { kind: 'user', id: userId })
    return publishRoles(trx, at, userId)
  })
}

async function addGrant(
  trx: Tx,
  at: Date,
  origin: Origin,
  userId: string,
  role: string,
  field: RoleField,
): Promise<boolean> {
  if (!(await repo.holdRole(trx, role))) throw unknownRole(role, field)
  const grant = { user_id: userId, role_name: role, granted_at: at, granted_by: origin.actorId ?? null }
  if (!(await repo.insertGrant(trx, grant))) return false
  await appendAudit(trx, at, origin, {
    action: 'role.granted',
    subject: { type: 'user', id: userId },
    details: { role },
  })
  return true
}

async function removeGrant(trx: Tx, at: Date, origin: Origin, userId: string, role: string): Promise<void> {
  await repo.deleteGrant(trx, userId, role)
  await appendAudit(trx, at, origin, {
    action: 'role.revoked',
    subject: { type: 'user', id: userId },
    details: { role },
  })
}

async function publishRoles(trx: Tx, at: Date, userId: string): Promise<string[]> {
  const roles = withDefault(await repo.grantedRoles(trx, userId))
  await appendEvent(trx, at, {
    type: 'user.roles_updated',
    userId,
    data: { userId, roles, updatedAt: at.toISOString() },
  })
  return roles
}

const withDefault = (granted: readonly string[]): string[] => [...granted, defaultRole].sort()
