import { sql } from 'kysely'
import type { Pool } from 'pg'
import type { Tx } from '../../../db/store.ts'
import { type PublicUserRow, publicColumns } from '../profile/public-columns.ts'
import { type Conditions, foldSkill, joinWords, searchForm } from './terms.ts'

/** Columns of users that search shows, filters on, or hides a user by. */
export const searchedFields = [
  'username',
  'full_name',
  'current_title',
  'location',
  'is_active',
  'deleted_at',
] as const

type Searched = {
  username: string
  full_name?: string | null | undefined
  current_title?: string | null | undefined
  location?: string | null | undefined
  is_active?: boolean | undefined
}

type SearchRow = { is_visible: boolean; names: string; title: string; location: string; skills: string[] }

const hiddenRow: SearchRow = { is_visible: false, names: '', title: '', location: '', skills: [] }

/** The row of a new user, who has no profile yet. */
export async function insertSearchRow(trx: Tx, user: Searched & { id: string }): Promise<void> {
  await trx
    .insertInto('user_search')
    .values({ user_id: user.id, form: searchForm, ...toRow(user, []) })
    .execute()
}

const toRow = (user: Searched, skills: readonly string[], places: (string | null)[] = []): SearchRow =>
  user.is_active === false
    ? hiddenRow
    : {
        is_visible: true,
        names: joinWords(user.username, user.full_name ?? null),
        title: joinWords(user.current_title ?? null),
        location: joinWords(user.location ?? null, ...places),
        skills: [...new Set(skills.map(foldSkill))].filter(skill => skill !== ''),
      }

type Source = {
  username: string
  full_name: string | null
  current_title: string | null
  location: string | null
  is_active: boolean
  deleted_at: Date | null
  city: string | null
  country: string | null
  skills: string[] | null
  visibility: string | null
  is_searchable: boolean | null
  hidden_fields: string[] | null
}

/**
 * Brings a user's row to what their record and profile say now. What they hide leaves no trace in it. Lock the
 * user in a statement before: else another change of them, not seen here, could be written over.
 */
export async function refreshSearchRow(trx: Tx, userId: string): Promise<void> {
  const { rows } = await sql<Source>`
    select u.username, u.full_name, u.current_title, u.location, u.is_active, u.deleted_at,
      p.city, p.country, p.skills, p.visibility, p.is_searchable, p.hidden_fields
    from users u left join user_profiles p on p.user_id = u.id where u.id = ${userId}`.execute(trx)
  const source = rows[0]
  if (!source) return
  await trx
    .updateTable('user_search')
    .set({ form: searchForm, ...visibleRow(source) })
    .where('user_id', '=', userId)
    .execute()
}

function visibleRow(source: Source): SearchRow {
  const hidden = new Set(source.hidden_fields ?? [])
  const isVisible =
    source.is_active &&
    source.deleted_at === null &&
    source.visibility !== 'private' &&
    source.is_searchable !== false
  if (!isVisible) return hiddenRow
  const location = hidden.has('location') ? null : source.location
  const places = [hidden.has('city') ? null : source.city, hidden.has('country') ? null : source.country]
  return toRow({ ...source, location }, hidden.has('skills') ? [] : (source.skills ?? []), places)
}

/**
 * Locks users whose row is in a form below `form`: made by an older version of the code, or by a migration. Those
 * whom somebody else has locked are left out: who changes many users and waits for none never ends in a deadlock.
 */
export async function lockOutdated(trx: Tx, form: number, limit: number): Promise<string[]> {
  // A literal, as in the index of these rows: with a parameter it would not be used.
  const { rows } = await sql<{ id: string }>`
    select u.id from user_search s join users u on u.id = s.user_id
    where s.form < ${sql.lit(form)} limit ${limit} for no key update of u skip locked`.execute(trx)
  return rows.map(({ id }) => id)
}

/** A user who was found, and where they stand among all: results come in falling order of it. */
export type Hit = { position: number; user: PublicUserRow }

/** Positions per block as a power of two: the same as in the index. */
const blockBits = 14

/** Positions looked at one by one before the index is asked: enough where one user in twenty matches. */
const walkedFirst = 200

const fits = `names like all($3::text[]) and title like all($4::text[]) and location like all($5::text[])
  and skills @> $6::text[] and (cardinality($7::text[]) = 0 or not names like all($7::text[]))`

/**
 * First the newest users are looked at, one after the other: for what many match, that is all it takes. What is
 * rarer is looked up in the index, block by block, newest first, until there are enough. A look-up costs what
 * the block holds, so neither frequent nor rare words, nor the number of users, make it slow. Without a key
 * everybody fits, and all are walked.
 */
const findPageSql = `
  with walk as materialized (
    select case when cardinality($8::text[]) = 0 then 0
      else greatest(least($1::bigint, newest.position + 1) - ${walkedFirst}, 0) end as reached
    from (select max(position) as position from user_search where is_visible) as newest
  ), matching as materialized (
    select position, user_id from user_search
    where is_visible and position < $1::bigint and position >= (select reached from walk) and ${fits}
    order by position desc limit $2::int
  ), older as (
    select found.position, found.user_id
    from (
      select reached, array(select block || key from unnest($8::text[]) as key) as keys
      from walk, generate_series((reached - 1) >> ${blockBits}, 0, -1) as block
      where reached > 0 and (select count(*) from matching) < $2::int offset 0
    ) as blocks
    cross join lateral (
      select position, user_id from user_search
      where is_visible
        and user_search_keys(names, title, location, skills, position >> ${blockBits}) @> blocks.keys
        and position < blocks.reached and ${fits}
      order by position desc offset 0
    ) as found
    limit $2::int
  ), hits as materialized (
    select position, user_id from matching union all select position, user_id from older limit $2::int
  )
  select hits.position, ${publicColumns}
  from hits join users u on u.id = hits.user_id left join user_profiles p on p.user_id = u.id
  order by hits.position desc`

/**
 * The newest `limit` visible users below position `before` who fit. One text for every search, so that it is
 * planned once for each connection: planning takes as long as finding.
 */
export async function findPage(
  pool: Pool,
  { keys, names, notAllNames, title, location, skills }: Conditions,
  { before, limit }: { before: number; limit: number },
): Promise<Hit[]> {
  const values = [before, limit, names, title, location, skills, notAllNames, keys]
  const { rows } = await pool.query<PublicUserRow & { position: string }>(findPageSql, values)
  return rows.map(({ position, ...user }) => ({ position: Number(position), user }))
}
