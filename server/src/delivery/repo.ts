import { type Insertable, sql } from 'kysely'
import type { Db, Tx } from '../db/store.ts'
import type { MessagesTable } from '../db/tables.ts'
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
  const { rows } = await sql<Backlog>`
    select c.channel, count(m.id) filter (where m.state = 'queued')::int as waiting,
      coalesce(extract(epoch from ${now}::timestamptz - min(m.created_at) filter (where m.state = 'queued')), 0)::float8
        as "oldestSeconds",
      count(m.id) filter (where m.state = 'dead')::int as dead
    from (values ('email'), ('sms')) c (channel)
    left join messages m on m.channel = c.channel and m.state in ('queued', 'dead')
    group by c.channel`.execute(db)
  return rows
}
