import { sql } from 'kysely'
import type { Db, Tx } from '../../db/store.ts'

/** Limits of one address in any 60 minutes and any 24 hours. */
export type Quota = { hourly: number; daily: number }

export type Counted = { address: Buffer; at: Date; hourAgo: Date; dayAgo: Date; quota: Quota }

/**
 * Counts one message to an address if its quota allows it and it is not in a cool-down: one statement checks
 * and takes, under the lock of the address's row, so the last slot goes to one of any number of requests in
 * any number of processes.
 */
const countedInsert = ({ address, at, hourAgo, dayAgo, quota }: Counted, ignoreCooldown: boolean) => sql`
  insert into code_quotas as q (address_hash, sent, touched_at) values (${address}, array[${at}::timestamptz], ${at})
  on conflict (address_hash) do update set
    sent = array(select s from unnest(q.sent) s where s > ${dayAgo} order by s) || ${at}::timestamptz,
    touched_at = ${at}
  where (select count(*) from unnest(q.sent) s where s > ${dayAgo}) < ${quota.daily}
    and (select count(*) from unnest(q.sent) s where s > ${hourAgo}) < ${quota.hourly}
    and (${ignoreCooldown} or q.blocked_until is null or q.blocked_until <= ${at})
  returning 1`

export type NewCode = {
  id: string
  purpose: string
  userId: string
  target: string
  hash: Buffer
  tries: number
  data: Readonly<Record<string, unknown>>
  at: Date
  expiresAt: Date
}

/** Keeps a code in place of the user's last one of its purpose, and counts it. False where it may not be sent. */
export async function insertCode(trx: Tx, counted: Counted, code: NewCode): Promise<boolean> {
  const { rows } = await sql`
    with counted as (${countedInsert(counted, false)})
    insert into verifications
      (id, kind, purpose, user_id, target, secret_hash, tries_left, data, created_at, expires_at)
    select ${code.id}::uuid, 'code', ${code.purpose}, ${code.userId}::uuid, ${code.target}, ${code.hash}::bytea,
      ${code.tries}::smallint, ${JSON.stringify(code.data)}::jsonb, ${code.at}::timestamptz, ${code.expiresAt}::timestamptz
    from counted
    on conflict (user_id, purpose) where kind = 'code' do update set
      id = excluded.id, target = excluded.target, secret_hash = excluded.secret_hash,
      tries_left = excluded.tries_left, data = excluded.data,
      created_at = excluded.created_at, expires_at = excluded.expires_at
    returning 1`.execute(trx)
  return rows.length === 1
}

/** Counts a message that is not a code. False where it may not be sent. */
export async function countMessage(trx: Tx, counted: Counted): Promise<boolean> {
  const { rows } = await countedInsert(counted, true).execute(trx)
  return rows.length === 1
}

export type QuotaState = { sent: Date[]; blocked_until: Date | null }

/** Where an address stands. Inside a transaction that was refused, its row is locked already. */
export async function findQuota(db: Db, address: Buffer): Promise<QuotaState | undefined> {
  return db
    .selectFrom('code_quotas')
    .select(['sent', 'blocked_until'])
    .where('address_hash', '=', address)
    .executeTakeFirst()
}

/**
 * Takes the lock under which all guesses at codes of one address are judged one after the other.
 * Undefined where nothing was ever sent there.
 */
export async function lockQuota(
  trx: Tx,
  address: Buffer,
): Promise<{ blocked_until: Date | null } | undefined> {
  return trx
    .selectFrom('code_quotas')
    .select('blocked_until')
    .where('address_hash', '=', address)
    .forNoKeyUpdate()
    .executeTakeFirst()
}

/** The same lock for an address that nothing may have been sent to yet. */
export async function takeQuotaLock(trx: Tx, address: Buffer, at: Date): Promise<void> {
  await trx
    .insertInto('code_quotas')
    .values({ address_hash: address, touched_at: at })
    .onConflict(conflict => conflict.column('address_hash').doUpdateSet({ touched_at: at }))
    .execute()
}

export type Guess = {
  purpose: string
  userId: string
  target: string
  hash: Buffer
  address: Buffer
  at: Date
}

/** Uses a code up if it is the right one, and forgets the failures of its address. */
export async function takeCode(
  trx: Tx,
  { purpose, userId, target, hash, address, at }: Guess,
): Promise<{ data: Record<string, unknown> } | undefined> {
  const { rows } = await sql<{ data: Record<string, unknown> }>`
    with taken as (
      delete from verifications
      where kind = 'code' and purpose = ${purpose} and user_id = ${userId} and target = ${target}
        and secret_hash = ${hash} and tries_left > 0 and expires_at > ${at}
      returning data
    ), cleared as (
      update code_quotas set failures = 0, failed_at = null
      where address_hash = ${address} and exists (select from taken)
    )
    select data from taken`.execute(trx)
  return rows[0]
}

/**
 * Counts a wrong guess at a living code, on the code and on its address. Where there is no living code to
 * guess at, nothing is counted: it can't be guessed, and nobody can lock an address with codes never sent.
 */
export async function countFailure(
  trx: Tx,
  guess: Guess,
  rules: { forgetBefore: Date; limit: number; blockUntil: Date },
): Promise<void> {
  const { purpose, userId, target, address, at } = guess
  await sql`
    with missed as (
      update verifications set tries_left = tries_left - 1
      where kind = 'code' and purpose = ${purpose} and user_id = ${userId} and target = ${target}
        and tries_left > 0 and expires_at > ${at}
      returning 1
    ), fresh as (
      select address_hash, case when failed_at > ${rules.forgetBefore} then failures else 0 end + 1 as failures
      from code_quotas where address_hash = ${address} and exists (select from missed)
    )
    update code_quotas q set
      failures = case when fresh.failures >= ${rules.limit} then 0 else fresh.failures end,
      blocked_until = case when fresh.failures >= ${rules.limit} then ${rules.blockUntil} else q.blocked_until end,
      failed_at = ${at}, touched_at = ${at}
    from fresh where q.address_hash = fresh.address_hash`.execute(trx)
}

export async function insertLink(trx: Tx, link: Omit<NewCode, 'tries'>): Promise<void> {
  await trx
    .insertInto('verifications')
    .values({
      id: link.id,
      kind: 'link',
      purpose: link.purpose,
      user_id: link.userId,
      target: link.target,
      secret_hash: link.hash,
      tries_left: 1,
      data: JSON.stringify(link.data),
      created_at: link.at,
      expires_at: link.expiresAt,
    })
    .execute()
}

const linkColumns = ['user_id', 'target', 'data', 'created_at'] as const

export type LinkRow = { user_id: string; target: string; data: Record<string, unknown>; created_at: Date }

export async function findLink(
  db: Db,
  link: { purpose: string; hash: Buffer; at: Date },
): Promise<LinkRow | undefined> {
  return db
    .selectFrom('verifications')
    .select(linkColumns)
    .where('kind', '=', 'link')
    .where('secret_hash', '=', link.hash)
    .where('purpose', '=', link.purpose)
    .where('expires_at', '>', link.at)
    .executeTakeFirst()
}

/** The living links of a user. */
export async function listLinks(
  db: Db,
  of: { purpose: string; userId: string; at: Date },
): Promise<LinkRow[]> {
  return db
    .selectFrom('verifications')
    .select(linkColumns)
    .where('kind', '=', 'link')
    .where('user_id', '=', of.userId)
    .where('purpose', '=', of.purpose)
    .where('expires_at', '>', of.at)
    .execute()
}

/** Uses a link up: of any number of requests with it one gets the row. */
export async function takeLink(
  trx: Tx,
  link: { purpose: string; hash: Buffer; at: Date },
): Promise<LinkRow | undefined> {
  return trx
    .deleteFrom('verifications')
    .where('kind', '=', 'link')
    .where('secret_hash', '=', link.hash)
    .where('purpose', '=', link.purpose)
    .where('expires_at', '>', link.at)
    .returning(linkColumns)
    .executeTakeFirst()
}

export async function deleteOfUser(
  trx: Tx,
  userId: string,
  purposes?: readonly string[],
  since = new Date(0),
): Promise<void> {
  const all = trx.deleteFrom('verifications').where('user_id', '=', userId).where('created_at', '>=', since)
  await (purposes ? all.where('purpose', 'in', purposes) : all).execute()
}

/** Deletes at most `limit` codes and links that expired before `at`. Returns how many went. */
export async function deleteExpired(db: Db, at: Date, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from verifications where id in (
      select id from verifications where expires_at < ${at} order by expires_at limit ${limit} for update skip locked
    )`.execute(db)
  return Number(numAffectedRows ?? 0n)
}

/**
 * Of the `limit` addresses above `after`, forgets those that were last touched before `before`, of which nothing
 * counts any more, and returns the last. An index on the time would cost every code an entry.
 */
export async function deleteStaleQuotas(
  db: Db,
  page: { after: Buffer; before: Date; limit: number },
): Promise<Buffer | undefined> {
  const { rows } = await sql<{ address_hash: Buffer }>`
    with page as materialized (
      select address_hash from code_quotas
      where address_hash > ${page.after} order by address_hash limit ${page.limit}
    ), stale as (
      select address_hash from code_quotas
      where address_hash in (table page) and touched_at < ${page.before}
      for update skip locked
    ), deleted as (
      delete from code_quotas where address_hash in (table stale)
    )
    select address_hash from page order by address_hash desc limit 1`.execute(db)
  return rows[0]?.address_hash
}
