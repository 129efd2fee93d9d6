import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../../../db/store.ts'
import type { UserRow } from '../repo.ts'

/** The keys that a list of users can be in order of, each with an index of its own. */
export type OrderKey = 'id' | 'username_key' | 'email_key' | 'phone_number' | 'full_name' | 'last_login_at'

/** A part of a list: its users all come before those of the next part. */
export type Part = {
  key: OrderKey
  descending: boolean
  filter: UserFilter
}

export type UserSelection = {
  parts: readonly Part[]
  /** The last row before, of the first of `parts`: its key, and its id for where the key is not unique. */
  place?: readonly [string, string] | undefined
  limit: number
}

export type UserFilter = {
  /** Holders of a role; `not admin` is everybody else. */
  role?: string | undefined
  status?: 'active' | 'inactive' | 'deleted' | undefined
  premium?: boolean | undefined
  now: Date
  /** Ids: `from` inclusive, `to` exclusive. */
  from?: string | undefined
  to?: string | undefined
  id?: string | undefined
  lastLoginBefore?: Date | undefined
  /** Keys that begin with a text in compared form. */
  prefixes?: readonly { key: PrefixKey; text: string }[]
  /** Keys that do not. */
  otherThan?: readonly { key: PrefixKey; text: string }[]
}

export type PrefixKey = 'username_key' | 'email_key' | 'phone_number' | 'full_name'

/** `part` is the index of the row's part in its selection. */
export type ListedRow = UserRow & { place_key: string; part: number }

const expressions: Record<OrderKey, RawBuilder<unknown>> = {
  id: sql`u.id`,
  username_key: sql`u.username_key`,
  email_key: sql`u.email_key`,
  phone_number: sql`u.phone_number`,
  full_name: sql`lower(u.full_name) collate "C"`,
  last_login_at: sql`coalesce(s.last_login_at, '-infinity')`,
}

/** Beside what is unique by itself. */
const needsId: ReadonlySet<OrderKey> = new Set(['full_name', 'last_login_at'])

/**
 * A page of users with what `findUser` gives of each. The page is chosen first, by index, then completed. A part is
 * read for as many rows as the parts before it left over: one that is not needed costs nothing.
 */
export function usersQuery({ parts, place, limit }: UserSelection): RawBuilder<ListedRow> {
  const names = parts.map((_, n) => sql.ref(`part${n}`))
  const chosen = parts.map((part, n) => {
    const page = partQuery(part, n, n === 0 ? place : undefined, limit)
    if (n === 0) return sql`part0 as (${page})`
    const taken = names.slice(0, n).map(name => sql`(select count(*) from ${name})`)
    return sql`${names[n]} as (select * from (${page}) p limit ${sql.join([sql.lit(limit), ...taken], sql` - `)})`
  })
  return sql<ListedRow>`
    with ${sql.join(chosen)}
    select u.*, a.last_login_at, a.last_activity_at, c.password_changed_at,
      array(select role_name from user_roles r where r.user_id = u.id) as granted_roles
    from (${sql.join(
      names.map(name => sql`select * from ${name}`),
      sql` union all `,
    )}) u
    left join user_activity a on a.user_id = u.id
    left join user_credentials c on c.user_id = u.id
    order by u.part, u.place`
}

function partQuery(
  part: Part,
  number: number,
  place: UserSelection['place'],
  limit: number,
): RawBuilder<unknown> {
  const { key, filter } = part
  const idColumn = byRole(filter, key) ? sql`g.user_id` : key === 'last_login_at' ? sql`s.user_id` : sql`u.id`
  const keyColumn = key === 'id' ? idColumn : expressions[key]
  const direction = part.descending ? sql`desc` : sql`asc`
  const columns = needsId.has(key) ? [keyColumn, idColumn] : [keyColumn]
  const order = sql.join(columns.map(column => sql`${column} ${direction}`))
  const conditions = [
    ...conditionsOf(filter, key),
    ...lastLoginConditions(part, place !== undefined),
    ...placeCondition(part, place, columns),
  ]
  return sql`select u.*, (${keyColumn})::text as place_key, ${sql.lit(number)} as part,
      row_number() over (order by ${order}) as place
    from ${sourceOf(filter, key)} ${where(conditions)}
    order by ${order} limit ${sql.lit(limit)}`
}

const where = (conditions: readonly RawBuilder<unknown>[]): RawBuilder<unknown> =>
  conditions.length > 0 ? sql`where ${sql.join(conditions, sql` and `)}` : sql``

export async function selectUsers(db: Db, selection: UserSelection): Promise<ListedRow[]> {
  const { rows } = await usersQuery(selection).execute(db)
  return rows
}

/** How many users the planner thinks that parts of a list have: a millisecond, whatever their number. */
export async function estimateUsers(db: Db, parts: readonly Part[]): Promise<number> {
  const all = parts.map(
    part => sql`select 1 from ${sourceOf(part.filter, part.key)}
      ${where([...conditionsOf(part.filter, part.key), ...lastLoginConditions(part, false)])}`,
  )
  const { rows } = await sql<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>`
    explain (format json) ${sql.join(all, sql` union all `)}`.execute(db)
  return rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0
}

/** Of a role's holders the index on its grants is in order of their ids; every other order asks per user. */
const byRole = ({ role }: UserFilter, key: OrderKey): boolean =>
  role !== undefined && role !== 'not admin' && key === 'id'

function sourceOf(filter: UserFilter, key: OrderKey): RawBuilder<unknown> {
  if (byRole(filter, key)) return sql`user_roles g join users u on u.id = g.user_id`
  if (key === 'last_login_at') return sql`user_activity s join users u on u.id = s.user_id`
  return sql`users u`
}

function conditionsOf(filter: UserFilter, key: OrderKey): RawBuilder<unknown>[] {
  const { role, status, premium, from, to, id } = filter
  const isPremium = sql`(u.subscription_tier = 'premium'
    and (u.subscription_expires_at is null or u.subscription_expires_at > ${filter.now}))`
  const conditions: (RawBuilder<unknown> | false | undefined)[] = [
    role !== undefined && roleCondition(role, byRole(filter, key)),
    // Literals: with parameters the planner could not use the partial indexes.
    status === 'active' && sql`u.is_active`,
    status === 'inactive' && sql`not u.is_active and u.deleted_at is null`,
    status === 'deleted' && sql`u.deleted_at is not null`,
    premium !== undefined && (premium ? isPremium : sql`not ${isPremium}`),
    from !== undefined && sql`u.id >= ${from}`,
    to !== undefined && sql`u.id < ${to}`,
    id !== undefined && sql`u.id = ${id}`,
    ...(filter.prefixes ?? []).map(one => prefixCondition(one)),
    ...(filter.otherThan ?? []).map(one => sql`(${prefixCondition(one)}) is not true`),
  ]
  return conditions.filter(condition => condition !== false && condition !== undefined)
}

/** Between never and the time asked for; a place in the list is the narrower end, and the only one to begin at. */
function lastLoginConditions({ filter, descending }: Part, hasPlace: boolean): RawBuilder<unknown>[] {
  const { lastLoginBefore } = filter
  if (!lastLoginBefore) return []
  const upper = sql`${expressions.last_login_at} < ${lastLoginBefore}`
  const lower = sql`${expressions.last_login_at} > '-infinity'`
  if (!hasPlace) return [upper, lower]
  return descending ? [lower] : [upper]
}

function roleCondition(role: string, byGrant: boolean): RawBuilder<unknown> {
  if (byGrant) return sql`g.role_name = ${role}`
  if (role === 'not admin') {
    return sql`not exists (select from user_roles g where g.user_id = u.id and g.role_name = 'admin')`
  }
  return sql`exists (select from user_roles g where g.user_id = u.id and g.role_name = ${role})`
}

/** The highest code point ends the range: nothing that begins with the text sorts after it. */
function prefixCondition({ key, text }: { key: PrefixKey; text: string }): RawBuilder<unknown> {
  const value = key === 'full_name' ? sql`lower(${text}::text)` : sql`${text}::text`
  return sql`${expressions[key]} >= ${value} and ${expressions[key]} < ${value} || ${'\u{10FFFF}'}::text`
}

function placeCondition(
  { key, descending }: Part,
  place: UserSelection['place'],
  columns: readonly RawBuilder<unknown>[],
): RawBuilder<unknown>[] {
  if (!place) return []
  const types: Partial<Record<OrderKey, RawBuilder<unknown>>> = {
    id: sql`::uuid`,
    last_login_at: sql`::timestamptz`,
  }
  const [value, id] = place
  const values = [sql`${value}${types[key] ?? sql`::text`}`, ...(needsId.has(key) ? [sql`${id}::uuid`] : [])]
  return [sql`(${sql.join(columns)}) ${descending ? sql`<` : sql`>`} (${sql.join(values)})`]
}
