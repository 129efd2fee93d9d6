import type { Db } from '../../db/store.ts'
import { pageOf, readCursor } from '../../http/paging.ts'
import { can, type Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { nilUuid } from '../../lib/ids.ts'
import { expandPermissions, permissions, unknownPermission } from './permissions.ts'
import * as repo from './repo.ts'
import type { RoleMembers } from './schemas.ts'
import { defaultRole } from './well-known.ts'

/**
 * One page of the holders of a role; who they are in person, and the list of everybody, for those alone who may
 * read users.
 * @throws ProblemError not_found, forbidden, validation_failed for a foreign cursor
 */
export async function listMembers(
  { db, cursorKey }: { db: Db; cursorKey: Buffer },
  principal: Principal,
  role: string,
  page: { limit: number; cursor?: string | undefined },
): Promise<RoleMembers> {
  if (!(await repo.findRole(db, role))) throw new ProblemError('not_found')
  const inFull = can(principal, 'users:read')
  if (role === defaultRole && !inFull) {
    throw new ProblemError('forbidden', {
      detail: 'Everybody holds the role user: this needs the permission users:read.',
    })
  }
  const list = { key: cursorKey, name: `members of ${role}` }
  const [after = nilUuid] = readCursor(list, page.cursor, ['string']) ?? []
  const rows = await repo.listMembers(db, { role, after, limit: page.limit + 1 })
  const { items, next_cursor } = pageOf(list, rows, page.limit, ({ id }) => [id])
  return { items: items.map(row => toMember(row, inFull)), next_cursor }
}

function toMember(row: repo.MemberRow, inFull: boolean): RoleMembers['items'][number] {
  const { id, username, email, full_name, is_active, granted_by } = row
  const granted_at = row.granted_at?.toISOString() ?? null
  return { id, username, ...(inFull && { email, full_name, is_active }), granted_at, granted_by }
}

/**
 * Whether a user may do something, and by which of their roles. Nobody inactive may.
 * @throws ProblemError not_found, validation_failed for a permission that doesn't exist
 */
export async function checkPermission(
  db: Db,
  { user_id, permission }: { user_id: string; permission: string },
): Promise<{ allowed: boolean; roles: string[] }> {
  if (!Object.hasOwn(permissions, permission)) {
    throw new ProblemError('validation_failed', { errors: [unknownPermission('/permission', permission)] })
  }
  const held = await repo.rolesOf(db, user_id)
  if (held.length === 0) throw new ProblemError('not_found')
  const allowing = held.filter(role => role.is_active && expandPermissions(role.permissions).has(permission))
  return { allowed: allowing.length > 0, roles: allowing.map(role => role.name).sort() }
}
