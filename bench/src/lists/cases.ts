import { encodeCursor } from '@roster/server/src/lib/cursor.ts'
import { deriveKey, unseal } from '@roster/server/src/lib/secrets.ts'
import { readFilter, selection } from '@roster/server/src/modules/audit/list.ts'
import { auditQuery } from '@roster/server/src/modules/audit/repo.ts'
import { listName, partsOf, searchEnd } from '@roster/server/src/modules/users/list/list-users.ts'
import { usersQuery } from '@roster/server/src/modules/users/list/repo.ts'
import type { UserListQuery, UserSort } from '@roster/server/src/modules/users/list/schemas.ts'
import { type CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import { Connection, prepare } from '../connection.ts'
import { percentile } from '../statistics.ts'

/** One page that is asked for, and whether the database reads it by index alone. */
export type Case = { name: string; path: string; byIndex: boolean }

const limit = 20
const clients = 10

const sorts: UserSort[] = [
  'created_at',
  '-created_at',
  'username',
  '-username',
  'email',
  '-email',
  'last_login_at',
  '-last_login_at',
]

const userQueries: UserListQuery[] = [
  ...sorts.map(sort => ({ sort })),
  ...[
    { status: 'active' },
    { status: 'inactive' },
    { status: 'deleted' },
    { premium: true },
    { premium: false },
    { role: 'admin' },
    { role: 'support' },
    { role: 'user' },
    { created_after: '2024-12-01T00:00:00Z' },
    { created_before: '2024-02-01T00:00:00Z' },
  ].flatMap(filter => [filter, { ...filter, sort: 'username' }] as UserListQuery[]),
  // Of few users, whatever the order.
  { role: 'admin', sort: 'last_login_at' },
  { role: 'support', sort: '-last_login_at' },
  { created_after: '2024-12-31T00:00:00Z', sort: 'email' },
  { created_after: '2024-12-31T00:00:00Z', sort: '-last_login_at' },
  { last_login_before: '2025-02-01T00:00:00Z' },
  ...['a', 'anna', 'anna.12', 'anna Mü', '+431'].map(q => ({ q })),
]

/** What the service seals cursors with. */
export async function readCursorKey(pool: pg.Pool, encryptionKey: Buffer): Promise<Buffer> {
  const { rows } = await pool.query(`select key_sealed from encryption_keys where purpose = 'root'`)
  const root = unseal(deriveKey(encryptionKey, 'encryption keys'), rows[0]?.key_sealed, 'root key')
  return deriveKey(root, 'cursors')
}

export async function userCases(pool: pg.Pool, cursorKey: Buffer): Promise<Case[]> {
  const db = new Kysely<never>({ dialect: new PostgresDialect({ pool }) })
  const now = new Date()
  const cases: Case[] = []
  for (const query of userQueries) {
    const parts = partsOf(query, now)
    const byIndex = await isByIndex(pool, usersQuery({ parts, limit: limit + 1, mayBeFew: true }).compile(db))
    const base = `/api/v1/users?${new URLSearchParams({ ...texts(query), limit: String(limit) })}`
    cases.push({ name: `users ${JSON.stringify(query)} first`, path: base, byIndex })
    const most = query.q === undefined ? 2 ** 31 - 1 : searchEnd
    const everybody = usersQuery({ parts, limit: most, mayBeFew: false }).compile(db)
    for (const [place, row] of await placesIn(pool, everybody, 'part, place_key, id')) {
      const position = [Number(row.part), Number(row.total), String(row.place_key), String(row.id), 0]
      const cursor = encodeCursor(cursorKey, listName(query, parts), position)
      cases.push({
        name: `users ${JSON.stringify(query)} ${place}`,
        path: `${base}&cursor=${cursor}`,
        byIndex,
      })
    }
  }
  return cases
}

export async function auditCases(pool: pg.Pool, cursorKey: Buffer): Promise<Case[]> {
  const db = new Kysely<never>({ dialect: new PostgresDialect({ pool }) })
  const { rows } = await pool.query('select actor_id from audit_log where actor_id is not null limit 1')
  const person = String(rows[0]?.actor_id)
  const queries = [
    {},
    { actor: person },
    { subject: person },
    { action: ['login'] },
    { action: ['role.granted'] },
    { action: ['role.granted', 'role.revoked', 'role.created'] },
    { outcome: 'success' as const },
    { outcome: 'failure' as const },
    { outcome: 'denied' as const },
    { after: '2025-01-05T00:00:00Z', before: '2025-01-06T00:00:00Z' },
    { actor: person, outcome: 'success' as const },
  ]
  const cases: Case[] = []
  for (const query of queries) {
    const filter = readFilter(query)
    const byIndex = await isByIndex(pool, auditQuery(selection(filter, limit + 1)).compile(db))
    const base = `/api/v1/audit?${search(query)}limit=${limit}`
    cases.push({ name: `audit ${JSON.stringify(query)} first`, path: base, byIndex })
    const everything = auditQuery(selection(filter, 2 ** 31 - 1)).compile(db)
    for (const [place, row] of await placesIn(pool, everything, 'id')) {
      const cursor = encodeCursor(cursorKey, `audit ${JSON.stringify(filter)}`, [String(row.id)])
      cases.push({
        name: `audit ${JSON.stringify(query)} ${place}`,
        path: `${base}&cursor=${cursor}`,
        byIndex,
      })
    }
  }
  return cases
}

const texts = (query: object): Record<string, string> =>
  Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)]))

const search = (query: object): string =>
  Object.entries(query)
    .flatMap(([name, value]) => [value].flat().map(one => `${name}=${encodeURIComponent(String(one))}&`))
    .join('')

async function isByIndex(pool: pg.Pool, { sql, parameters }: CompiledQuery): Promise<boolean> {
  const { rows } = await pool.query(`explain ${sql}`, [...parameters])
  const plan = rows.map(row => row['QUERY PLAN']).join('\n')
  return !/Seq Scan on (users|user_activity|user_credentials|audit_log|audit_personal)/.test(plan)
}

type Row = Record<string, unknown>

/** The rows after which the middle page and the last one begin, and how many there are in all. */
async function placesIn(pool: pg.Pool, all: CompiledQuery, columns: string): Promise<[string, Row][]> {
  const total = await pool.query(`select count(*)::int as n from (${all.sql}) t`, [...all.parameters])
  const count: number = total.rows[0]?.n ?? 0
  const at = async (offset: number): Promise<Row | undefined> => {
    const text = `select ${columns} from (${all.sql}) t offset ${offset} limit 1`
    const [row] = (await pool.query(text, [...all.parameters])).rows
    return row && { ...row, total: count }
  }
  const middle = await at(Math.floor(count / 2))
  const last = await at(Math.max(0, count - limit - 1))
  return [
    ...(middle ? ([['middle', middle]] as [string, Row][]) : []),
    ...(last ? ([['last', last]] as [string, Row][]) : []),
  ]
}

/** Asks for a page `requests` times, ten clients at once. Milliseconds. */
export async function measure(
  url: string,
  token: string,
  { path, name }: Case,
  requests: number,
): Promise<{ p50: number; p95: number }> {
  const took: number[] = []
  const request = prepare('GET', path, { token })
  let left = requests
  const client = async () => {
    const connection = await Connection.open(Number(new URL(url).port))
    while (left-- > 0) {
      const start = performance.now()
      const { status } = await connection.exchange(request)
      if (status !== 200) throw new Error(`${name} answered ${status}`)
      took.push(performance.now() - start)
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: clients }, client))
  return { p50: percentile(took, 0.5), p95: percentile(took, 0.95) }
}
