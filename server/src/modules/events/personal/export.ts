import type { Db } from '../../../db/store.ts'
import { listEventsOf } from './repo.ts'

export async function exportEvents(db: Db, userId: string): Promise<Record<string, unknown>> {
  const rows = await listEventsOf(db, userId)
  return { events: rows.map(row => ({ ...row, occurred_at: row.occurred_at.toISOString() })) }
}
