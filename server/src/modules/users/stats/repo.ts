import type { Db } from '../../../db/store.ts'

export async function countLogins(db: Db, userId: string): Promise<number> {
  const row = await db
    .selectFrom('user_activity')
    .select('login_count')
    .where('user_id', '=', userId)
    .executeTakeFirst()
  return row?.login_count ?? 0
}
