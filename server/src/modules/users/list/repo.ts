import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../../../db/store.ts'
import { adminRole } from '../../access/index.ts'
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
  /** That a condition leaves few users is worth a look, before the list is read in its order. */
  mayBeFew: boolean
}

export type UserFilter = {
  /** Holders of a role. */
  role?: string | undefined
  /** Without those who hold `admin`. */
  noAdministrators?: boolean | undefined
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
export function usersQuery({ parts, place, limit, mayBeFew }: UserSelection): RawBuilder<ListedRow> {
  const names = parts.map((_, n) => sql.ref(`part${n}`))
  // The parts of a list differ in what their order is about only.
  const sets = mayBeFew && parts[0] ? narrowSets(parts[0]) : []
  const chosen = parts.map((part, n) => {
    const page = partQuery(part, n, { place: n === 0 ? place : undefined, limit, sets })
    if (n === 0) return sql`part0 as (${page})`
    const taken = names.slice(0, n).map(name => sql`(select count(*) from ${name})`)
    return sql`${names[n]} as (select * from (${page}) p limit ${sql.join([sql.lit(limit), ...taken], sql` - `)})`
  })
  return sql<ListedRow>`
    with ${sql.join([...choiceOf(sets), ...chosen])}
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

/** The page from the set that was chosen, or in the order of an index: of these queries one is executed. */
function partQuery(
  part: Part,
  number: number,
  { place, limit, sets }: { place: UserSelection['place']; limit: number; sets: readonly NarrowSet[] },
): RawBuilder<unknown> {
  const { key, filter } = part
  const direction = part.descending ? sql`desc` : sql`asc`
  const read = (source: Source, chosen: readonly RawBuilder<unknown>[]): RawBuilder<unknown> => {
    const keyColumn = key === 'id' ? source.id : expressions[key]
    const columns = needsId.has(key) ? [keyColumn, source.id] : [keyColumn]
    const order = sql.join(columns.map(column => sql`${column} ${direction}`))
    const conditions = [
      ...chosen,
      ...conditionsOf(filter, source),
      ...lastLoginConditions(part, place !== undefined),
      ...placeCondition(part, place, columns),
    ]
    return sql`select u.*, (${keyColumn})::text as place_key, ${sql.lit(number)} as part,
        row_number() over (order by ${order}) as place
      from ${source.from} ${where(conditions)}
      order by ${order} limit ${sql.lit(limit)}`
  }
  const inOrder = read(sourceOf(filter, key), sets.length > 0 ? [noneChosen] : [])
  const ofSets = sets.map(set => read(sourceOfSet(set, key), [set.isChosen]))
  const either = [inOrder, ...ofSets].map(query => sql`(${query})`)
  return sql.join(either, sql` union all `)
}

/**
 * Ids of the users that one condition of a filter leaves, read by an index alone. Where they are few, the list is made
 * of them and sorted: in the order of its index it would be read to the end, a million rows for three administrators.
 */
type NarrowSet = Record<'name' | 'ids' | 'isSmall' | 'isChosen', RawBuilder<unknown>>

/** So many are found one by one in the time in which an index in the list's order is expected to give a page. */
const few = 5000
/**
 * By last login more is read before it is hoped that a page comes soon: whoever is deactivated, deleted or new did not
 * sign in when others did.
 */
const fewByLastLogin = 20_000

const noneChosen = sql`(select n from narrow) is null`

/** Whether a list has a condition that may leave few. */
export const isNarrow = (part: Part): boolean => narrowSets(part).length > 0

/** The first is tried first. None where an index has the users of the filter in the order of the list. */
function narrowSets({ filter, key }: Part): NarrowSet[] {
  const conditions = narrowConditions(filter, key)
  if (key === 'id' && conditions.length === 1) return []
  const most = sql.lit(key === 'last_login_at' ? fewByLastLogin : few)
  return conditions.map((ids, n) => ({
    name: sql.ref(`set${n}`),
    ids,
    isSmall: sql`not exists (${ids} offset ${most})`,
    isChosen: sql`(select n from narrow) = ${sql.lit(n)}`,
  }))
}

function narrowConditions(
  { role, status, premium, from, to }: UserFilter,
  key: OrderKey,
): RawBuilder<unknown>[] {
  const bounds = [from !== undefined && sql`id >= ${from}`, to !== undefined && sql`id < ${to}`].filter(
    bound => bound !== false,
  )
  // Deleted users have an index in the order of their names.
  const deletedAreInOrder = key === 'username_key' || key === 'email_key'
  const conditions = [
    role !== undefined && sql`select user_id as id from user_roles where role_name = ${role}`,
    status === 'deleted' && !deletedAreInOrder && sql`select id from users where deleted_at is not null`,
    status === 'inactive' && sql`select id from users where not is_active`,
    bounds.length > 0 && sql`select id from users ${where(bounds)}`,
    premium === true && sql`select id from users where subscription_tier = 'premium'`,
  ]
  return conditions.filter(condition => condition !== false)
}

/** The first set that is small, and the sets, of which only that one is read whole. */
function choiceOf(sets: readonly NarrowSet[]): RawBuilder<unknown>[] {
  if (sets.length === 0) return []
  const cases = sets.map(({ isSmall }, n) => sql`when ${isSmall} then ${sql.lit(n)}`)
  return [
    sql`narrow as materialized (select case ${sql.join(cases, sql` `)} end as n)`,
    ...sets.map(({ name, ids }) => sql`${name} as materialized (${ids})`),
  ]
}

const where = (conditions: readonly RawBuilder<unknown>[]): RawBuilder<unknown> =>
  conditions.length > 0 ? sql`where ${sql.join(conditions, sql` and `)}` : sql``

export async function selectUsers(db: Db, selection: UserSelection): Promise<ListedRow[]> {
  const { rows } = await usersQuery(selection).execute(db)
  return rows
}

/** How many users the planner thinks that parts of a list have: a millisecond, whatever their number. */
export async function estimateUsers(db: Db, parts: readonly Part[]): Promise<number> {
  const all = parts.map(part => {
    const source = sourceOf(part.filter, part.key)
    const conditions = [...conditionsOf(part.filter, source), ...lastLoginConditions(part, false)]
    return sql`select 1 from ${source.from} ${where(conditions)}`
  })
  const { rows } = await sql<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>`
    explain (format json) ${sql.join(all, sql` union all `)}`.execute(db)
  return rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0
}

/** What users are read from: `u`, and `s` for their activity where the order asks for it. */
type Source = { from: RawBuilder<unknown>; id: RawBuilder<unknown>; byGrant?: boolean }

function sourceOf({ role }: UserFilter, key: OrderKey): Source {
  // Of a role's holders the index on its grants is in order of their ids; every other order asks per user.
  if (key === 'id' && role !== undefined) {
    return { from: sql`user_roles g join users u on u.id = g.user_id`, id: sql`g.user_id`, byGrant: true }
  }
  if (key === 'last_login_at') {
    return { from: sql`user_activity s join users u on u.id = s.user_id`, id: sql`s.user_id` }
  }
  return { from: sql`users u`, id: sql`u.id` }
}

function sourceOfSet({ name }: NarrowSet, key: OrderKey): Source {
  const people = sql`${name} n join users u on u.id = n.id`
  return {
    from: key === 'last_login_at' ? sql`${people} join user_activity s on s.user_id = n.id` : people,
    id: sql`u.id`,
  }
}

function conditionsOf(filter: UserFilter, { byGrant = false }: Source): RawBuilder<unknown>[] {
  const { role, status, premium, from, to, id } = filter
  const isPremium = sql`(u.subscription_tier = 'premium'
    and (u.subscription_expires_at is null or u.subscription_expires_at > ${filter.now}))`
  const conditions: (RawBuilder<unknown> | false | undefined)[] = [
    role !== undefined && (byGrant ? sql`g.role_name = ${role}` : sql`exists (${grantsOf(sql`${role}`)})`),
    filter.noAdministrators && sql`not exists (${grantsOf(sql.lit(adminRole))})`,
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

const grantsOf = (role: RawBuilder<unknown>) =>
  sql`select from user_roles g where g.user_id = u.id and g.role_name = ${role}`

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
