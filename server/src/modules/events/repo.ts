import { type Insertable, sql } from 'kysely'
import { type Db, sendWithCommit, type Tx } from '../../db/store.ts'
import type { EventsTable } from '../../db/tables.ts'
import type { OutboxEvent } from './envelope.ts'

export function insertEvent(
  trx: Tx,
  event: Pick<Insertable<EventsTable>, 'id' | 'type' | 'user_id' | 'data' | 'occurred_at'>,
): void {
  const insert = sql`
    insert into events (id, type, user_id, data, occurred_at)
    values (${event.id}, ${event.type}, ${event.user_id}, ${event.data}, ${event.occurred_at})`
  sendWithCommit(trx, insert)
}

/** Any number that nothing else in the database locks. */
const sequencerLock = 7_064_120_252

export type Sequenced = { type: string; occurred_at: Date }

/**
 * Gives the next numbers to up to `limit` committed events, in the order in which they were written.
 *
 * One transaction at a time does this, and each sees what was committed before it took the lock. So whoever
 * can see number n can see every lower one: a transaction that commits late gets a later number. Of one user
 * the order is that of the commits, since a change holds the user's row from before its event is written
 * until its commit.
 * @returns nothing where another process is at it
 */
export async function sequenceEvents(trx: Tx, limit: number): Promise<readonly Sequenced[]> {
  const lock = await sql<{ mine: boolean }>`
    select pg_try_advisory_xact_lock(${sequencerLock}) as mine`.execute(trx)
  if (!lock.rows[0]?.mine) return []
  // A statement of its own: its snapshot must be younger than the lock.
  const { rows } = await sql<Sequenced>`
    with oldest as (
      select id, position from events where sequence is null order by position limit ${limit}
    ), numbered as (
      select id, row_number() over (order by position) as number from oldest
    ), head as (
      update event_head set sequence = sequence + (select count(*) from numbered)
      returning sequence - (select count(*) from numbered) as base
    )
    update events e
    set sequence = head.base + numbered.number,
      partition = abs(hashtextextended(coalesce(e.user_id, e.id)::text, 0) % (select count(*) from event_partitions))
    from numbered, head where e.id = numbered.id
    returning e.type, e.occurred_at`.execute(trx)
  return rows
}

export type OutboxState = { head: number; waiting: boolean }

/** The last number given, and whether an event has none yet. */
export async function readOutboxState(db: Db): Promise<OutboxState> {
  const { rows } = await sql<{ head: string; waiting: boolean }>`
    select sequence as head, exists (select from events where sequence is null) as waiting from event_head`.execute(
    db,
  )
  return { head: Number(rows[0]?.head ?? 0), waiting: rows[0]?.waiting ?? false }
}

const columns = sql`id, sequence, type, user_id, partition, occurred_at, data`

/** Events in order, with numbers above `after` and up to `upTo`. */
export async function readEvents(
  db: Db,
  range: { after: number; upTo: number; limit: number },
): Promise<OutboxEvent[]> {
  const { rows } = await sql<OutboxEvent>`
    select ${columns} from events
    where sequence > ${range.after} and sequence <= ${range.upTo}
    order by sequence limit ${range.limit}`.execute(db)
  return rows
}

/** The same, of some partitions only. */
export async function readPartitionEvents(
  db: Db,
  range: { partitions: readonly number[]; after: number; upTo: number; limit: number },
): Promise<OutboxEvent[]> {
  const { rows } = await sql<OutboxEvent>`
    select ${columns} from events
    where sequence > ${range.after} and sequence <= ${range.upTo}
      and partition = any(${range.partitions}::smallint[])
    order by sequence limit ${range.limit}`.execute(db)
  return rows
}

/** The number of the oldest event still held; undefined where none is. */
export async function oldestSequence(db: Db): Promise<number | undefined> {
  const { rows } = await sql<{ sequence: string }>`
    select sequence from events where sequence is not null order by sequence limit 1`.execute(db)
  return rows[0] && Number(rows[0].sequence)
}

/**
 * Deletes up to `limit` of the oldest events that happened before `before` and have a number up to `upTo`.
 * Only from the start of the feed, so that what is held has no gap. Returns how many.
 */
export async function deleteOldEvents(
  db: Db,
  { before, upTo, limit }: { before: Date; upTo: number; limit: number },
): Promise<number> {
  const { numAffectedRows } = await sql`
    with oldest as (
      select sequence, occurred_at from events where sequence is not null order by sequence limit ${limit}
    ), young as (
      select min(sequence) as first from oldest where occurred_at >= ${before}
    )
    delete from events where sequence in (
      select sequence from oldest, young
      where sequence <= ${upTo} and (young.first is null or sequence < young.first)
    )`.execute(db)
  return Number(numAffectedRows ?? 0)
}

/** The lowest number that the broker or an active webhook endpoint still has to be handed, less one. */
export async function deliveredUpTo(db: Db, { broker }: { broker: boolean }): Promise<number> {
  const { rows } = await sql<{ up_to: string }>`
    select least(
      (select sequence from event_head),
      (select min(published) from event_partitions where ${broker}),
      (select min(fanned_out) from webhook_endpoints where is_active),
      (select min(d.sequence) - 1 from webhook_deliveries d join webhook_endpoints e on e.id = d.endpoint_id
        where d.state = 'pending' and e.is_active)
    ) as up_to`.execute(db)
  return Number(rows[0]?.up_to ?? 0)
}

/** Leaves of a person's events who it was about and that it happened. */
export async function redactEvents(trx: Tx, userId: string): Promise<void> {
  await sql`
    update events set data = jsonb_build_object('userId', user_id)
    where user_id = ${userId} and type <> 'user.erased'`.execute(trx)
}

export type PublishBacklog = { waiting: number; oldestSeconds: number }

/** Of the broker: events that it has not confirmed, and how long ago the oldest of them happened. */
export async function readPublishBacklog(db: Db, now: Date): Promise<PublishBacklog> {
  const { rows } = await sql<{ waiting: number; oldest: Date | null }>`
    select count(*)::int as waiting, min(e.occurred_at) as oldest
    from events e left join event_partitions p on p.partition = e.partition
    where e.sequence is null
      or (e.sequence > (select min(published) from event_partitions) and e.sequence > p.published)`.execute(
    db,
  )
  const [row] = rows
  const oldest = row?.oldest ? (now.getTime() - row.oldest.getTime()) / 1000 : 0
  return { waiting: row?.waiting ?? 0, oldestSeconds: Math.max(0, oldest) }
}

export type SnapshotRow = {
  id: string
  username: string
  email: string
  email_verified_at: Date | null
  phone_number: string | null
  phone_verified_at: Date | null
  full_name: string | null
  first_name: string | null
  last_name: string | null
  roles: string[]
  is_active: boolean
  current_title: string | null
  location: string | null
  avatar_url: string | null
  locale: string | null
  timezone: string | null
  created_at: Date
  deleted_at: Date | null
}

/**
 * Users in the order of their ids with the last number given, seen in one snapshot: every event up to
 * `sequence` has left its mark on these rows.
 */
export async function readSnapshot(
  db: Db,
  page: { after: string | undefined; ids: readonly string[] | undefined; limit: number },
): Promise<{ sequence: number; users: SnapshotRow[] }> {
  const { after, ids, limit } = page
  const { rows } = await sql<{ sequence: string; users: SnapshotRow | null } & SnapshotRow>`
    select h.sequence, u.* from event_head h left join lateral (
      select id, username, email, email_verified_at, phone_number, phone_verified_at, full_name, first_name,
        last_name, is_active, current_title, location, avatar_url, locale, timezone, created_at, deleted_at,
        array(select role_name from user_roles r where r.user_id = users.id order by 1) as roles
      from users
      where (${after ?? null}::uuid is null or id > ${after ?? null}::uuid)
        and (${ids ?? null}::uuid[] is null or id = any(${ids ?? null}::uuid[]))
      order by id limit ${limit}
    ) u on true`.execute(db)
  return {
    sequence: Number(rows[0]?.sequence ?? 0),
    users: rows.filter(row => row.id !== null),
  }
}
