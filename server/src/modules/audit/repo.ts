import type { Insertable } from 'kysely'
import type { Tx } from '../../db/store.ts'
import type { AuditLogTable, AuditPersonalTable } from '../../db/tables.ts'

/** Both rows in one statement: an audit entry costs its caller one round trip. */
export async function insertAuditEntry(
  trx: Tx,
  entry: Insertable<AuditLogTable>,
  personal: Omit<Insertable<AuditPersonalTable>, 'audit_id'>,
): Promise<void> {
  await trx
    .with('entry', db => db.insertInto('audit_log').values(entry))
    .insertInto('audit_personal')
    .values({ audit_id: entry.id, ...personal })
    .execute()
}
