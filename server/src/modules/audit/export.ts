import { Readable } from 'node:stream'
import type { Db } from '../../db/store.ts'
import { csvRow } from '../../lib/csv.ts'
import { type AuditFilter, streamAudit } from './list.ts'
import type { AuditEntryView } from './schemas.ts'

export type ExportFormat = 'ndjson' | 'csv'

/** The rows that `filter` takes, newest first, as text that is read from the database while it is sent. */
export const exportAudit = (db: Db, filter: AuditFilter, format: ExportFormat): Readable =>
  Readable.from(format === 'csv' ? csv(db, filter) : ndjson(db, filter), { objectMode: false })

async function* ndjson(db: Db, filter: AuditFilter): AsyncGenerator<string> {
  for await (const batch of streamAudit(db, filter)) {
    yield batch.map(entry => `${JSON.stringify(entry)}\n`).join('')
  }
}

async function* csv(db: Db, filter: AuditFilter): AsyncGenerator<string> {
  yield csvRow(Object.keys(columns))
  for await (const batch of streamAudit(db, filter)) {
    yield batch.map(entry => csvRow(Object.values(columns).map(read => read(entry)))).join('')
  }
}

const columns: Record<string, (entry: AuditEntryView) => string | null> = {
  id: entry => entry.id,
  occurred_at: entry => entry.occurred_at,
  action: entry => entry.action,
  outcome: entry => entry.outcome,
  actor_type: entry => entry.actor.type,
  actor_id: entry => entry.actor.id,
  subject_type: entry => entry.subject?.type ?? null,
  subject_id: entry => entry.subject?.id ?? null,
  session_id: entry => entry.session_id,
  request_id: entry => entry.request_id,
  ip: entry => entry.ip,
  user_agent: entry => entry.user_agent,
  changed_fields: entry => entry.changed_fields.join(' '),
  details: entry => JSON.stringify(entry.details),
}
