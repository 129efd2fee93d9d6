import type { RosterEvent } from '@roster/client/replica'
import type pg from 'pg'
import type { Ledger } from './load.ts'

/** Every count is to be 0, but for the first three. */
export type Verdict = {
  acknowledged: number
  events: number
  delivered: number
  acknowledgedWithoutEvent: number
  effectsTwice: number
  eventsWithoutRow: number
  rowsWithoutEvent: number
  eventsWithoutAudit: number
  missingAtBroker: number
  missingAtWebhook: number
  outOfOrderAtBroker: number
  outOfOrderAtWebhook: number
  differingInReplica: number
}

export const isFaultless = ({ acknowledged, events, delivered, ...faults }: Verdict): boolean =>
  acknowledged > 0 && events > 0 && delivered > 0 && Object.values(faults).every(count => count === 0)

type EventRow = { id: string; sequence: string; type: string; user_id: string | null; mark: string | null }

/** Joins what clients and sinks wrote down with users, audit and outbox. */
export async function judge(options: {
  pool: pg.Pool
  replica: pg.Pool
  ledger: Ledger
  atBroker: readonly RosterEvent[]
  atWebhook: readonly RosterEvent[]
  /** The first event that the sinks are held to. */
  from: number
  truth: readonly object[]
}): Promise<Verdict> {
  const { pool, ledger, atBroker, atWebhook, from } = options
  const { rows: events } = await pool.query<EventRow>(`
    select id, sequence, type, user_id, case type
      when 'user.registered' then data->>'email'
      when 'user.username_updated' then data->>'newUsername'
      when 'user.profile_updated' then data->'changes'->>'location' end as mark
    from events order by sequence`)
  const counts = new Map<string, number>()
  for (const { mark } of events) if (mark) counts.set(mark, (counts.get(mark) ?? 0) + 1)
  const since = events.filter(({ sequence }) => Number(sequence) >= from)
  const count = async (text: string) => Number((await pool.query(text)).rows[0]?.count ?? -1)
  return {
    acknowledged: ledger.acknowledged.length,
    events: since.length,
    delivered: atBroker.length + atWebhook.length,
    acknowledgedWithoutEvent: ledger.acknowledged.filter(({ mark }) => !counts.has(mark)).length,
    effectsTwice: [...counts.values()].filter(times => times > 1).length,
    eventsWithoutRow: await count(`
      select count(*) from events e where type = 'user.registered'
        and not exists (select from users u where u.id = e.user_id)`),
    rowsWithoutEvent: await count(`
      select count(*) from users u where not exists (
        select from events e where e.user_id = u.id and e.type = 'user.registered')
      or u.location is distinct from (
        select e.data->'changes'->>'location' from events e
        where e.user_id = u.id and e.type = 'user.profile_updated' order by e.sequence desc limit 1)`),
    eventsWithoutAudit: await count(`
      select abs((select count(*) from events where type = 'user.profile_updated')
        - (select count(*) from audit_log where action = 'user.profile_updated')) as count`),
    missingAtBroker: missing(since, atBroker),
    missingAtWebhook: missing(
      since.filter(({ type }) => type.startsWith('user.')),
      atWebhook,
    ),
    outOfOrderAtBroker: outOfOrder(atBroker),
    outOfOrderAtWebhook: outOfOrder(atWebhook),
    differingInReplica: await differing(options.replica, options.truth),
  }
}

function missing(events: readonly EventRow[], received: readonly RosterEvent[]): number {
  const ids = new Set(received.map(({ id }) => id))
  return events.filter(({ id }) => !ids.has(id)).length
}

/** Events that were first seen after a later one of the same user. */
function outOfOrder(received: readonly RosterEvent[]): number {
  const seen = new Set<string>()
  const last = new Map<unknown, number>()
  let faults = 0
  for (const { id, sequence, data } of received) {
    if (seen.has(id)) continue
    seen.add(id)
    if (sequence < (last.get(data.userId) ?? 0)) faults += 1
    last.set(data.userId, sequence)
  }
  return faults
}

async function differing(replica: pg.Pool, truth: readonly object[]): Promise<number> {
  const { rows } = await replica.query('select * from users order by id')
  const own = rows.map(({ as_of, ...user }) => JSON.stringify(user))
  const theirs = truth.map(user => JSON.stringify(user))
  return theirs.filter((text, at) => text !== own[at]).length + Math.abs(own.length - theirs.length)
}
