import type { Db } from '../../db/store.ts'
import { pageOf, readCursor } from '../../http/paging.ts'
import { readTime } from '../../http/read-time.ts'
import { isUuid, uuidv7Floor } from '../../lib/ids.ts'
import { type AuditRow, type AuditSelection, selectAudit } from './repo.ts'
import type { AuditEntryView, AuditQuery } from './schemas.ts'

/** Which rows: every field narrows. */
export type AuditFilter = {
  actorId?: string | undefined
  subjectId?: string | undefined
  actions?: readonly string[] | undefined
  outcome?: 'success' | 'failure' | 'denied' | undefined
  /** Inclusive. */
  after?: Date | undefined
  /** Exclusive. */
  before?: Date | undefined
}

/** The filter that a query string asks for. @throws ProblemError validation_failed for an impossible time */
export function readFilter(query: AuditQuery): AuditFilter {
  return {
    actorId: query.actor,
    subjectId: query.subject && lowerId(query.subject),
    actions: query.action && [...new Set(query.action)].sort(),
    outcome: query.outcome,
    after: timeOf(query.after, 'after'),
    before: timeOf(query.before, 'before'),
  }
}

/** Names are told apart by case, ids are not. */
const lowerId = (subject: string): string => (isUuid(subject) ? subject.toLowerCase() : subject)

const timeOf = (text: string | undefined, name: string): Date | undefined =>
  text === undefined ? undefined : readTime(text, name)

export type AuditPage = { items: AuditEntryView[]; next_cursor: string | null }

/** One page, newest first. @throws ProblemError validation_failed for a cursor of another list */
export async function listAudit(
  deps: { db: Db; cursorKey: Buffer },
  filter: AuditFilter,
  page: { limit: number; cursor?: string | undefined },
): Promise<AuditPage> {
  const list = { key: deps.cursorKey, name: `audit ${JSON.stringify(filter)}` }
  const [from] = readCursor(list, page.cursor, ['string']) ?? []
  const rows = await selectAudit(deps.db, selection(filter, page.limit + 1, from))
  const { items, next_cursor } = pageOf(list, rows, page.limit, ({ id }) => [id])
  return { items: items.map(toView), next_cursor }
}

/** Every row that `filter` takes, newest first, a thousand at a time. */
export async function* streamAudit(db: Db, filter: AuditFilter): AsyncGenerator<AuditEntryView[]> {
  let before: string | undefined
  for (;;) {
    const rows = await selectAudit(db, selection(filter, 1000, before))
    if (rows.length > 0) yield rows.map(toView)
    before = rows.at(-1)?.id
    if (before === undefined || rows.length < 1000) return
  }
}

/** UUIDv7 order is the order of time, so the primary key serves times as well. `place` is the last id seen. */
export function selection(filter: AuditFilter, limit: number, place?: string): AuditSelection {
  const { after, before, ...rest } = filter
  const end = before && uuidv7Floor(before)
  return {
    ...rest,
    from: after && uuidv7Floor(after),
    to: place !== undefined && (end === undefined || place < end) ? place : end,
    limit,
  }
}

const toView = (row: AuditRow): AuditEntryView => ({
  id: row.id,
  occurred_at: row.occurred_at.toISOString(),
  action: row.action,
  outcome: row.outcome,
  actor: { type: row.actor_type, id: row.actor_id },
  subject: row.subject_type === null ? null : { type: row.subject_type, id: row.subject_id },
  session_id: row.session_id,
  request_id: row.request_id,
  ip: row.ip,
  user_agent: row.user_agent,
  changed_fields: row.changed_fields,
  details: row.details,
})
