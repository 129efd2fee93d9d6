import { sql } from 'kysely'
import type { Db, Tx } from '../../db/store.ts'

/** Keeps `nonce` unless there is one already, and returns the one that is kept. */
export async function keepSetupCode(db: Db, nonce: Buffer, at: Date): Promise<Buffer> {
  await db
    .insertInto('setup_codes')
    .values({ nonce, created_at: at })
    .onConflict(conflict => conflict.doNothing())
    .execute()
  const kept = await db.selectFrom('setup_codes').select('nonce').executeTakeFirstOrThrow()
  return kept.nonce
}

/** Takes the code away; undefined where there was none, or another transaction was faster. */
export async function deleteSetupCode(trx: Tx): Promise<Buffer | undefined> {
  const taken = await trx.deleteFrom('setup_codes').returning('nonce').executeTakeFirst()
  return taken?.nonce
}

export type SignIn = { user_id: string; proved: string[]; password_version: number | null }

export async function insertSignIn(
  trx: Tx,
  signIn: SignIn & { token_hash: Buffer; created_at: Date; expires_at: Date },
): Promise<void> {
  await trx.insertInto('sign_ins').values(signIn).execute()
}

/** A sign-in that waits for its second factor. */
export async function findSignIn(db: Db, tokenHash: Buffer, at: Date): Promise<SignIn | undefined> {
  return db
    .selectFrom('sign_ins')
    .select(['user_id', 'proved', 'password_version'])
    .where('token_hash', '=', tokenHash)
    .where('expires_at', '>', at)
    .executeTakeFirst()
}

/** Uses a sign-in up: of any number at once one gets true. */
export async function takeSignIn(trx: Tx, tokenHash: Buffer): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('sign_ins')
    .where('token_hash', '=', tokenHash)
    .executeTakeFirstOrThrow()
  return numDeletedRows === 1n
}

export async function deleteSignIns(trx: Tx, userId: string): Promise<void> {
  await trx.deleteFrom('sign_ins').where('user_id', '=', userId).execute()
}

/** Deletes at most `limit` sign-ins that expired. Returns how many went. */
export async function deleteExpiredSignIns(db: Db, at: Date, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from sign_ins where token_hash in (
      select token_hash from sign_ins where expires_at <= ${at} order by expires_at limit ${limit}
      for update skip locked
    )`.execute(db)
  return Number(numAffectedRows ?? 0n)
}
