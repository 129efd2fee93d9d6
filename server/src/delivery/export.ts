import type { Db } from '../db/store.ts'
import { listMessagesOf } from './repo.ts'

/** Which messages went to a user, without what they said. */
export async function exportMessages(db: Db, userId: string): Promise<Record<string, unknown>> {
  const rows = await listMessagesOf(db, userId)
  return {
    messages: rows.map(({ created_at, finished_at, ...message }) => ({
      ...message,
      created_at: created_at.toISOString(),
      finished_at: finished_at?.toISOString() ?? null,
    })),
  }
}
