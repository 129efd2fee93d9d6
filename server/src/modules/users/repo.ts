import { type Insertable, type Selectable, sql, type Updateable } from 'kysely'
import { type Db, sendWithCommit, type Tx } from '../../db/store.ts'
import type { NameHoldsTable, UserActivityTable, UserCredentialsTable, UsersTable } from '../../db/tables.ts'
import { insertSearchRow, refreshSearchRow, searchedFields } from './search/repo.ts'

export type UserRow = Selectable<UsersTable> & {
  last_login_at: Date | null
  last_activity_at: Date | null
  password_changed_at: Date | null
  granted_roles: string[]
}

/** One user with what other tables know of them: four primary-key look-ups in one round trip. */
export async function findUser(db: Db, id: string): Promise<UserRow | undefined> {
  const { rows } = await sql<UserRow>`
    select u.*, a.last_login_at, a.last_activity_at, c.password_changed_at,
      array(select role_name from user_roles r where r.user_id = u.id) as granted_roles
    from users u
    left join user_activity a on a.user_id = u.id
    left join user_credentials c on c.user_id = u.id
    where u.id = ${id}`.execute(db)
  return rows[0]
}

/** A record as it is, and stays until the transaction that read it ends. */
export type LockedUser = Selectable<UsersTable>

export type NewUserRow = Insertable<UsersTable>

export type ActivityRow = Insertable<UserActivityTable>

/** One record, without what other tables know. */
export async function findUserRecord(db: Db, id: string): Promise<LockedUser | undefined> {
  return db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Locks the record against other changes until `trx` ends. */
export async function lockUser(trx: Tx, id: string): Promise<LockedUser | undefined> {
  return trx.selectFrom('users').selectAll().where('id', '=', id).forNoKeyUpdate().executeTakeFirst()
}

/** Locks several, whoever asks in one order: two that lock the same users don't wait for each other. */
export async function lockUsers(trx: Tx, ids: readonly string[]): Promise<void> {
  for (const id of [...new Set(ids)].sort()) await lockUser(trx, id)
}

/**
 * Inserts a user and their credential.
 * @returns false where the username is taken; a taken e-mail address or phone number breaks its constraint
 */
export async function insertUser(
  trx: Tx,
  user: Insertable<UsersTable>,
  credential: Omit<Insertable<UserCredentialsTable>, 'user_id'> | undefined,
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('users')
    .values(user)
    .onConflict(conflict => conflict.column('username_key').doNothing())
    .executeTakeFirstOrThrow()
  if (numInsertedOrUpdatedRows !== 1n) return false
  await trx.insertInto('user_activity').values({ user_id: user.id }).execute()
  await insertSearchRow(trx, user)
  if (credential) {
    await trx
      .insertInto('user_credentials')
      .values({ user_id: user.id, ...credential })
      .execute()
  }
  return true
}

/** Holds a name for its last owner; an older hold of it, long over or their own, gives way. */
export async function upsertNameHold(trx: Tx, hold: Insertable<NameHoldsTable>): Promise<void> {
  await trx
    .insertInto('name_holds')
    .values(hold)
    .onConflict(conflict =>
      conflict
        .columns(['kind', 'name_key'])
        .doUpdateSet({ user_id: hold.user_id, held_until: hold.held_until }),
    )
    .execute()
}

/** Which of the names, if any, is held for somebody else. */
export async function findForeignHold(
  db: Db,
  ask: { at: Date; userId: string | null; names: readonly { kind: NameHoldsTable['kind']; key: string }[] },
): Promise<NameHoldsTable['kind'] | undefined> {
  const { rows } = await sql<{ kind: NameHoldsTable['kind'] }>`
    select h.kind from name_holds h
    join unnest(${ask.names.map(({ kind }) => kind)}::text[], ${ask.names.map(({ key }) => key)}::text[])
      as n (kind, name_key) using (kind, name_key)
    where h.user_id is distinct from ${ask.userId}::uuid and h.held_until > ${ask.at} limit 1`.execute(db)
  return rows[0]?.kind
}

/** Names that nobody else can take yet, because the user gave them up a short while ago. */
export async function listHeldNames(db: Db, userId: string) {
  return db.selectFrom('name_holds').selectAll().where('user_id', '=', userId).execute()
}

/** Deletes at most `limit` holds that ended. Returns how many went. */
export async function deleteEndedHolds(db: Db, at: Date, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from name_holds where (kind, name_key) in (
      select kind, name_key from name_holds where held_until <= ${at} order by held_until limit ${limit}
      for update skip locked
    )`.execute(db)
  return Number(numAffectedRows ?? 0n)
}

export async function updateUser(trx: Tx, id: string, changes: Updateable<UsersTable>): Promise<void> {
  await trx.updateTable('users').set(changes).where('id', '=', id).execute()
  if (searchedFields.some(field => field in changes)) await refreshSearchRow(trx, id)
}

export type Credential = {
  id: string
  is_active: boolean
  email_verified: boolean
  password_hash: string | null
  password_version: number
}

export type SignInName = { column: 'email_key' | 'username_key' | 'phone_number'; value: string }

export async function findCredential(db: Db, userId: string): Promise<Credential | undefined> {
  const { rows } = await sql<Credential>`
    select u.id, u.is_active, u.email_verified_at is not null as email_verified, c.password_hash, c.password_version
    from users u left join user_credentials c on c.user_id = u.id
    where u.id = ${userId}`.execute(db)
  return rows[0]
}

/** Sets a new password. False where another change was faster than the one that saw `version`. */
export async function changePasswordHash(
  trx: Tx,
  change: { userId: string; version: number; hash: string; at: Date },
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('user_credentials')
    .set({ password_hash: change.hash, password_version: change.version + 1, password_changed_at: change.at })
    .where('user_id', '=', change.userId)
    .where('password_version', '=', change.version)
    .executeTakeFirstOrThrow()
  return numUpdatedRows === 1n
}

/** Puts a stronger hash of the same password in place of `from`; if that is gone, nothing happens. */
export async function strengthenPasswordHash(
  db: Db,
  change: { userId: string; from: string; to: string },
): Promise<void> {
  await db
    .updateTable('user_credentials')
    .set({ password_hash: change.to })
    .where('user_id', '=', change.userId)
    .where('password_hash', '=', change.from)
    .execute()
}

/** Sets a password whatever there was before, for somebody who proved to be the owner in another way. */
export async function replacePasswordHash(
  trx: Tx,
  change: { userId: string; hash: string; at: Date },
): Promise<void> {
  await sql`
    insert into user_credentials as c (user_id, password_hash, password_changed_at)
    values (${change.userId}, ${change.hash}, ${change.at})
    on conflict (user_id) do update set
      password_hash = excluded.password_hash,
      password_version = c.password_version + 1,
      password_changed_at = excluded.password_changed_at`.execute(trx)
}

/**
 * Holds a user as they are until `trx` ends: active, and with the password that was verified. A deactivation
 * or password change either waits for `trx`, or is seen here.
 */
export async function holdSignInState(trx: Tx, userId: string, passwordVersion: number): Promise<boolean> {
  const { rows } = await sql`
    select 1 from users u join user_credentials c on c.user_id = u.id
    where u.id = ${userId} and u.is_active and c.password_version = ${passwordVersion}
    for share`.execute(trx)
  return rows.length === 1
}

export type SignInState = {
  is_active: boolean
  email_verified: boolean
  mfa_enabled: boolean
  password_version: number | null
}

/**
 * The same for a sign-in that may prove other things than a password. The user is locked before their password, as
 * every change does it: in the other order the two would wait for each other.
 */
export async function holdPerson(trx: Tx, userId: string): Promise<SignInState | undefined> {
  const { rows } = await sql<SignInState>`
    with held as materialized (
      select id, is_active, email_verified_at is not null as email_verified, mfa_enabled
      from users where id = ${userId} for share
    )
    select is_active, email_verified, mfa_enabled,
      (select c.password_version from user_credentials c where c.user_id = held.id for share) as password_version
    from held`.execute(trx)
  return rows[0]
}

/** Notes whether a user has a second factor. False where that was so before. */
export async function setMfaEnabled(trx: Tx, userId: string, enabled: boolean): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('users')
    .set({ mfa_enabled: enabled })
    .where('id', '=', userId)
    .where('mfa_enabled', '=', !enabled)
    .executeTakeFirstOrThrow()
  return numUpdatedRows === 1n
}

export function recordLogin(trx: Tx, userId: string, at: Date): void {
  const update = sql`
    update user_activity
    set last_login_at = ${at}, last_activity_at = greatest(last_activity_at, ${at}), login_count = login_count + 1
    where user_id = ${userId}`
  sendWithCommit(trx, update)
}

/** Moves `last_activity_at` forward for many users at once, rows locked in one order so that batches never deadlock. */
export async function recordActivity(db: Db, seen: readonly { userId: string; at: Date }[]): Promise<void> {
  await sql`
    with seen as (
      select * from unnest(${seen.map(({ userId }) => userId)}::uuid[], ${seen.map(({ at }) => at)}::timestamptz[])
        as t (user_id, at)
    ), locked as (
      select a.user_id, seen.at from user_activity a join seen using (user_id)
      order by a.user_id for no key update of a
    )
    update user_activity a set last_activity_at = greatest(a.last_activity_at, locked.at)
    from locked where a.user_id = locked.user_id`.execute(db)
}

export async function updateActivity(
  trx: Tx,
  userId: string,
  activity: Updateable<UserActivityTable>,
): Promise<void> {
  await trx.updateTable('user_activity').set(activity).where('user_id', '=', userId).execute()
}

export async function countUsers(db: Db): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from users`.execute(db)
  return rows[0]?.n ?? 0
}

export async function deleteDemoRows(trx: Tx): Promise<string[]> {
  const rows = await trx.deleteFrom('users').where('is_demo', '=', true).returning('id').execute()
  return rows.map(({ id }) => id)
}

/** Whose address, username or number this is, deleted users included. */
export async function findOwner(db: Db, { column, value }: SignInName): Promise<LockedUser | undefined> {
  return db.selectFrom('users').selectAll().where(column, '=', value).executeTakeFirst()
}

export async function deleteUser(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('users').where('id', '=', id).execute()
}

export async function findDueForErasure(db: Db, before: Date, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('users')
    .select('id')
    .where('deleted_at', 'is not', null)
    .where('deleted_at', '<=', before)
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(row => row.id)
}

/** Lets the database count anew what its plans and estimates go by: after work in bulk they are of before. */
export async function refreshStatistics(db: Db): Promise<void> {
  await sql`analyze users, user_roles, events, audit_log`.execute(db)
}
