import { type Insertable, sql } from 'kysely'
import type { Db, Tx } from '../../db/store.ts'
import type { UserRolesTable } from '../../db/tables.ts'

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

export async function insertGrant(trx: Tx, grant: Insertable<UserRolesTable>): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('user_roles')
    .values(grant)
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
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
