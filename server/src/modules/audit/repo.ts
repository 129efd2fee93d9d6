import { type RawBuilder, type Selectable, sql } from 'kysely'
import { type Db, sendWithCommit, type Tx } from '../../db/store.ts'
import type { AuditLogTable, AuditPersonalTable, AuditSealsTable } from '../../db/tables.ts'
import { isUuid, nilUuid } from '../../lib/ids.ts'

export type AuditRecord = Omit<Selectable<AuditLogTable>, 'details' | 'personal_digest'> & { details: string }

/**
 * The row, its place in the queue for sealing and what is personal about it, in one statement that its caller
 * does not wait for. Nothing personal of somebody who was erased before the row is written.
 */
export function insertAuditEntry(
  trx: Tx,
  entry: AuditRecord,
  personal: Omit<Selectable<AuditPersonalTable>, 'audit_id'> | undefined,
): void {
  const { id } = entry
  const digest = personal
    ? digestOf(sql`${personal.salt}::bytea`, sql`${personal.ip}::inet`, sql`${personal.user_agent}::text`)
    : sql`null`
  const person = personOf(entry)
  const isThere = person === null ? sql`true` : sql`exists (select from users where id = ${person})`
  const kept = personal
    ? sql`, personal as (insert into audit_personal (audit_id, ip, user_agent, salt)
        select ${id}::uuid, ${personal.ip}::inet, ${personal.user_agent}, ${personal.salt}::bytea where ${isThere})`
    : sql``
  const insert = sql`
    with entry as (
      insert into audit_log (id, occurred_at, action, outcome, actor_type, actor_id, subject_type, subject_id,
        session_id, request_id, changed_fields, details, personal_digest)
      values (${id}, ${entry.occurred_at}, ${entry.action}, ${entry.outcome}, ${entry.actor_type},
        ${entry.actor_id}, ${entry.subject_type}, ${entry.subject_id}, ${entry.session_id}, ${entry.request_id},
        ${entry.changed_fields}, ${entry.details}, ${digest})
    )${kept}
    insert into audit_unsealed (audit_id) values (${id})`
  sendWithCommit(trx, insert)
}

/** Whose address and device it has: those of who acted, or of somebody who tried with a user's account. */
const personOf = ({ actor_type, actor_id, subject_type, subject_id }: AuditRecord): string | null =>
  actor_type !== 'anonymous'
    ? actor_id
    : subject_type === 'user' && isUuid(subject_id ?? '')
      ? subject_id
      : null

/** In SQL at both ends, so that the database's own way of writing an address never matters. */
const digestOf = (salt: RawBuilder<unknown>, ip: RawBuilder<unknown>, userAgent: RawBuilder<unknown>) =>
  sql`sha256(${salt} || convert_to(coalesce(host(${ip}), '') || E'\n' || coalesce(${userAgent}, ''), 'UTF8'))`

/** Takes up to `limit` rows out of the queue for sealing, in order of their ids. */
export async function takeUnsealed(trx: Tx, limit: number): Promise<string[]> {
  const { rows } = await sql<{ audit_id: string }>`
    delete from audit_unsealed
    where ctid = any(array(select ctid from audit_unsealed limit ${limit}))
    returning audit_id`.execute(trx)
  return rows.map(row => row.audit_id).sort()
}

export type SealableRow = { id: string; occurred_at: Date; content: string }

/** Rows with all that a seal covers as one text, the same on every server and in every session. */
export async function readSealable(db: Db, ids: readonly string[]): Promise<SealableRow[]> {
  const { rows } = await sql<SealableRow>`
    select id, occurred_at, ${content} as content from audit_log where id = any(${ids}::uuid[])`.execute(db)
  return rows
}

const content = sql`jsonb_build_array(id, (extract(epoch from occurred_at) * 1000000)::bigint, action, outcome,
  actor_type, actor_id, subject_type, subject_id, session_id, request_id, changed_fields, details,
  encode(personal_digest, 'hex'))::text`

export type PersonalState = { id: string; state: 'kept' | 'erased' | 'changed' | 'added' | 'removed' }

/**
 * Of the rows among `ids` that have a person's address and device, or were bound to them: whether they still are
 * what was bound. They may be gone with the person whose they were (see `deletePersonal()`), and only so.
 */
export async function readPersonalStates(db: Db, ids: readonly string[]): Promise<PersonalState[]> {
  const digest = digestOf(sql`p.salt`, sql`p.ip`, sql`p.user_agent`)
  const person = sql`case when l.actor_type <> 'anonymous' then l.actor_id
    when l.subject_type = 'user' and l.subject_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then l.subject_id::uuid end`
  const { rows } = await sql<PersonalState>`
    select l.id, case
        when l.personal_digest is null then 'added'
        when p.audit_id is null then
          case when ${person} is null or exists (select from users where id = ${person}) then 'removed' else 'erased' end
        when p.salt is not null and ${digest} = l.personal_digest then 'kept'
        else 'changed'
      end as state
    from audit_log l left join audit_personal p on p.audit_id = l.id
    where l.id = any(${ids}::uuid[]) and (l.personal_digest is not null or p.audit_id is not null)
    order by l.id`.execute(db)
  return rows
}

/** One process at a time seals; false where another is at it. Held until `trx` ends. */
export async function lockSealing(trx: Tx): Promise<boolean> {
  const { rows } = await sql<{ free: boolean }>`
    select pg_try_advisory_xact_lock(hashtext('roster audit seals')) as free`.execute(trx)
  return rows[0]?.free ?? false
}

export type Seal = Omit<Selectable<AuditSealsTable>, 'sequence'> & { sequence: number }

export async function lastSeal(db: Db): Promise<Seal | undefined> {
  const row = await db
    .selectFrom('audit_seals')
    .selectAll()
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row && { ...row, sequence: Number(row.sequence) }
}

export async function findSealMac(db: Db, sequence: number): Promise<Buffer | undefined> {
  const row = await db
    .selectFrom('audit_seals')
    .select('mac')
    .where('sequence', '=', String(sequence))
    .executeTakeFirst()
  return row?.mac
}

export async function insertSeal(trx: Tx, { sequence, ...seal }: Seal): Promise<void> {
  await trx
    .insertInto('audit_seals')
    .values({ ...seal, sequence: String(sequence) })
    .execute()
}

export async function readSeals(db: Db, after: number, limit: number): Promise<Seal[]> {
  const rows = await db
    .selectFrom('audit_seals')
    .selectAll()
    .where('sequence', '>', String(after))
    .orderBy('sequence')
    .limit(limit)
    .execute()
  return rows.map(row => ({ ...row, sequence: Number(row.sequence) }))
}

/** Ids of the log in order, from the one after `after` on. */
export async function readIds(db: Db, after: string, limit: number, before?: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from audit_log where id > ${after} ${before === undefined ? sql`` : sql`and id < ${before}`}
    order by id limit ${limit}`.execute(db)
  return rows.map(row => row.id)
}

/** Rows of the log that wait to be sealed. */
export async function readUnsealed(db: Db): Promise<string[]> {
  const { rows } = await sql<{ audit_id: string }>`
    select audit_id from audit_unsealed where exists (select from audit_log where id = audit_id)`.execute(db)
  return rows.map(row => row.audit_id)
}

/**
 * Removes addresses and devices from up to `limit` rows about what a person did, or what somebody who was not
 * signed in tried with their account. Returns how many.
 */
export async function deletePersonal(trx: Tx, userId: string, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from audit_personal where audit_id in (
      select l.id from audit_log l join audit_personal p on p.audit_id = l.id
      where l.actor_id = ${userId}
      union all
      select l.id from audit_log l join audit_personal p on p.audit_id = l.id
      where l.subject_id = ${userId} and l.actor_type = 'anonymous'
      limit ${limit}
    )`.execute(trx)
  return Number(numAffectedRows ?? 0n)
}

export type AuditRow = Pick<
  Selectable<AuditLogTable>,
  | 'id'
  | 'occurred_at'
  | 'action'
  | 'actor_id'
  | 'subject_type'
  | 'subject_id'
  | 'session_id'
  | 'request_id'
  | 'changed_fields'
  | 'details'
> & {
  outcome: 'success' | 'failure' | 'denied'
  actor_type: 'user' | 'anonymous' | 'operator' | 'system'
  ip: string | null
  user_agent: string | null
}

export type AuditSelection = {
  actorId?: string | undefined
  subjectId?: string | undefined
  actions?: readonly string[] | undefined
  outcome?: string | undefined
  /** Ids: `from` inclusive, `to` exclusive. */
  from?: string | undefined
  to?: string | undefined
  limit: number
}

/** Rows, newest first. Each action is one descent of its own, merged. */
export function auditQuery(selection: AuditSelection): RawBuilder<AuditRow> {
  const { actions, limit } = selection
  const branches = actions ? actions.map(action => newest(selection, action)) : [newest(selection)]
  return sql<AuditRow>`
    select l.id, l.occurred_at, l.action, l.outcome, l.actor_type, l.actor_id, l.subject_type, l.subject_id,
      l.session_id, l.request_id, l.changed_fields, l.details, host(p.ip) as ip, p.user_agent
    from (select * from (${sql.join(branches, sql` union all `)}) b order by id desc limit ${limit}) l
    left join audit_personal p on p.audit_id = l.id
    order by l.id desc`
}

/**
 * The newest rows of one action, or of all. Of an action that is asked for alone, its place in the index on
 * `(action, id)` is given as a pair: with `action = …` the planner walks the whole log backwards where it believes
 * the action to be frequent, however many other rows came last.
 */
function newest(selection: AuditSelection, action?: string): RawBuilder<unknown> {
  const { actorId, subjectId, outcome, limit } = selection
  const from = selection.from ?? nilUuid
  const to = selection.to ?? highestId
  const alone = action !== undefined && actorId === undefined && subjectId === undefined
  const conditions = [
    alone
      ? sql`(l.action, l.id) >= (${action}, ${from}::uuid) and (l.action, l.id) < (${action}, ${to}::uuid)`
      : sql`l.id >= ${from} and l.id < ${to}`,
    action !== undefined && !alone && sql`l.action = ${action}`,
    actorId !== undefined && sql`l.actor_id = ${actorId}`,
    subjectId !== undefined && sql`l.subject_id = ${subjectId}`,
    outcome !== undefined && outcomeIs(outcome),
  ].filter(condition => condition !== false)
  const order = alone ? sql`l.action desc, l.id desc` : sql`l.id desc`
  return sql`(select l.* from audit_log l where ${sql.join(conditions, sql` and `)} order by ${order} limit ${limit})`
}

const highestId = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** As literals: with a parameter the planner could not use the index of the rare outcomes. */
const outcomeIs = (outcome: string) =>
  outcome === 'success' ? sql`l.outcome = 'success'` : sql`l.outcome <> 'success' and l.outcome = ${outcome}`

export async function selectAudit(db: Db, selection: AuditSelection): Promise<AuditRow[]> {
  const { rows } = await auditQuery(selection).execute(db)
  return rows
}
