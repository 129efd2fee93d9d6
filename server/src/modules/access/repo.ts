import { type Insertable, type Selectable, sql, type Updateable } from 'kysely'
import type { Db, Tx } from '../../db/store.ts'
import type { RolesTable, UserRolesTable } from '../../db/tables.ts'

export type RoleRow = Selectable<RolesTable>

export async function hasActiveHolder(db: Db, role: string): Promise<boolean> {
  const row = await db
    .selectFrom('user_roles')
    .innerJoin('users', 'users.id', 'user_roles.user_id')
    .select('users.id')
    .where('role_name', '=', role)
    .where('users.is_active', '=', true)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

export async function lockRole(trx: Tx, role: string): Promise<void> {
  await trx.selectFrom('roles').select('name').where('name', '=', role).forUpdate().execute()
}

/** Keeps a role from being deleted until `trx` ends. False where there is none, or is none any more. */
export async function holdRole(trx: Tx, role: string): Promise<boolean> {
  const row = await trx
    .selectFrom('roles')
    .select('name')
    .where('name', '=', role)
    .forKeyShare()
    .executeTakeFirst()
  return row !== undefined
}

export async function listRoles(db: Db): Promise<RoleRow[]> {
  return db.selectFrom('roles').selectAll().orderBy('is_system', 'desc').orderBy('name').execute()
}

export async function findRole(db: Db, name: string): Promise<RoleRow | undefined> {
  return db.selectFrom('roles').selectAll().where('name', '=', name).executeTakeFirst()
}

export async function insertRole(trx: Tx, role: Insertable<RolesTable>): Promise<void> {
  await trx.insertInto('roles').values(role).execute()
}

export async function updateRole(trx: Tx, name: string, changes: Updateable<RolesTable>): Promise<void> {
  await trx.updateTable('roles').set(changes).where('name', '=', name).execute()
}

export async function deleteRole(trx: Tx, name: string): Promise<void> {
  await trx.deleteFrom('roles').where('name', '=', name).execute()
}

export async function insertGrant(trx: Tx, grant: Insertable<UserRolesTable>): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('user_roles')
    .values(grant)
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

export async function deleteGrant(trx: Tx, userId: string, role: string): Promise<void> {
  await trx.deleteFrom('user_roles').where('user_id', '=', userId).where('role_name', '=', role).execute()
}

/** Names of the roles held beyond the default one. */
export async function grantedRoles(db: Db, userId: string): Promise<string[]> {
  const { rows } = await sql<{ role_name: string }>`
    select role_name from user_roles where user_id = ${userId}`.execute(db)
  return rows.map(row => row.role_name)
}

export async function findRolePermissions(db: Db, name: string): Promise<string[] | undefined> {
  const row = await db.selectFrom('roles').select('permissions').where('name', '=', name).executeTakeFirst()
  return row?.permissions
}

export type HeldRole = { name: string; permissions: string[]; requires_mfa: boolean; is_active: boolean }

/** The roles of a user, the default one included, with their stored permissions; none for an unknown user. */
export async function rolesOf(db: Db, userId: string): Promise<HeldRole[]> {
  const { rows } = await sql<HeldRole>`
    select r.name, r.permissions, r.requires_mfa, u.is_active
    from users u join roles r
      on r.name = any (array(select role_name from user_roles g where g.user_id = u.id) || 'user'::text)
    where u.id = ${userId}`.execute(db)
  return rows
}

export async function userExists(db: Db, userId: string): Promise<boolean> {
  const row = await db.selectFrom('users').select('id').where('id', '=', userId).executeTakeFirst()
  return row !== undefined
}

/** Locks a user against other changes of their roles or state until `trx` ends. */
export async function lockMember(trx: Tx, userId: string): Promise<boolean> {
  const row = await trx
    .selectFrom('users')
    .select('id')
    .where('id', '=', userId)
    .forNoKeyUpdate()
    .executeTakeFirst()
  return row !== undefined
}

export async function touchUser(trx: Tx, userId: string, at: Date, by: string | null): Promise<void> {
  await trx.updateTable('users').set({ updated_at: at, updated_by: by }).where('id', '=', userId).execute()
}

export type MemberRow = {
  id: string
  username: string
  email: string
  full_name: string | null
  is_active: boolean
  granted_at: Date | null
  granted_by: string | null
}

/** Holders of a role in order of registration; everybody holds `user`. */
export async function listMembers(
  db: Db,
  { role, after, limit }: { role: string; after: string; limit: number },
): Promise<MemberRow[]> {
  const columns = sql`u.id, u.username, u.email, u.full_name, u.is_active`
  const { rows } = await (role === 'user'
    ? sql<MemberRow>`
        select ${columns}, null as granted_at, null as granted_by from users u
        where u.id > ${after} order by u.id limit ${limit}`
    : sql<MemberRow>`
        select ${columns}, g.granted_at, g.granted_by from user_roles g join users u on u.id = g.user_id
        where g.role_name = ${role} and g.user_id > ${after} order by g.user_id limit ${limit}`
  ).execute(db)
  return rows
}
