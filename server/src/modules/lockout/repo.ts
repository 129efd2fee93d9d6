import { sql } from 'kysely'
import { type Db, sendWithCommit, type Tx } from '../../db/store.ts'

/** What is counted under one key, and how many failures in a row it bears. */
export type Subject = { key: Buffer; limit: number }

/** The rules that all counts share, in seconds. */
type Rules = { forgetAfter: number; seepPerSecond: number; staleAfter: number }

/** A login's two subjects: the account, which is found by its name here, and the client's address. */
export type SignInAsk = {
  column: 'email_key' | 'username_key' | 'phone_number'
  value: string
  /** Under which a name that is nobody's counts. */
  unknownKey: Buffer
  factor: string
  accountLimit: number
  address: Subject
  /** The cookie by which a browser is recognised. */
  device: string | null
  at: Date
}

export type SignInRow = {
  key: Buffer
  account_taken: boolean
  address_taken: boolean
  id: string | null
  is_active: boolean | null
  email_verified: boolean | null
  password_hash: string | null
  password_version: number | null
  is_known_device: boolean | null
}

const accountRules: Rules = { forgetAfter: 86_400, seepPerSecond: 0, staleAfter: 30 }
const addressRules = (limit: number): Rules => ({ ...accountRules, seepPerSecond: limit / 3600 })

/**
 * Finds who signs in and takes a slot for the attempt, in one statement: of any number at once, in any number
 * of processes, no more are judged than may be. A known device counts apart from everybody else, so that
 * strangers can't use up its owner's attempts.
 */
export async function reserveSignIn(db: Db, ask: SignInAsk): Promise<SignInRow> {
  const { at, address } = ask
  const { rows } = await sql<SignInRow>`
    with person as materialized (
      select u.id, u.is_active, u.email_verified_at is not null as email_verified, c.password_hash, c.password_version,
        (select d.device_hash from known_devices d where d.user_id = u.id
          and d.device_hash = sha256(convert_to(u.id::text || ' cookie ' || ${ask.device}::text, 'UTF8'))) as device_hash
      from users u left join user_credentials c on c.user_id = u.id
      where ${sql.ref(`u.${ask.column}`)} = ${ask.value}
    ), subject as materialized (
      select coalesce(
        (select uuid_send(id) || ${Buffer.from(ask.factor)}::bytea || coalesce(device_hash, '') from person),
        ${ask.unknownKey}::bytea
      ) as key
    ), account as (
      ${take(sql`select key from subject`, ask.accountLimit, accountRules, at)}
    ), address as (
      ${take(sql`select ${address.key}::bytea as key from account`, address.limit, addressRules(address.limit), at)}
    )
    select s.key, exists (select from account) as account_taken, exists (select from address) as address_taken, p.*,
      p.device_hash is not null as is_known_device,
      ${withoutSync}
    from subject s left join person p on true`.execute(db)
  const [row] = rows
  if (!row) throw new Error('a sign-in without a subject')
  return row
}

/** Takes a slot for an attempt of an account that is known already. */
export async function reserve(
  db: Db,
  ask: { account: Subject | undefined; address: Subject; at: Date },
): Promise<{ account_taken: boolean; address_taken: boolean }> {
  const { account, address, at } = ask
  const first = account
    ? take(sql`select ${account.key}::bytea as key`, account.limit, accountRules, at)
    : sql`select ${address.key}::bytea as key`
  const { rows } = await sql<{ account_taken: boolean; address_taken: boolean }>`
    with account as (${first}), address as (
      ${take(sql`select ${address.key}::bytea as key from account`, address.limit, addressRules(address.limit), at)}
    )
    select exists (select from account) as account_taken, exists (select from address) as address_taken,
      ${withoutSync}`.execute(db)
  return rows[0] ?? { account_taken: false, address_taken: false }
}

/**
 * One slot under the key that `subject` selects; no row where none is free. Once the limit is reached one
 * attempt at a time is judged, after each delay. What a dead process took and never gave back has failed.
 */
function take(subject: ReturnType<typeof sql>, limit: number, rules: Rules, at: Date) {
  const [forgetAfter, staleAfter] = [inSeconds(rules.forgetAfter), inSeconds(rules.staleAfter)]
  const now = sql`excluded.reserved_at`
  const isStale = sql`(l.reserved > 0 and l.reserved_at < ${now} - ${staleAfter})`
  const age = sql`extract(epoch from ${now} - greatest(l.failed_at, l.reserved_at))`
  const failures = sql`(case
      when l.failed_at is null or l.failed_at < ${now} - ${forgetAfter} then 0
      else greatest(l.failures - greatest(${age}, 0) * ${sql.lit(rules.seepPerSecond)}::float8, 0)
    end + case when ${isStale} then l.reserved else 0 end)`
  const reserved = sql`(case when ${isStale} then 0 else l.reserved end)`
  return sql`
    insert into attempt_limits as l (key, reserved, reserved_at)
    select key, 1, ${at}::timestamptz from (${subject}) as asked
    on conflict (key) do update set
      failures = ${failures}, reserved = ${reserved} + 1, reserved_at = ${now}
    where (l.blocked_until is null or l.blocked_until <= ${now})
      and ${reserved} < greatest(${sql.lit(limit)} - ${failures}, 1)
    returning l.key`
}

const inSeconds = (seconds: number) => sql`interval '${sql.raw(String(seconds))} seconds'`

/**
 * Lets the statement's own transaction commit without a sync to disk: the address's row is not held for as long as
 * that takes. A crash of PostgreSQL that forgets a slot also ends the attempt, whose outcome is synced.
 */
const withoutSync = sql`set_config('synchronous_commit', 'off', true)`

/** When the keys stop being blocked; null while they are merely busy with other attempts. */
export async function findBlock(db: Db, keys: readonly Buffer[], at: Date): Promise<Date | null> {
  const { rows } = await sql<{ until: Date | null }>`
    select max(blocked_until) as until from attempt_limits
    where key = any(${keys}::bytea[]) and blocked_until > ${at}`.execute(db)
  return rows[0]?.until ?? null
}

/** What an attempt counts under; either may be missing. */
export type Subjects =
  | { account: Subject; address?: Subject | undefined }
  | { account?: undefined; address: Subject }

export type Verdict = Subjects & {
  /** `abandoned`: it was never judged. */
  outcome: 'failed' | 'succeeded' | 'abandoned'
  at: Date
  /** Seconds of the first delay, and of the longest. */
  firstDelay: number
  longestDelay: number
}

/**
 * Gives the slots of an attempt back, and counts what came of it. Success forgets the failures of the account's
 * factor and of nothing else. Rows are locked account first, as they were taken.
 */
export async function settle(db: Db, verdict: Verdict): Promise<void> {
  await settling(verdict).execute(db)
}

/** The same at the commit of `trx`, so that the address's row is held for no longer than that takes. */
export const settleWithCommit = (trx: Tx, verdict: Verdict): void => sendWithCommit(trx, settling(verdict))

/** The address's update asks for the account's, which so comes first. */
function settling(verdict: Verdict) {
  const { account, address, outcome } = verdict
  // An address is not trusted again because somebody knew one password.
  const ofAddress = outcome === 'succeeded' ? 'abandoned' : outcome
  if (!account) return settlingOne(address, ofAddress, verdict)
  const first = settlingOne(account, outcome, verdict)
  if (!address) return first
  return sql`
    with account as (${first} returning key)
    ${settlingOne(address, ofAddress, verdict)} and (select count(*) from account) >= 0`
}

function settlingOne({ key, limit }: Subject, outcome: Verdict['outcome'], verdict: Verdict) {
  const { at, firstDelay, longestDelay } = verdict
  const beyond = sql`least(floor(l.failures) + 1 - ${sql.lit(limit)}, 30)`
  const delay = sql`least(${sql.lit(longestDelay)}, ${sql.lit(firstDelay)} * power(2, ${beyond}))`
  const changes = {
    abandoned: sql``,
    succeeded: sql`, failures = 0, blocked_until = null`,
    failed: sql`, failures = l.failures + 1, failed_at = ${at}, blocked_until =
      case when floor(l.failures) + 1 >= ${sql.lit(limit)} then ${at}::timestamptz + ${delay} * interval '1 second' end`,
  }
  return sql`
    update attempt_limits l set reserved = greatest(l.reserved - 1, 0)${changes[outcome]}
    where l.key = ${key}`
}

/** Forgets what is counted under keys that begin so. */
export async function deleteByPrefix(trx: Tx, prefix: Buffer): Promise<void> {
  const end = Buffer.concat([prefix, Buffer.alloc(48, 0xff)])
  await trx.deleteFrom('attempt_limits').where('key', '>=', prefix).where('key', '<', end).execute()
}

/**
 * Of the `limit` keys above `after`, deletes those whose counts say nothing any more, and returns the last. An
 * index on times would cost every sign-in more than this walk: its updates could not stay within a page.
 */
export async function deleteForgotten(
  db: Db,
  page: { after: Buffer; before: Date; limit: number },
): Promise<Buffer | undefined> {
  const { rows } = await sql<{ key: Buffer }>`
    with page as materialized (
      select key from attempt_limits where key > ${page.after} order by key limit ${page.limit}
    ), forgotten as (
      select key from attempt_limits
      where key in (table page) and greatest(reserved_at, failed_at, blocked_until) < ${page.before}
      for update skip locked
    ), deleted as (
      delete from attempt_limits where key in (table forgotten)
    )
    select key from page order by key desc limit 1`.execute(db)
  return rows[0]?.key
}
