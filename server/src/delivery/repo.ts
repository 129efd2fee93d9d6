import { type Insertable, type Selectable, sql } from 'kysely'
import type { Db, Tx } from '../db/store.ts'
import type { MessagesTable } from '../db/tables.ts'
import { addTime, seconds } from '../lib/clock.ts'
import { uuidv7Floor } from '../lib/ids.ts'
import type { Backlog } from './metrics.ts'

export type NewMessage = Pick<
  Insertable<MessagesTable>,
  'id' | 'channel' | 'template' | 'recipient' | 'user_id' | 'locale' | 'created_at' | 'useful_until'
> & {
  content: Buffer
  /** The mailbox has it at once; everything else waits to be sent. */
  kept: boolean
}

/** Adds a message; where no locale is given, the user's own language and time zone are noted with it. */
export async function insertMessage(trx: Tx, message: NewMessage): Promise<void> {
  const { created_at: at, kept } = message
  await sql`
    insert into messages (id, channel, template, recipient, user_id, locale, timezone, state, created_at,
      next_attempt_at, useful_until, finished_at, provider, content)
    select ${message.id}::uuid, ${message.channel}, ${message.template}, ${message.recipient},
      ${message.user_id}::uuid, coalesce(${message.locale}, u.locale), u.timezone,
      ${kept ? 'sent' : 'queued'}, ${at}::timestamptz, ${kept ? null : at}::timestamptz,
      ${message.useful_until}::timestamptz, ${kept ? at : null}::timestamptz,
      ${kept ? 'mailbox' : null}, ${message.content}::bytea
    from (select) one left join users u on u.id = ${message.user_id}::uuid`.execute(trx)
}

/** What waits and what was given up, of both channels. */
export async function readBacklog(db: Db, now: Date): Promise<Backlog[]> {
  // Each state on its own: it has an index of few rows, and both together have none.
  const { rows } = await sql<Backlog>`
    select channel, coalesce(q.waiting, 0) as waiting,
      coalesce(extract(epoch from ${now}::timestamptz - q.oldest), 0)::float8 as "oldestSeconds",
      coalesce(d.dead, 0) as dead
    from (values ('email'), ('sms')) c (channel)
    left join (
      select channel, count(*)::int as waiting, min(created_at) as oldest
      from messages where state = 'queued' group by channel
    ) q using (channel)
    left join (
      select channel, count(*)::int as dead from messages where state = 'dead' group by channel
    ) d using (channel)`.execute(db)
  return rows
}

/** What an attempt needs to know of its message. */
export type Claimed = Pick<
  Selectable<MessagesTable>,
  | 'id'
  | 'channel'
  | 'template'
  | 'recipient'
  | 'locale'
  | 'timezone'
  | 'attempts'
  | 'useful_until'
  | 'content'
>

/** Milliseconds by which the clocks of two machines may differ without a message waiting for the next sweep. */
const clockTolerance = 5000

/**
 * Takes a message that is due for one attempt: check and take in one statement. Until `leaseEnd` nobody else
 * gets it.
 */
export async function claimMessage(
  db: Db,
  id: string,
  at: Date,
  leaseEnd: Date,
): Promise<Claimed | undefined> {
  return db
    .updateTable('messages')
    .set(eb => ({ attempts: eb('attempts', '+', 1), next_attempt_at: leaseEnd }))
    .where('id', '=', id)
    .where('state', '=', 'queued')
    .where('next_attempt_at', '<=', addTime(at, clockTolerance))
    .returning([
      'id',
      'channel',
      'template',
      'recipient',
      'locale',
      'timezone',
      'attempts',
      'useful_until',
      'content',
    ])
    .executeTakeFirst()
}

/** Gives a claimed message back untried. */
export async function postponeMessage(trx: Tx, id: string, until: Date): Promise<void> {
  await trx
    .updateTable('messages')
    .set(eb => ({ attempts: eb('attempts', '-', 1), next_attempt_at: until }))
    .where('id', '=', id)
    .where('state', '=', 'queued')
    .execute()
}

export async function scheduleRetry(trx: Tx, id: string, at: Date, reason: string): Promise<void> {
  await trx
    .updateTable('messages')
    .set({ next_attempt_at: at, last_error: reason })
    .where('id', '=', id)
    .where('state', '=', 'queued')
    .execute()
}

/** Notes that a provider took a message, and forgets what it said. */
export async function completeMessage(
  db: Db,
  done: { id: string; at: Date; provider: string | null; providerId: string | undefined },
): Promise<void> {
  await db
    .updateTable('messages')
    .set({
      state: 'sent',
      content: null,
      next_attempt_at: null,
      finished_at: done.at,
      last_error: null,
      provider: done.provider,
      provider_id: done.providerId ?? null,
    })
    .where('id', '=', done.id)
    .execute()
}

/** Notes that a message is not sent because its recipient wants none. */
export async function suppressMessage(db: Db, id: string, at: Date): Promise<void> {
  await db
    .updateTable('messages')
    .set({ state: 'suppressed', content: null, next_attempt_at: null, finished_at: at })
    .where('id', '=', id)
    .execute()
}

/** Notes that a message was given up. What it said is kept, so that it can be sent after all. */
export async function giveUp(db: Db, id: string, at: Date, reason: string): Promise<void> {
  await db
    .updateTable('messages')
    .set({ state: 'dead', next_attempt_at: null, finished_at: at, last_error: reason })
    .where('id', '=', id)
    .where('state', '=', 'queued')
    .execute()
}

/** Messages that should have been tried a while ago. */
export async function findOverdue(db: Db, now: Date): Promise<string[]> {
  const rows = await db
    .selectFrom('messages')
    .select('id')
    .where('state', '=', 'queued')
    .where('next_attempt_at', '<', addTime(now, -seconds(10)))
    .orderBy('next_attempt_at')
    .limit(1000)
    .execute()
  return rows.map(({ id }) => id)
}

/** Deletes at most `limit` messages that are older than `before` and finished or given up. Returns how many went. */
export async function deleteFinished(db: Db, before: Date, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from messages where id in (
      select id from messages where id < ${uuidv7Floor(before)} and state <> 'queued' order by id limit ${limit}
      for update skip locked
    )`.execute(db)
  return Number(numAffectedRows ?? 0n)
}

/** Deletes every message to a person, by their id and by the addresses and numbers they have had. */
export async function deleteMessagesOf(
  trx: Tx,
  person: { userId: string; recipients: readonly string[] },
): Promise<void> {
  const recipients = person.recipients.map(recipient => recipient.toLowerCase())
  await sql`
    delete from messages
    where user_id = ${person.userId} or lower(recipient) = any(${recipients}::text[])`.execute(trx)
}

/** What administrators see of a message: everything but its content. */
export type MessageRow = Omit<Selectable<MessagesTable>, 'content' | 'locale' | 'timezone'>

const visible = [
  'id',
  'channel',
  'template',
  'recipient',
  'user_id',
  'state',
  'attempts',
  'created_at',
  'next_attempt_at',
  'useful_until',
  'finished_at',
  'provider',
  'provider_id',
  'provider_status',
  'last_error',
] as const

/** Newest first, below the id `before`. */
export async function listMessages(
  db: Db,
  filter: { state?: MessageRow['state'] | undefined; before?: string | undefined; limit: number },
): Promise<MessageRow[]> {
  let query = db.selectFrom('messages').select(visible).orderBy('id', 'desc').limit(filter.limit)
  if (filter.state !== undefined) query = query.where('state', '=', filter.state)
  if (filter.before !== undefined) query = query.where('id', '<', filter.before)
  return query.execute()
}

/** Messages to a user that are still kept, oldest first; what they say is sealed, and stays here. */
export async function listMessagesOf(db: Db, userId: string) {
  return db
    .selectFrom('messages')
    .select(['channel', 'template', 'recipient', 'state', 'created_at', 'finished_at'])
    .where('user_id', '=', userId)
    .orderBy('id')
    .execute()
}

export async function lockMessage(trx: Tx, id: string): Promise<MessageRow | undefined> {
  return trx.selectFrom('messages').select(visible).where('id', '=', id).forUpdate().executeTakeFirst()
}

/** Puts a dead message back at the start of the queue. */
export async function reviveMessage(trx: Tx, id: string, at: Date): Promise<MessageRow> {
  return trx
    .updateTable('messages')
    .set({ state: 'queued', attempts: 0, next_attempt_at: at, finished_at: null })
    .where('id', '=', id)
    .returning(visible)
    .executeTakeFirstOrThrow()
}

/**
 * Notes what the provider says later of a message that it took. Reports overtake each other: a final one stays.
 * @returns whether it was noted
 */
export async function noteProviderStatus(
  db: Db,
  report: { id: string; status: string; error: string | undefined },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('messages')
    .set({ provider_status: report.status, ...(report.error !== undefined && { last_error: report.error }) })
    .where('id', '=', report.id)
    .where(eb => eb.or([eb('provider_status', 'is', null), eb('provider_status', 'not in', finalStatuses)]))
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/** Of Twilio. */
const finalStatuses = ['delivered', 'undelivered', 'failed', 'read']

/** A message of the mailbox, which keeps what it says. */
export type KeptMessage = Pick<
  Selectable<MessagesTable>,
  'id' | 'channel' | 'template' | 'recipient' | 'locale' | 'timezone' | 'created_at' | 'content'
>

/** The mailbox, newest first; of one recipient, or one message. */
export async function listKept(
  db: Db,
  filter: { to?: string | undefined; id?: string; limit: number },
): Promise<KeptMessage[]> {
  let query = db
    .selectFrom('messages')
    .select(['id', 'channel', 'template', 'recipient', 'locale', 'timezone', 'created_at', 'content'])
    .where('provider', '=', 'mailbox')
    .where('content', 'is not', null)
    .orderBy('id', 'desc')
    .limit(filter.limit)
  if (filter.to !== undefined) query = query.where(sql`lower(recipient)`, '=', filter.to.toLowerCase())
  if (filter.id !== undefined) query = query.where('id', '=', filter.id)
  return query.execute()
}

export async function isOptedOut(db: Db, hash: Buffer): Promise<boolean> {
  const row = await db
    .selectFrom('sms_opt_outs')
    .select('opted_out_at')
    .where('number_hash', '=', hash)
    .executeTakeFirst()
  return row !== undefined
}

export async function insertOptOut(db: Db, hash: Buffer, at: Date): Promise<void> {
  await db
    .insertInto('sms_opt_outs')
    .values({ number_hash: hash, opted_out_at: at })
    .onConflict(conflict => conflict.doNothing())
    .execute()
}

export async function deleteOptOut(db: Db, hash: Buffer): Promise<void> {
  await db.deleteFrom('sms_opt_outs').where('number_hash', '=', hash).execute()
}
