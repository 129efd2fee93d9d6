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

/** Its deliveries stay, and nobody takes them any more: see {@link deleteDeliveriesOf}. */
export async function deleteEndpoint(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('webhook_endpoints').where('id', '=', id).execute()
}

/** Deletes at most `limit` deliveries of an endpoint. Returns how many. */
export async function deleteDeliveriesOf(db: Db, endpointId: string, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from webhook_deliveries where id in (
      select id from webhook_deliveries where endpoint_id = ${endpointId} order by id desc limit ${limit}
    )`.execute(db)
  return Number(numAffectedRows ?? 0)
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
  /** Failures of the endpoint in a row, at the claim. */
  failures: number
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
 *
 * An endpoint that is failing gives one, and is paused for the time of its attempt, so that no process takes
 * another beside it. How many the others give is a literal: the planner has to know that it is few of thousands.
 */
export async function claimDeliveries(db: Db, claim: Claim): Promise<ClaimedDelivery[]> {
  const isOpen = sql`e.is_active and (e.paused_until is null or e.paused_until <= ${claim.now})`
  const { rows } = await sql<ClaimedDelivery>`
    with failing as (
      select e.id from webhook_endpoints e
      where ${isOpen} and e.failures >= ${claim.failing} and exists (
        select from webhook_deliveries d
        where d.endpoint_id = e.id and d.state = 'pending' and d.next_attempt_at <= ${claim.now}
      )
      for update skip locked
    ), due as (
      select d.id from webhook_endpoints e cross join lateral (
        select d.id from (
          select d.id from webhook_deliveries d
          where d.endpoint_id = e.id and d.state = 'pending' and d.next_attempt_at <= ${claim.now}
            and not exists (
              select from webhook_deliveries earlier
              where earlier.endpoint_id = d.endpoint_id and earlier.user_id = d.user_id
                and earlier.state = 'pending' and earlier.sequence < d.sequence
            )
          order by d.next_attempt_at
          limit ${sql.lit(claim.perEndpoint)}
          for update of d skip locked
        ) d
        limit case when e.failures >= ${claim.failing} then 1 end
      ) d
      where ${isOpen} and e.id <> all(${claim.except}::uuid[])
        and (e.failures < ${claim.failing} or e.id in (select id from failing))
      limit ${claim.limit}
    ), taken as (
      update webhook_deliveries d set next_attempt_at = ${claim.leaseUntil}
      from due where d.id = due.id
      returning d.*
    ), paused as (
      update webhook_endpoints e set paused_until = ${claim.leaseUntil}
      from failing where e.id = failing.id and e.id in (select endpoint_id from taken)
    )
    select t.id, t.endpoint_id, t.attempts, t.next_attempt_at, t.give_up_at, e.failures, e.url, e.secret_sealed,
      e.previous_secret_sealed, e.previous_secret_expires_at, t.event_id, t.sequence, t.event_type as type,
      v.occurred_at, v.data
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

/** An address that answers well has no failures, unless it is no longer that of the endpoint. */
export async function noteSuccess(
  db: Db,
  { endpoint_id, url }: Pick<ClaimedDelivery, 'endpoint_id' | 'url'>,
): Promise<void> {
  await sql`
    update webhook_endpoints set failures = 0, paused_until = null
    where id = ${endpoint_id} and url = ${url} and failures > 0`.execute(db)
}

/**
 * Gives up deliveries whose time is over, at most `limit`, whether their endpoint can be called or not; but none
 * of which an attempt is under way. Returns how many.
 */
export async function giveUpDeliveries(db: Db, now: Date, limit: number): Promise<number> {
  // An attempt is due no later than `give_up_at`: one that is ahead of now is the end of a lease.
  const { numAffectedRows } = await sql`
    update webhook_deliveries set state = 'dead', next_attempt_at = null, finished_at = ${now},
      last_error = coalesce(last_error, 'no attempt was made in time')
    where id in (
      select id from webhook_deliveries
      where state = 'pending' and give_up_at < ${now} and next_attempt_at <= ${now}
      limit ${limit} for update skip locked
    )`.execute(db)
  return Number(numAffectedRows ?? 0)
}

/** Makes what is pending due, and forgets earlier attempts; one that is under way loses its claim. */
export async function restartDeliveries(trx: Tx, endpointId: string, now: Date): Promise<void> {
  await trx
    .updateTable('webhook_deliveries')
    .set({ attempts: 0, next_attempt_at: now })
    .where('endpoint_id', '=', endpointId)
    .where('state', '=', 'pending')
    .where('next_attempt_at', '>', now)
    .execute()
}

/** The types of which deliveries are pending. */
export async function listPendingTypes(trx: Tx, endpointId: string): Promise<string[]> {
  const rows = await trx
    .selectFrom('webhook_deliveries')
    .select('event_type')
    .distinct()
    .where('endpoint_id', '=', endpointId)
    .where('state', '=', 'pending')
    .execute()
  return rows.map(row => row.event_type)
}

export async function deletePending(trx: Tx, endpointId: string, types: readonly string[]): Promise<void> {
  await trx
    .deleteFrom('webhook_deliveries')
    .where('endpoint_id', '=', endpointId)
    .where('state', '=', 'pending')
    .where('event_type', 'in', types)
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
  // A literal: with a parameter the planner could not use the index of those that were given up.
  if (filter.state) query = query.where('state', '=', sql.lit(filter.state))
  if (filter.before) query = query.where('id', '<', filter.before)
  return query.execute()
}

/** Makes a delivery due again, and sooner the earlier ones of the same user; not what is due before `soon`. */
export async function renewDelivery(
  trx: Tx,
  { id, endpoint_id, user_id, sequence }: DeliveryRow,
  { now, soon, giveUpAt }: { now: Date; soon: Date; giveUpAt: Date },
): Promise<void> {
  await sql`
    update webhook_deliveries
    set state = 'pending', attempts = 0, next_attempt_at = ${now}, give_up_at = ${giveUpAt}, finished_at = null
    where id = ${id} and (state <> 'pending' or next_attempt_at > ${soon})`.execute(trx)
  await sql`
    update webhook_deliveries set next_attempt_at = ${now}
    where endpoint_id = ${endpoint_id} and user_id = ${user_id} and sequence < ${sequence}
      and state = 'pending' and next_attempt_at > ${soon}`.execute(trx)
}

/** Makes the oldest deliveries due again that were given up and whose events are still held. Returns how many. */
export async function renewDead(
  trx: Tx,
  endpointId: string,
  { now, giveUpAt, limit }: { now: Date; giveUpAt: Date; limit: number },
): Promise<number> {
  const { numAffectedRows } = await sql`
    update webhook_deliveries
    set state = 'pending', attempts = 0, next_attempt_at = ${now}, give_up_at = ${giveUpAt}, finished_at = null
    where id in (
      select d.id from webhook_deliveries d
      where d.endpoint_id = ${endpointId} and d.state = 'dead'
        and exists (select from events where events.id = d.event_id)
      order by d.id limit ${limit}
    )`.execute(trx)
  return Number(numAffectedRows ?? 0)
}

/** A delivery, and whether its event is still held. */
export async function findDelivery(
  db: Db,
  endpointId: string,
  id: string,
): Promise<(DeliveryRow & { is_held: boolean }) | undefined> {
  const { rows } = await sql<DeliveryRow & { is_held: boolean }>`
    select *, exists (select from events where events.id = d.event_id) as is_held
    from webhook_deliveries d where id = ${id} and endpoint_id = ${endpointId}`.execute(db)
  return rows[0]
}

/** Deletes up to `limit` deliveries that ended before `before`. Returns how many. */
export async function deleteOldDeliveries(db: Db, before: Date, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from webhook_deliveries where id in (
      select id from webhook_deliveries where finished_at < ${before} limit ${limit} for update skip locked
    )`.execute(db)
  return Number(numAffectedRows ?? 0)
}

/** What active endpoints still have to be handed. */
export async function readBacklog(db: Db, now: Date): Promise<{ waiting: number; oldestSeconds: number }> {
  const { rows } = await sql<{ waiting: number; oldest: Date | null }>`
    select count(*)::int as waiting, min(d.created_at) as oldest
    from webhook_deliveries d join webhook_endpoints e on e.id = d.endpoint_id
    where d.state = 'pending' and e.is_active`.execute(db)
  const [row] = rows
  const oldest = row?.oldest ? (now.getTime() - row.oldest.getTime()) / 1000 : 0
  return { waiting: row?.waiting ?? 0, oldestSeconds: Math.max(0, oldest) }
}
