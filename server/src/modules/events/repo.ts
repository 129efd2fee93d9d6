import type { Insertable } from 'kysely'
import type { Tx } from '../../db/store.ts'
import type { EventsTable } from '../../db/tables.ts'

export async function insertEvent(trx: Tx, event: Insertable<EventsTable>): Promise<void> {
  await trx.insertInto('events').values(event).execute()
}
