import { type Insertable, type Selectable, sql, type Updateable } from 'kysely'
import type { Db, Tx } from '../../../db/store.ts'
import type { WebhookDeliveriesTable, WebhookEndpointsTable } from '../../../db/tables.ts'

export type EndpointRow = Selectable<WebhookEndpointsTable>
export type DeliveryRow = Selectable<WebhookDeliveriesTable>

export async function insertEndpoint(
  trx: Tx,
  endpoint: Omit<Insertable<WebhookEndpointsTable>, 'fanned_out'>,
): Promise<void> {
  await trx
    .insertInto('webhook_endpoints')
    .values({ ...endpoint, fanned_out: trx.selectFrom('event_head').select('sequence') })
    .execute()
}

export async function listEndpoints(db: Db): Promise<EndpointRow[]> {
  return db.selectFrom('webhook_endpoints').selectAll().orderBy('id').execute()
}

export async function findEndpoint(db: Db, id: string): Promise<EndpointRow | undefined> {
  return db.selectFrom('webhook_endpoints').selectAll().where('id', '=', id).executeTakeFirst()
}

export async function lockEndpoint(trx: Tx, id: string): Promise<EndpointRow | undefined> {
  return trx.selectFrom('webhook_endpoints').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

export async function updateEndpoint(
  trx: Tx,
  id: string,
  changes: Updateable<WebhookEndpointsTable>,
): Promise<void> {
  await trx.updateTable('webhook_endpoints').set(changes).where('id', '=', id).execute()
}

export async function deleteEndpoint(trx: Tx, id: string): Promise<boolean> {
  const { numDeletedRows } = await trx.deleteFrom('webhook_endpoints').where('id', '=', id).executeTakeFirst()
  return numDeletedRows === 1n
}

/** Active endpoints that lack deliveries for events up to `head`. */
export async function listLagging(db: Db, head: number): Promise<string[]> {
  const rows = await db
    .selectFrom('webhook_endpoints')
    .select('id')
    .where('is_active', '=', true)
    .where('fanned_out', '<', String(head))
    .orderBy('id')
    .execute()
  return rows.map(({ id }) => id)
}

/** Locks an endpoint for handing out deliveries, unless another process is doing that. */
export async function lockLagging(trx: Tx, id: string): Promise<EndpointRow | undefined> {
  return trx
    .selectFrom('webhook_endpoints')
    .selectAll()
    .where('id', '=', id)
    .where('is_active', '=', true)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst()
}

export async function insertDeliveries(
  trx: Tx,
  deliveries: readonly Insertable<WebhookDeliveriesTable>[],
): Promise<void> {
  if (deliveries.length === 0) return
  await trx
    .insertInto('webhook_deliveries')
    .values([...deliveries])
    .onConflict(conflict => conflict.constraint('webhook_deliveries__once').doNothing())
    .execute()
}

/** A delivery that the caller has to make now, with all that it takes. */
export type ClaimedDelivery = {
  id: string
  endpoint_id: string
  /** Those before this one. */
  attempts: number
  /** The claim: it holds for as long as this stands in the row. */
  next_attempt_at: Date
  give_up_at: Date
  url: string
  secret_sealed: Buffer
  previous_secret_sealed: Buffer | null
  previous_secret_expires_at: Date | null
  event_id: string
  sequence: string
  type: string
  occurred_at: Date | null
  data: Record<string, unknown> | null
}

export type Claim = {
  now: Date
  /** When it comes due again if nothing is heard of it. */
  leaseUntil: Date
  limit: number
  perEndpoint: number
  /** Endpoints that have enough under way. */
  except: readonly string[]
  /** From so many failures in a row on, an endpoint gets one delivery at a time. */
  failing: number
}

/**
 * Takes deliveries that are due, skipping those of which another process holds the row. Of one user only the
 * oldest pending delivery of an endpoint can be taken: the order of their events is kept across retries.
 */
export async function claimDeliveries(db: Db, claim: Claim): Promise<ClaimedDelivery[]> {
  const { rows } = await sql<ClaimedDelivery>`
    with due as (
      select d.id from webhook_endpoints e cross join lateral (
        select d.id from webhook_deliveries d
        where d.endpoint_id = e.id and d.state = 'pending' and d.next_attempt_at <= ${claim.now}
          and not exists (
            select from webhook_deliveries earlier
            where earlier.endpoint_id = d.endpoint_id and earlier.user_id = d.user_id
              and earlier.state = 'pending' and earlier.sequence < d.sequence
          )
        order by d.next_attempt_at, d.sequence
        limit case when e.failures >= ${claim.failing} then 1 else ${claim.perEndpoint} end
        for update of d skip locked
      ) d
      where e.is_active and (e.paused_until is null or e.paused_until <= ${claim.now})
        and e.id <> all(${claim.except}::uuid[])
      limit ${claim.limit}
    ), taken as (
      update webhook_deliveries d set next_attempt_at = ${claim.leaseUntil}
      from due where d.id = due.id
      returning d.*
    )
    select t.id, t.endpoint_id, t.attempts, t.next_attempt_at, t.give_up_at, e.url, e.secret_sealed, e.previous_secret_sealed,
      e.previous_secret_expires_at, t.event_id, t.sequence, t.event_type as type, v.occurred_at, v.data
    from taken t join webhook_endpoints e on e.id = t.endpoint_id left join events v on v.id = t.event_id
    order by t.sequence`.execute(db)
  return rows
}

/**
 * Notes how an attempt ended. False where the claim is lost: its time ran out, and somebody else took it. An
 * attempt of which nothing was heard, since its process was killed, does not count.
 */
export async function finishAttempt(
  db: Db,
  { id, next_attempt_at, attempts }: Pick<ClaimedDelivery, 'id' | 'next_attempt_at' | 'attempts'>,
  changes: Updateable<WebhookDeliveriesTable>,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('webhook_deliveries')
    .set({ ...changes, attempts: attempts + 1 })
    .where('id', '=', id)
    .where('next_attempt_at', '=', next_attempt_at)
    .where('state', '=', 'pending')
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export async function noteSuccess(db: Db, endpointId: string): Promise<void> {
  await sql`
    update webhook_endpoints set failures = 0, paused_until = null
    where id = ${endpointId} and failures > 0`.execute(db)
}

/** Counts a failure. Returns how many there are in a row. */
export async function noteFailure(db: Db, endpointId: string): Promise<number> {
  const { rows } = await sql<{ failures: number }>`
    update webhook_endpoints set failures = failures + 1 where id = ${endpointId} returning failures`.execute(
    db,
  )
  return rows[0]?.failures ?? 0
}

export async function pauseEndpoint(db: Db, endpointId: string, until: Date): Promise<void> {
  await db
    .updateTable('webhook_endpoints')
    .set({ paused_until: until })
    .where('id', '=', endpointId)
    .where('failures', '>', 0)
    .execute()
}

export type DeliveryFilter = {
  endpointId: string
  state: DeliveryRow['state'] | undefined
  before: string | undefined
  limit: number
}

/** The log of an endpoint, newest first. */
export async function listDeliveries(db: Db, filter: DeliveryFilter): Promise<DeliveryRow[]> {
  let query = db
    .selectFrom('webhook_deliveries')
    .selectAll()
    .where('endpoint_id', '=', filter.endpointId)
    .orderBy('id', 'desc')
    .limit(filter.limit)
  if (filter.state) query = query.where('state', '=', filter.state)
  if (filter.before) query = query.where('id', '<', filter.before)
  return query.execute()
}

/** Makes finished deliveries due again: one, or all that were given up. Returns how many. */
export async function renewDeliveries(
  trx: Tx,
  target: { endpointId: string; deliveryId?: string },
  { now, giveUpAt }: { now: Date; giveUpAt: Date },
): Promise<number> {
  let query = trx
    .updateTable('webhook_deliveries')
    .set({ state: 'pending', attempts: 0, next_attempt_at: now, give_up_at: giveUpAt, finished_at: null })
    .where('endpoint_id', '=', target.endpointId)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('events').whereRef('events.id', '=', 'webhook_deliveries.event_id').select('events.id'),
      ),
    )
  query = target.deliveryId
    ? query.where('id', '=', target.deliveryId).where('state', '<>', 'pending')
    : query.where('state', '=', 'dead')
  const { numUpdatedRows } = await query.executeTakeFirst()
  return Number(numUpdatedRows)
}

export async function findDelivery(db: Db, endpointId: string, id: string): Promise<DeliveryRow | undefined> {
  return db
    .selectFrom('webhook_deliveries')
    .selectAll()
    .where('id', '=', id)
    .where('endpoint_id', '=', endpointId)
    .executeTakeFirst()
}

/** Deletes up to `limit` deliveries that ended before `before`. Returns how many. */
export async function deleteOldDeliveries(db: Db, before: Date, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from webhook_deliveries where id in (
      select id from webhook_deliveries where finished_at < ${before} limit ${limit}
    )`.execute(db)
  return Number(numAffectedRows ?? 0)
}

export async function readBacklog(db: Db, now: Date): Promise<{ waiting: number; oldestSeconds: number }> {
  const { rows } = await sql<{ waiting: number; oldest: Date | null }>`
    select count(*)::int as waiting, min(created_at) as oldest
    from webhook_deliveries where state = 'pending'`.execute(db)
  const [row] = rows
  const oldest = row?.oldest ? (now.getTime() - row.oldest.getTime()) / 1000 : 0
  return { waiting: row?.waiting ?? 0, oldestSeconds: Math.max(0, oldest) }
}
