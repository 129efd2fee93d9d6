import type { Db } from '../../db/store.ts'
import { listAudit } from './list.ts'
import type { Activity, AuditEntryView } from './schemas.ts'

/**
 * What was done to a user, as that user may see it: the address and device of somebody else with an account are
 * theirs, and left out; those of somebody who was not signed in are the ones to look at.
 */
export async function listActivity(
  deps: { db: Db; cursorKey: Buffer },
  userId: string,
  page: { limit: number; cursor?: string | undefined },
): Promise<Activity> {
  const { items, next_cursor } = await listAudit(deps, { subjectId: userId }, page)
  return { items: items.map(entry => toActivity(entry, userId)), next_cursor }
}

function toActivity(entry: AuditEntryView, userId: string): Activity['items'][number] {
  const by =
    entry.actor.type !== 'user' ? entry.actor.type : entry.actor.id === userId ? 'self' : 'other_user'
  const shown = by === 'self' || by === 'anonymous'
  const { method } = entry.details
  return {
    id: entry.id,
    occurred_at: entry.occurred_at,
    action: entry.action,
    outcome: entry.outcome,
    method: typeof method === 'string' ? method : null,
    by,
    ip: shown ? entry.ip : null,
    user_agent: shown ? entry.user_agent : null,
    changed_fields: entry.changed_fields,
  }
}
