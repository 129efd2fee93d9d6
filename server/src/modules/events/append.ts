import type { Tx } from '../../db/store.ts'
import { uuidv7 } from '../../lib/ids.ts'
import type { EventType } from './event-types.ts'
import { insertEvent } from './repo.ts'

/** Something that happened to a user, a session, a role or a definition, as other services are told of it. */
export type DomainEvent = {
  type: EventType
  /** Whose event it is: events of one user are delivered in order. */
  userId?: string
  /** camelCase keys. Dates as ISO 8601. Never a secret. */
  data: Readonly<Record<string, unknown>>
}

/** Writes an event to the outbox in the transaction of its change: neither exists without the other. */
export async function appendEvent(trx: Tx, at: Date, event: DomainEvent): Promise<void> {
  insertEvent(trx, {
    id: uuidv7(at),
    type: event.type,
    user_id: event.userId ?? null,
    data: JSON.stringify(event.data),
    occurred_at: at,
  })
}
