import type { Db } from '../../../db/store.ts'

/** The events about a user that are still kept, as other services were told of them; oldest first. */
export async function listEventsOf(db: Db, userId: string) {
  return db
    .selectFrom('events')
    .select(['id', 'type', 'data', 'occurred_at'])
    .where('user_id', '=', userId)
    .orderBy('id')
    .execute()
}
