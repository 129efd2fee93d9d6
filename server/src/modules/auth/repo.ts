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
