import { sql } from 'kysely'
import type { Db, Tx } from '../db/store.ts'

export type KeyRow = { id: number; purpose: 'root' | 'data'; key_sealed: Buffer }

export async function listKeys(db: Db): Promise<KeyRow[]> {
  return db.selectFrom('encryption_keys').select(['id', 'purpose', 'key_sealed']).orderBy('id').execute()
}

export async function lockKeys(trx: Tx): Promise<void> {
  await sql`lock table encryption_keys in share row exclusive mode`.execute(trx)
}

/** @returns the key's id */
export async function insertKey(
  trx: Tx,
  key: { purpose: 'root' | 'data'; key_sealed: Buffer; created_at: Date },
): Promise<number> {
  const { id } = await trx.insertInto('encryption_keys').values(key).returning('id').executeTakeFirstOrThrow()
  return id
}

export async function updateKey(trx: Tx, id: number, key_sealed: Buffer): Promise<void> {
  await trx.updateTable('encryption_keys').set({ key_sealed }).where('id', '=', id).execute()
}
