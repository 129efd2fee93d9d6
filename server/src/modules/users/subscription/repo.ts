import type { Db } from '../../../db/store.ts'

/** Users whose premium has run out and still stands in their record. */
export async function findEndedSubscriptions(db: Db, at: Date, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('users')
    .select('id')
    .where('subscription_tier', '=', 'premium')
    .where('subscription_expires_at', '<=', at)
    .limit(limit)
    .execute()
  return rows.map(({ id }) => id)
}
