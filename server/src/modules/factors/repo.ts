import { type Insertable, type Selectable, sql } from 'kysely'
import type { Db, Tx } from '../../db/store.ts'
import type { PasskeyChallengesTable, PasskeysTable, SecondFactorsTable } from '../../db/tables.ts'
import type { EnrolledMethod, Method } from './methods.ts'

export type FactorRow = Selectable<SecondFactorsTable>
export type PasskeyRow = Selectable<PasskeysTable>

/** Keeps a factor that is being set up, in place of one that was never confirmed. False where one is confirmed. */
export async function upsertPending(
  trx: Tx,
  factor: Insertable<SecondFactorsTable> & { user_id: string; method: EnrolledMethod },
): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('second_factors')
    .values(factor)
    .onConflict(conflict =>
      conflict
        .columns(['user_id', 'method'])
        .doUpdateSet({
          secret_sealed: factor.secret_sealed ?? null,
          phone_number: factor.phone_number ?? null,
          created_at: factor.created_at,
          last_step: '0',
        })
        .where('second_factors.confirmed_at', 'is', null),
    )
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

export async function findFactor(
  db: Db,
  userId: string,
  method: EnrolledMethod,
): Promise<FactorRow | undefined> {
  return db
    .selectFrom('second_factors')
    .selectAll()
    .where('user_id', '=', userId)
    .where('method', '=', method)
    .executeTakeFirst()
}

export async function confirmFactor(
  trx: Tx,
  userId: string,
  method: EnrolledMethod,
  at: Date,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('second_factors')
    .set({ confirmed_at: at })
    .where('user_id', '=', userId)
    .where('method', '=', method)
    .where('confirmed_at', 'is', null)
    .executeTakeFirstOrThrow()
  return numUpdatedRows === 1n
}

/** Takes a time step and with it all before. False where it, or a later one, was taken: by whomever, ever. */
export async function takeStep(trx: Tx, userId: string, step: number): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('second_factors')
    .set({ last_step: String(step) })
    .where('user_id', '=', userId)
    .where('method', '=', 'totp')
    .where('last_step', '<', String(step))
    .executeTakeFirstOrThrow()
  return numUpdatedRows === 1n
}

export async function recordFactorUse(
  trx: Tx,
  userId: string,
  method: EnrolledMethod,
  at: Date,
): Promise<void> {
  await trx
    .updateTable('second_factors')
    .set({ last_used_at: at })
    .where('user_id', '=', userId)
    .where('method', '=', method)
    .execute()
}

export async function deleteFactor(trx: Tx, userId: string, method: EnrolledMethod): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('second_factors')
    .where('user_id', '=', userId)
    .where('method', '=', method)
    .where('confirmed_at', 'is not', null)
    .executeTakeFirstOrThrow()
  return numDeletedRows === 1n
}

export type EnrolledRow = {
  method: Method
  phone_number: string | null
  created_at: Date
  last_used_at: Date | null
  count: number
}

/** Everything that may be asked for after a first factor: confirmed factors, passkeys, recovery codes. */
export async function listEnrolled(db: Db, userId: string): Promise<EnrolledRow[]> {
  const { rows } = await sql<EnrolledRow>`
    select method, phone_number, confirmed_at as created_at, last_used_at, 1 as count
    from second_factors where user_id = ${userId} and confirmed_at is not null
    union all
    select 'passkey', null, min(created_at), max(last_used_at), count(*)::int
    from passkeys where user_id = ${userId} having count(*) > 0
    union all
    select 'recovery_code', null, min(created_at), null, count(*)::int
    from recovery_codes where user_id = ${userId} having count(*) > 0`.execute(db)
  return rows
}

/** Whether anything but recovery codes is enrolled. */
export async function hasFactor(db: Db, userId: string): Promise<boolean> {
  const { rows } = await sql<{ has: boolean }>`
    select exists (select from second_factors where user_id = ${userId} and confirmed_at is not null)
      or exists (select from passkeys where user_id = ${userId}) as has`.execute(db)
  return rows[0]?.has ?? false
}

export async function replaceRecoveryCodes(
  trx: Tx,
  userId: string,
  hashes: readonly Buffer[],
  at: Date,
): Promise<void> {
  await trx.deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
  if (hashes.length === 0) return
  await trx
    .insertInto('recovery_codes')
    .values(hashes.map(code_hash => ({ user_id: userId, code_hash, created_at: at })))
    .execute()
}

/** Uses a recovery code up: of any number at once one gets it. */
export async function takeRecoveryCode(trx: Tx, userId: string, hash: Buffer): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('recovery_codes')
    .where('user_id', '=', userId)
    .where('code_hash', '=', hash)
    .executeTakeFirstOrThrow()
  return numDeletedRows === 1n
}

export async function insertChallenge(db: Db, challenge: Insertable<PasskeyChallengesTable>): Promise<void> {
  await db.insertInto('passkey_challenges').values(challenge).execute()
}

/** Uses a challenge up, whatever is made of it then. */
export async function takeChallenge(
  db: Db,
  hash: Buffer,
  at: Date,
): Promise<{ purpose: string; user_id: string | null } | undefined> {
  return db
    .deleteFrom('passkey_challenges')
    .where('challenge_hash', '=', hash)
    .where('expires_at', '>', at)
    .returning(['purpose', 'user_id'])
    .executeTakeFirst()
}

/** Deletes at most `limit` challenges that expired. Returns how many went. */
export async function deleteExpiredChallenges(db: Db, at: Date, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from passkey_challenges where challenge_hash in (
      select challenge_hash from passkey_challenges where expires_at <= ${at} order by expires_at limit ${limit}
      for update skip locked
    )`.execute(db)
  return Number(numAffectedRows ?? 0n)
}

export async function insertPasskey(trx: Tx, passkey: Insertable<PasskeysTable>): Promise<void> {
  await trx.insertInto('passkeys').values(passkey).execute()
}

export async function listPasskeys(db: Db, userId: string): Promise<PasskeyRow[]> {
  return db.selectFrom('passkeys').selectAll().where('user_id', '=', userId).orderBy('id').execute()
}

export async function findPasskey(db: Db, credentialId: Buffer): Promise<PasskeyRow | undefined> {
  return db.selectFrom('passkeys').selectAll().where('credential_id', '=', credentialId).executeTakeFirst()
}

export async function setDoubt(trx: Tx, userId: string, isDoubted: boolean): Promise<void> {
  await trx.updateTable('passkeys').set({ is_doubted: isDoubted }).where('user_id', '=', userId).execute()
}

export type PasskeyUse = 'noted' | 'behind' | 'gone'

/**
 * Notes a use, and moves the counter forward. `behind` where it did not move: a signature with an old counter, or
 * two with the same, come from a copy of the key. `gone`: it was removed meanwhile. Authenticators without a counter
 * always say 0.
 */
export async function recordPasskeyUse(
  trx: Tx,
  id: string,
  use: { counter: number; isSynced: boolean; at: Date },
): Promise<PasskeyUse> {
  const { numAffectedRows } = await sql`
    update passkeys set counter = ${use.counter}, is_synced = ${use.isSynced}, last_used_at = ${use.at}
    where id = ${id} and (counter < ${use.counter} or counter = 0 and ${use.counter} = 0)`.execute(trx)
  if (numAffectedRows === 1n) return 'noted'
  const kept = await trx.selectFrom('passkeys').select('id').where('id', '=', id).executeTakeFirst()
  return kept ? 'behind' : 'gone'
}

export async function renamePasskey(
  trx: Tx,
  userId: string,
  id: string,
  name: string,
): Promise<PasskeyRow | undefined> {
  return trx
    .updateTable('passkeys')
    .set({ name })
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .returningAll()
    .executeTakeFirst()
}

export async function deletePasskey(trx: Tx, userId: string, id: string): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('passkeys')
    .where('id', '=', id)
    .where('user_id', '=', userId)
    .executeTakeFirstOrThrow()
  return numDeletedRows === 1n
}

/** The next TOTP secrets after a user, in batches: to be sealed again. */
export async function listSealed(
  db: Db,
  after: string,
  limit: number,
): Promise<{ user_id: string; secret_sealed: Buffer }[]> {
  const { rows } = await sql<{ user_id: string; secret_sealed: Buffer }>`
    select user_id, secret_sealed from second_factors
    where method = 'totp' and user_id > ${after} order by user_id limit ${limit}`.execute(db)
  return rows
}

/** Puts another seal around a secret, if it is still the one that was opened. */
export async function replaceSeal(db: Db, userId: string, from: Buffer, to: Buffer): Promise<void> {
  await db
    .updateTable('second_factors')
    .set({ secret_sealed: to })
    .where('user_id', '=', userId)
    .where('method', '=', 'totp')
    .where('secret_sealed', '=', from)
    .execute()
}

export async function findEmail(db: Db, userId: string): Promise<string | undefined> {
  const row = await db.selectFrom('users').select('email').where('id', '=', userId).executeTakeFirst()
  return row?.email
}

export async function deleteAll(trx: Tx, userId: string): Promise<void> {
  for (const table of ['second_factors', 'passkeys', 'recovery_codes'] as const)
    await trx.deleteFrom(table).where('user_id', '=', userId).execute()
}

/** Deletes factors, passkeys and recovery codes that were added since a moment. False where there were none. */
export async function deleteSince(trx: Tx, userId: string, since: Date): Promise<boolean> {
  const { rows } = await sql<{ any: boolean }>`
    with factors as (
      delete from second_factors where user_id = ${userId} and confirmed_at >= ${since} returning 1
    ), keys as (
      delete from passkeys where user_id = ${userId} and created_at >= ${since} returning 1
    ), codes as (
      delete from recovery_codes where user_id = ${userId} and created_at >= ${since} returning 1
    )
    select exists (table factors) or exists (table keys) or exists (table codes) as any`.execute(trx)
  return rows[0]?.any ?? false
}

export async function listFactors(db: Db, userId: string): Promise<FactorRow[]> {
  return db.selectFrom('second_factors').selectAll().where('user_id', '=', userId).orderBy('method').execute()
}
