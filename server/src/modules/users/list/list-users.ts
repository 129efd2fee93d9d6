import { LRUCache } from 'lru-cache'
import type { Db } from '../../../db/store.ts'
import { checkAll } from '../../../http/field-rules.ts'
import { type PagedList, pageOf, readCursor } from '../../../http/paging.ts'
import { ProblemError } from '../../../http/problems.ts'
import { readTime } from '../../../http/read-time.ts'
import { seconds } from '../../../lib/clock.ts'
import { isUuid, uuidv7Floor } from '../../../lib/ids.ts'
import { meansPhone, phoneKey, phonePrefix } from '../../../lib/phone.ts'
import { emailKey, fold } from '../../../lib/text.ts'
import { defaultRole } from '../../access/index.ts'
import { toUser } from '../record.ts'
import { estimateUsers, isNarrow, type Part, selectUsers } from './repo.ts'
import type { UserList, UserListQuery, UserSort } from './schemas.ts'

/**
 * Rows that a search gives, page after page. Whom an earlier part gave, a later part reads and drops: without an end
 * the page where the second part begins would read everybody who was given before.
 */
export const searchEnd = 1000

/**
 * A page of the users that a query takes, each part of the list in the order of an index. With `q` those whose
 * username begins with it come first, then e-mail addresses, then full names, `searchEnd` of them at most.
 * @throws ProblemError validation_failed
 */
export type ListUsers = (query: UserListQuery, now: Date) => Promise<UserList>

/** Of estimates: fewer may be few, since the planner has only heard of the frequent and guesses the rest. */
const clearlyMany = 20_000

/** Estimates take the planner as long as the page takes the executor, and change with its statistics only. */
const estimatesKept = { max: 500, ttl: seconds(10) }

export function createUserList({ db, cursorKey }: { db: Db; cursorKey: Buffer }): ListUsers {
  const estimates = new LRUCache<string, number>(estimatesKept)
  const estimate = async (list: string, parts: readonly Part[]): Promise<number> => {
    const kept = estimates.get(list)
    if (kept !== undefined) return kept
    const estimated = await estimateUsers(db, parts)
    estimates.set(list, estimated)
    return estimated
  }

  return async (query, now) => {
    const { limit = 20, cursor } = query
    const parts = partsOf(query, now)
    const list = { key: cursorKey, name: listName(query, parts) }
    const { first, given, place, counted } = placeIn(list, cursor)
    const room = query.q === undefined ? limit + 1 : searchEnd - given
    const size = Math.min(limit, room)
    const mayBeFew = parts.some(isNarrow) && (counted ?? (await estimate(list.name, parts))) < clearlyMany
    const found = await selectUsers(db, { parts: parts.slice(first), place, limit: size + 1, mayBeFew })
    // What is found beyond the room is no next page.
    const rows = size < room ? found : found.slice(0, size)
    const more = rows.length > size
    const total = Math.max(given + rows.length, counted ?? (more ? await estimate(list.name, parts) : 0))
    const { items, next_cursor } = pageOf(list, rows, size, ({ part, place_key, id }) => [
      first + part,
      total,
      place_key,
      id,
      given + size,
    ])
    return { items: items.map(row => toUser(row, now)), next_cursor, total_estimate: total }
  }
}

/** The same for the same list, however it is asked for: what is left out counts as its default. */
export function listName({ limit, cursor, ...query }: UserListQuery, [first]: readonly Part[]): string {
  const conditions = Object.entries({ ...query, sort: undefined }).sort(([a], [b]) => (a < b ? -1 : 1))
  return `users ${JSON.stringify([first?.key, first?.descending, conditions])}`
}

/** Named by the table, so that the plan of each is tested. */
const orders: Record<UserSort, Pick<Part, 'key' | 'descending'>> = {
  created_at: { key: 'id', descending: false },
  '-created_at': { key: 'id', descending: true },
  username: { key: 'username_key', descending: false },
  '-username': { key: 'username_key', descending: true },
  email: { key: 'email_key', descending: false },
  '-email': { key: 'email_key', descending: true },
  last_login_at: { key: 'last_login_at', descending: false },
  '-last_login_at': { key: 'last_login_at', descending: true },
}

/** What is read for a query, one part after the other. */
export function partsOf(query: UserListQuery, now: Date): Part[] {
  const { q, sort, role } = query
  checkListQuery(query)
  const filter = {
    now,
    ...(role === defaultRole ? { noAdministrators: true } : { role }),
    status: query.status,
    premium: query.premium,
    from: idFloor(query.created_after, 'created_after'),
    to: idFloor(query.created_before, 'created_before'),
    lastLoginBefore: timeOf(query.last_login_before, 'last_login_before'),
  }
  if (q === undefined) {
    return [{ ...orders[sort ?? (filter.lastLoginBefore ? '-last_login_at' : '-created_at')], filter }]
  }
  return searchParts(q.trim(), filter)
}

/** What a query must keep to beside its schema. @throws ProblemError validation_failed that names every bad part */
export function checkListQuery({ q, sort, ...times }: Partial<UserListQuery>): void {
  checkAll(
    () => timeOf(times.created_after, 'created_after'),
    () => timeOf(times.created_before, 'created_before'),
    () => timeOf(times.last_login_before, 'last_login_before'),
    () => {
      const byLogin = times.last_login_before !== undefined
      if (byLogin && (q !== undefined || !(sort ?? 'last_login_at').endsWith('last_login_at'))) {
        refuse('sort', 'With last_login_before it takes last_login_at or -last_login_at, and no q.')
      } else if (q !== undefined && sort !== undefined) {
        refuse('sort', 'A search has an order of its own: leave sort out where there is q.')
      }
    },
  )
}

function searchParts(q: string, filter: Part['filter']): Part[] {
  if (isUuid(q)) return [{ key: 'id', descending: false, filter: { ...filter, id: q } }]
  if (meansPhone(q)) {
    const text = phoneKey(q) ?? phonePrefix(q)
    const prefixes = [{ key: 'phone_number', text }] as const
    return [{ key: 'phone_number', descending: false, filter: { ...filter, prefixes } }]
  }
  const text = fold(q)
  const keys = [
    { key: 'username_key', text },
    // Keys have domains in punycode, of which the beginning is that of whole labels alone.
    { key: 'email_key', text: emailKey(q) ?? text },
    { key: 'full_name', text: q.normalize('NFC') },
  ] as const
  return keys.map((prefix, n) => ({
    key: prefix.key,
    descending: false,
    filter: { ...filter, prefixes: [prefix], otherThan: keys.slice(0, n) },
  }))
}

/** Where the page begins: the first part, how many rows came before, and what the first page counted. */
function placeIn(list: PagedList, cursor: string | undefined) {
  const [first = 0, counted, key, id, given = 0] =
    readCursor(list, cursor, ['number', 'number', 'string', 'string', 'number']) ?? []
  const place = key !== undefined && id !== undefined ? ([key, id] as const) : undefined
  return { first, given, place, counted }
}

/** Ids are UUIDv7, made at `created_at`: a time is a bound on ids. */
function idFloor(text: string | undefined, name: string): string | undefined {
  const at = timeOf(text, name)
  return at && uuidv7Floor(at)
}

const timeOf = (text: string | undefined, name: string): Date | undefined =>
  text === undefined ? undefined : readTime(text, name)

function refuse(path: string, message: string): never {
  throw new ProblemError('validation_failed', { errors: [{ path, code: 'invalid', message }] })
}
