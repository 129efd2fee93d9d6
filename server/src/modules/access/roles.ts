import { type ConstraintProblems, orConflict } from '../../db/constraints.ts'
import type { Store } from '../../db/store.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { allPermissions, unknownPermission } from './permissions.ts'
import * as repo from './repo.ts'
import { refuseBeyond, refuseUnlessAll } from './rights.ts'
import type { NewRole, Role, RoleChanges } from './schemas.ts'
import { adminRole } from './well-known.ts'

type Deps = { store: Store; clock: Clock }

const constraints: ConstraintProblems = {
  roles_pkey: 'role_taken',
  user_roles_role_name_fkey: 'role_in_use',
}

export async function listRoles({ store }: Pick<Deps, 'store'>): Promise<Role[]> {
  return (await repo.listRoles(store.db)).map(toRole)
}

/** @throws ProblemError not_found */
export async function readRole({ store }: Pick<Deps, 'store'>, name: string): Promise<Role> {
  const row = await repo.findRole(store.db, name)
  if (!row) throw new ProblemError('not_found')
  return toRole(row)
}

/** @throws ProblemError validation_failed, forbidden (beyond one's own rights), role_taken */
export async function createRole(
  { store, clock }: Deps,
  origin: Origin,
  principal: Principal,
  { name, description, permissions, requires_mfa = false }: NewRole,
): Promise<Role> {
  const kept = readPermissions(permissions)
  refuseBeyond(principal, kept, 'The role')
  await store.transact(async trx => {
    const at = clock.now()
    const role = { name, description, permissions: kept, requires_mfa, is_system: false, created_at: at }
    await orConflict(constraints, () => repo.insertRole(trx, role))
    await appendAudit(trx, at, origin, {
      action: 'role.created',
      subject: { type: 'role', id: name },
      details: { permissions: kept },
    })
    await appendEvent(trx, at, {
      type: 'role.created',
      data: { role: name, permissions: kept, createdAt: at.toISOString() },
    })
  })
  return readRole({ store }, name)
}

/**
 * Changes a role; every holder's next request obeys, in other processes within a second. A change that changes
 * nothing leaves no trace.
 * @throws ProblemError not_found, validation_failed, system_role (the rights of `admin`), forbidden where the role
 *   allows more than `principal` may, before or after, and to whoever lacks any permission where it is a system role
 *   or `requires_mfa` changes: that could shut out administrators
 */
export async function updateRole(
  { store, clock }: Deps,
  origin: Origin,
  principal: Principal,
  name: string,
  changes: RoleChanges,
): Promise<Role> {
  const permissions = changes.permissions && readPermissions(changes.permissions)
  await store.transact(async trx => {
    await repo.lockRole(trx, name)
    const before = await repo.findRole(trx, name)
    if (!before) throw new ProblemError('not_found')
    refuseBeyond(principal, before.permissions, `The role ${name}`)
    if (before.is_system) refuseUnlessAll(principal, `the system role ${name}`)
    const wanted = {
      description: changes.description ?? before.description,
      permissions: permissions ?? before.permissions,
      requires_mfa: changes.requires_mfa ?? before.requires_mfa,
    }
    const changed = changedFields(before, wanted)
    if (changed.length === 0) return
    if (changed.includes('requires_mfa')) refuseUnlessAll(principal, 'requires_mfa')
    if (changed.includes('permissions')) {
      if (name === adminRole) {
        throw new ProblemError('system_role', { detail: 'The admin role allows everything, always.' })
      }
      refuseBeyond(principal, wanted.permissions, 'The role')
    }
    const at = clock.now()
    await repo.updateRole(trx, name, { ...wanted, updated_at: at })
    await appendAudit(trx, at, origin, {
      action: 'role.updated',
      subject: { type: 'role', id: name },
      changedFields: changed,
      details: {
        added: wanted.permissions.filter(one => !before.permissions.includes(one)),
        removed: before.permissions.filter(one => !wanted.permissions.includes(one)),
      },
    })
    await appendEvent(trx, at, {
      type: 'role.updated',
      data: { role: name, permissions: wanted.permissions, updatedAt: at.toISOString() },
    })
    await store.announce(trx, { kind: 'access' })
  })
  return readRole({ store }, name)
}

/** @throws ProblemError not_found, system_role, role_in_use (take it from its holders first), forbidden */
export function deleteRole(
  { store, clock }: Deps,
  origin: Origin,
  principal: Principal,
  name: string,
): Promise<void> {
  return store.transact(async trx => {
    await repo.lockRole(trx, name)
    const role = await repo.findRole(trx, name)
    if (!role) throw new ProblemError('not_found')
    if (role.is_system) throw new ProblemError('system_role')
    refuseBeyond(principal, role.permissions, `The role ${name}`)
    await orConflict(constraints, () => repo.deleteRole(trx, name))
    const at = clock.now()
    await appendAudit(trx, at, origin, { action: 'role.deleted', subject: { type: 'role', id: name } })
    await appendEvent(trx, at, { type: 'role.deleted', data: { role: name, deletedAt: at.toISOString() } })
    await store.announce(trx, { kind: 'access' })
  })
}

/** Without repetitions, in the catalogue's order. @throws ProblemError validation_failed for an unknown one */
function readPermissions(asked: readonly string[]): string[] {
  const known = ['*', ...allPermissions]
  const unknown = asked.filter(permission => !known.includes(permission))
  if (unknown.length > 0) {
    throw new ProblemError('validation_failed', {
      errors: unknown.map(permission => unknownPermission('/permissions', permission)),
    })
  }
  return known.filter(permission => asked.includes(permission))
}

type Editable = Pick<Role, 'description' | 'permissions' | 'requires_mfa'>

function changedFields(before: Editable, wanted: Editable): (keyof Editable)[] {
  const fields = ['description', 'permissions', 'requires_mfa'] as const
  return fields.filter(field => String(before[field]) !== String(wanted[field]))
}

const toRole = (row: repo.RoleRow): Role => ({
  name: row.name,
  description: row.description,
  permissions: row.permissions,
  is_system: row.is_system,
  requires_mfa: row.requires_mfa,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at?.toISOString() ?? null,
})
