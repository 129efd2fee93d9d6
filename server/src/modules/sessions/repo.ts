import { type Insertable, type Selectable, sql } from 'kysely'
import { type Db, sendWithCommit, type Tx } from '../../db/store.ts'
import type { SessionsTable, SigningKeysTable } from '../../db/tables.ts'
import { uuidv7Floor } from '../../lib/ids.ts'

export type PrincipalRow = {
  session_id: string
  user_id: string
  created_at: Date
  expires_at: Date
  assurance_level: 'aal1' | 'aal2'
  authentication_methods: string[]
  authenticated_at: Date
  second_factor_at: Date | null
  mfa_enabled: boolean
  /** A role demands a second factor and the session has none: the roles and permissions are left out. */
  enrolment_due: boolean
  granted_roles: string[]
  /** Of the granted roles; `*` stands for all. */
  permissions: string[]
}

/**
 * Who a session acts as, if it lives: session, user and roles in one round trip of primary-key look-ups.
 * Nothing comes back for a session that ended or expired, or whose user is not active.
 * @param exempt a role that demands no second factor here, whatever it says
 */
export async function findPrincipal(
  db: Db,
  sessionId: string,
  now: Date,
  exempt: string | null,
): Promise<PrincipalRow | undefined> {
  const { rows } = await sql<PrincipalRow>`
    select s.id as session_id, s.user_id, s.created_at, s.expires_at, s.assurance_level,
      s.authentication_methods, s.authenticated_at, s.second_factor_at, u.mfa_enabled, due.enrolment_due,
      case when due.enrolment_due then '{}' else g.granted_roles end as granted_roles,
      case when due.enrolment_due then '{}' else g.permissions end as permissions
    from sessions s
    join users u on u.id = s.user_id and u.is_active
    cross join lateral (
      select
        coalesce(array_agg(distinct r.name) filter (where r.name <> 'user'), '{}') as granted_roles,
        coalesce(array_agg(distinct p) filter (where p is not null), '{}') as permissions,
        bool_or(r.requires_mfa and r.name is distinct from ${exempt}) as requires_mfa
      from roles r
      left join lateral unnest(r.permissions) p on true
      where r.name = any (array(select role_name from user_roles ur where ur.user_id = s.user_id) || 'user'::text)
    ) g
    cross join lateral (
      select coalesce(g.requires_mfa, false) and (not u.mfa_enabled or s.assurance_level = 'aal1') as enrolment_due
    ) due
    where s.id = ${sessionId} and s.revoked_at is null and s.expires_at > ${now}`.execute(db)
  return rows[0]
}

/** Notes that a living session has proved a second factor as well. */
export async function raiseSession(
  trx: Tx,
  raise: { sessionId: string; methods: readonly string[]; at: Date },
): Promise<void> {
  const { methods, at } = raise
  await sql`
    update sessions set assurance_level = 'aal2', second_factor_at = ${at}, authenticated_at = ${at},
      authentication_methods = array(
        select m from unnest(authentication_methods || ${methods}::text[]) with ordinality t (m, n)
        group by m order by min(n)
      )
    where id = ${raise.sessionId} and revoked_at is null`.execute(trx)
}

/** What a session has proved. */
export type SessionState = Pick<
  PrincipalRow,
  'assurance_level' | 'authentication_methods' | 'second_factor_at'
>

/** Holds a living session as it is until `trx` ends: whatever would end it waits, or is seen here. */
export async function holdSession(
  trx: Tx,
  ask: { userId: string; sessionId: string; at: Date },
): Promise<SessionState | undefined> {
  const { rows } = await sql<SessionState>`
    select assurance_level, authentication_methods, second_factor_at from sessions
    where id = ${ask.sessionId} and user_id = ${ask.userId} and revoked_at is null and expires_at > ${ask.at}
    for no key update`.execute(trx)
  return rows[0]
}

export function insertSession(trx: Tx, session: Insertable<SessionsTable>): void {
  sendWithCommit(trx, trx.insertInto('sessions').values(session))
}

/**
 * Replaces a session's refresh token if `from` is the one that is valid now: check and take in one statement,
 * so of any number of requests with one token exactly one gets true.
 */
export async function rotateRefreshToken(
  db: Db,
  rotation: {
    sessionId: string
    from: Buffer
    to: Buffer
    at: Date
    expiresAt: Date
    /** Milliseconds from its beginning at which the session ends, whatever `expiresAt` says. */
    maxLifetime: number
    /** Rotations before this are of no more use to the grace period. */
    rememberFrom: Date
    ip: string | null
  },
): Promise<boolean> {
  const { at, rememberFrom } = rotation
  const { numAffectedRows } = await sql`
    update sessions s set
      refresh_generation = refresh_generation + 1,
      refresh_hash = ${rotation.to},
      refresh_rotations = array(
        select r from unnest(refresh_rotations) with ordinality t (r, n)
        where r >= ${rememberFrom} and n > cardinality(s.refresh_rotations) - 31 order by n
      ) || ${at}::timestamptz,
      last_used_at = greatest(last_used_at, ${at}),
      expires_at = least(${rotation.expiresAt}::timestamptz, s.created_at + make_interval(secs => ${rotation.maxLifetime / 1000})),
      ip = coalesce(${rotation.ip}::inet, ip)
    where id = ${rotation.sessionId} and refresh_hash = ${rotation.from}
      and revoked_at is null and expires_at > ${at}
      and exists (select 1 from users u where u.id = s.user_id and u.is_active)`.execute(db)
  return numAffectedRows === 1n
}

export type RefreshState = {
  user_id: string
  refresh_generation: number
  refresh_rotations: Date[]
}

/** Where the chain of a living session stands. */
export async function findRefreshState(
  db: Db,
  sessionId: string,
  now: Date,
): Promise<RefreshState | undefined> {
  const { rows } = await sql<RefreshState>`
    select s.user_id, s.refresh_generation, s.refresh_rotations
    from sessions s join users u on u.id = s.user_id and u.is_active
    where s.id = ${sessionId} and s.revoked_at is null and s.expires_at > ${now}`.execute(db)
  return rows[0]
}

/** Ends living sessions of a user: one (`only`), all but one (`except`), or all. Returns their ids. */
export async function revokeSessions(
  trx: Tx,
  revocation: { userId: string; only?: string; except?: string; reason: string; at: Date },
): Promise<string[]> {
  // Locked in the order of ids, as recordUse() does: two statements never wait for each other.
  let living = trx
    .selectFrom('sessions')
    .select('id')
    .where('user_id', '=', revocation.userId)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', revocation.at)
    .orderBy('id')
    .forNoKeyUpdate()
  if (revocation.only !== undefined) living = living.where('id', '=', revocation.only)
  if (revocation.except !== undefined) living = living.where('id', '<>', revocation.except)
  const ids = (await living.execute()).map(({ id }) => id)
  if (ids.length === 0) return ids
  await trx
    .updateTable('sessions')
    .set({ revoked_at: revocation.at, revoked_reason: revocation.reason })
    .where('id', 'in', ids)
    .execute()
  return ids
}

export type SessionRow = Pick<
  Selectable<SessionsTable>,
  'id' | 'created_at' | 'last_used_at' | 'expires_at' | 'ip' | 'user_agent' | 'assurance_level'
>

/** Living sessions, last used first, at most 200. */
export async function listSessions(db: Db, userId: string, now: Date): Promise<SessionRow[]> {
  return db
    .selectFrom('sessions')
    .select(['id', 'created_at', 'last_used_at', 'expires_at', 'ip', 'user_agent', 'assurance_level'])
    .where('user_id', '=', userId)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .orderBy('last_used_at', 'desc')
    .limit(200)
    .execute()
}

/**
 * Keeps a device, and forgets those of the same user that were last seen before `forgetBefore`.
 * True where it is new, or would have been forgotten, and the user has others.
 */
export async function rememberDevice(
  trx: Tx,
  device: { userId: string; hash: Buffer; at: Date; refreshBefore: Date; forgetBefore: Date },
): Promise<boolean> {
  const { userId, hash, at, forgetBefore } = device
  const { rows } = await sql<{ tell: boolean }>`
    with known as (
      select device_hash, last_seen_at from known_devices where user_id = ${userId}
    ), forgotten as (
      delete from known_devices
      where user_id = ${userId} and device_hash <> ${hash} and last_seen_at < ${forgetBefore}
    ), kept as (
      insert into known_devices as k (user_id, device_hash, first_seen_at, last_seen_at)
      values (${userId}, ${hash}, ${at}, ${at})
      on conflict (user_id, device_hash) do update set last_seen_at = ${at}
        where k.last_seen_at < ${device.refreshBefore}
      returning (xmax = 0) as is_new
    )
    select (is_new or exists (select from known where device_hash = ${hash} and last_seen_at < ${forgetBefore}))
      and exists (select from known where device_hash <> ${hash}) as tell
    from kept`.execute(trx)
  return rows[0]?.tell ?? false
}

/** When each device that a user signs in from was first and last seen; what it is known by stays here. */
export async function listDevices(db: Db, userId: string) {
  return db
    .selectFrom('known_devices')
    .select(['first_seen_at', 'last_seen_at'])
    .where('user_id', '=', userId)
    .orderBy('first_seen_at')
    .execute()
}

/**
 * Moves `last_used_at` forward for many sessions at once. One that somebody else changes at this moment is left out:
 * its change says more, and whoever ends a user's sessions holds their own first, in no order of ids.
 */
export async function recordUse(db: Db, uses: readonly { sessionId: string; at: Date }[]): Promise<void> {
  await sql`
    with used as (
      select * from unnest(${uses.map(({ sessionId }) => sessionId)}::uuid[], ${uses.map(({ at }) => at)}::timestamptz[])
        as t (id, at)
    ), locked as (
      select s.id, used.at from sessions s join used using (id) order by s.id for no key update of s skip locked
    )
    update sessions s set last_used_at = greatest(s.last_used_at, locked.at)
    from locked where s.id = locked.id`.execute(db)
}

/** Deletes at most `limit` sessions that were ended before `before`. Returns how many went. */
export async function deleteRevokedSessions(db: Db, before: Date, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from sessions where id in (
      select id from sessions where revoked_at < ${before} order by revoked_at limit ${limit}
      for update skip locked
    )`.execute(db)
  return Number(numAffectedRows ?? 0n)
}

/**
 * Of the `limit` sessions above the id `after` that began before `begunBefore`, deletes those that expired before
 * `before`, and returns the last. An index on the expiry would cost every refresh more than this walk: its update
 * could not stay within a page.
 */
export async function deleteExpiredSessions(
  db: Db,
  page: { after: string; begunBefore: Date; before: Date; limit: number },
): Promise<string | undefined> {
  const { rows } = await sql<{ id: string }>`
    with page as materialized (
      select id from sessions where id > ${page.after} and id < ${uuidv7Floor(page.begunBefore)}
      order by id limit ${page.limit}
    ), expired as (
      select id from sessions where id in (table page) and expires_at < ${page.before} for update skip locked
    ), deleted as (
      delete from sessions where id in (table expired)
    )
    select id from page order by id desc limit 1`.execute(db)
  return rows[0]?.id
}

export async function listSigningKeys(
  db: Db,
  algorithm: string,
): Promise<Pick<Selectable<SigningKeysTable>, 'kid' | 'private_key_sealed' | 'signs_from'>[]> {
  return db
    .selectFrom('signing_keys')
    .select(['kid', 'private_key_sealed', 'signs_from'])
    .where('algorithm', '=', algorithm)
    .orderBy('signs_from', 'desc')
    .orderBy('kid')
    .execute()
}

export async function lockSigningKeys(trx: Tx): Promise<void> {
  await sql`lock table signing_keys in share row exclusive mode`.execute(trx)
}

export async function insertSigningKey(trx: Tx, key: Insertable<SigningKeysTable>): Promise<void> {
  await trx.insertInto('signing_keys').values(key).execute()
}

export async function deleteSigningKeys(db: Db, which: readonly string[] | 'all'): Promise<void> {
  const all = db.deleteFrom('signing_keys')
  await (which === 'all' ? all : all.where('kid', 'in', which)).execute()
}
