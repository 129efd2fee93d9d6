import { type RawBuilder, sql } from 'kysely'
import type { Db, Tx } from '../../../db/store.ts'
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

/** Brings a user's row to what their record and profile say now. What they hide leaves no trace in it. */
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

/** Users whose row was made by an older version of the code, or by a migration. */
export async function outdatedSearchRows(db: Db, limit: number): Promise<string[]> {
  const { rows } = await sql<{ user_id: string }>`
    select user_id from user_search where form < 1 limit ${limit}`.execute(db)
  return rows.map(({ user_id }) => user_id)
}

/** A user who was found, and where they stand among all: results come in falling order of it. */
export type Hit = { position: number; userId: string }

/** Whether a row fits, by its own texts. Parameters all the way. */
function fits({ names, notAllNames, title, location, skills }: Conditions): RawBuilder<boolean> {
  const tests = [
    names.length > 0 && sql`names like all(${names}::text[])`,
    notAllNames.length > 0 && sql`not names like all(${notAllNames}::text[])`,
    title.length > 0 && sql`title like all(${title}::text[])`,
    location.length > 0 && sql`location like all(${location}::text[])`,
    skills.length > 0 && sql`skills @> ${skills}::text[]`,
  ].filter(test => test !== false)
  return tests.length === 0 ? sql`true` : sql`${sql.join(tests, sql` and `)}`
}

/**
 * Looks at the newest `rows` visible users below `before`, one after the other: for what many match, that is
 * all it takes.
 * @returns the matches, and how far it got; undefined where it came to the end
 */
export async function walkNewest(
  db: Db,
  conditions: Conditions,
  { before, rows: size, limit }: { before: number; rows: number; limit: number },
): Promise<{ hits: Hit[]; reached: number | undefined }> {
  const { rows } = await sql<{ hits: [number, string][] | null; reached: string | null; seen: number }>`
    with newest as materialized (
      select position, user_id, names, title, location, skills from user_search
      where is_visible and position < ${before} order by position desc limit ${size}
    ), matching as (
      select position, user_id from newest where ${fits(conditions)} order by position desc limit ${limit}
    )
    select (select min(position) from newest) as reached, (select count(*)::int from newest) as seen,
      (select json_agg(json_build_array(position, user_id) order by position desc) from matching) as hits`.execute(
    db,
  )
  const row = rows[0]
  return {
    hits: (row?.hits ?? []).map(([position, userId]) => ({ position, userId })),
    reached: row?.reached == null || row.seen < size ? undefined : Number(row.reached),
  }
}

/** Positions per block: the same number as in the index, as a power of two. */
const blockBits = 15

/**
 * Finds matches below `before` by the index, block by block, newest first, until there are `limit`. Costs what
 * the blocks hold that it has to look into, so what is rare costs a look-up for each block, and what is
 * frequent ends in the first.
 */
export async function findByKeys(
  db: Db,
  conditions: Conditions,
  { before, limit }: { before: number; limit: number },
): Promise<Hit[]> {
  const { rows } = await sql<{ position: string; user_id: string }>`
    select found.position, found.user_id
    from (
      select array(select block || key from unnest(${conditions.keys}::text[]) as key) as keys
      from generate_series((${before}::bigint - 1) >> ${sql.lit(blockBits)}, 0, -1) as block
      offset 0
    ) as blocks
    cross join lateral (
      select position, user_id from user_search
      where is_visible
        and user_search_keys(names, title, location, skills, position >> ${sql.lit(blockBits)}) @> blocks.keys
        and position < ${before} and ${fits(conditions)}
      order by position desc offset 0
    ) as found
    limit ${limit}`.execute(db)
  return rows.map(({ position, user_id }) => ({ position: Number(position), userId: user_id }))
}
