import { describe, expect, test } from 'vitest'
import { fillUsers } from '../../../testing/fill.ts'
import { useTestApp } from '../../../testing/harness.ts'
import { planOf, rowsRead } from '../../../testing/plans.ts'
import { partsOf } from './list-users.ts'
import { usersQuery } from './repo.ts'
import type { UserListQuery, UserSort } from './schemas.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()
await fillUsers(roster.resources.store.pool, 40_000)

type Item = {
  id: string
  username: string
  email: string
  full_name: string | null
  role: string
  is_active: boolean
  is_premium: boolean
  created_at: string
  last_login_at: string | null
  deleted_at: string | null
}

async function list(
  query: Record<string, string>,
): Promise<{ items: Item[]; next_cursor: string | null; total_estimate: number }> {
  const { status, body } = await roster.get(`/api/v1/users?${new URLSearchParams(query)}`, admin)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

/** Every page to the end, or the first `most` of them. */
async function pages(query: Record<string, string>, most = 1000): Promise<Item[]> {
  const items: Item[] = []
  let cursor: string | null = null
  for (let n = 0; n < most; n += 1) {
    const page = await list({ limit: '100', ...query, ...(cursor !== null && { cursor }) })
    items.push(...page.items)
    cursor = page.next_cursor
    if (cursor === null) break
  }
  return items
}

const expected = (where: string) =>
  roster
    .sql(`select count(*)::int as n from users u join user_activity a on a.user_id = u.id where ${where}`)
    .then(([row]) => row.n)

describe('the list of users', () => {
  const sorts: [UserSort, string][] = [
    ['created_at', 'u.id'],
    ['-created_at', 'u.id desc'],
    ['username', 'u.username_key'],
    ['-username', 'u.username_key desc'],
    ['email', 'u.email_key'],
    ['-email', 'u.email_key desc'],
    ['last_login_at', `coalesce(a.last_login_at, '-infinity'), u.id`],
    ['-last_login_at', `coalesce(a.last_login_at, '-infinity') desc, u.id desc`],
  ]
  test.each(sorts)(
    'comes in order of %s, page by page, nobody twice and nobody left out',
    async (sort, order) => {
      const found = await pages({ sort, status: 'inactive' })
      const rows = await roster.sql(
        `select u.id from users u join user_activity a on a.user_id = u.id
       where not is_active and deleted_at is null order by ${order}`,
      )
      expect(found.map(({ id }) => id)).toEqual(rows.map(({ id }) => id))
      expect(found.length).toBeGreaterThan(100)
    },
  )

  test('is newest first where nothing else is asked, and tells about how many there are', async () => {
    const { items, total_estimate, next_cursor } = await list({})
    expect(items).toHaveLength(20)
    expect(items.map(({ id }) => id)).toEqual(
      items
        .map(({ id }) => id)
        .sort()
        .reverse(),
    )
    expect(total_estimate).toBeGreaterThan(36_000)
    expect(total_estimate).toBeLessThan(44_000)
    const second = await list({ cursor: next_cursor ?? '' })
    expect(second.total_estimate).toBe(total_estimate)
  })

  test.each([
    ['role=support', `u.id in (select user_id from user_roles where role_name = 'support')`],
    ['role=admin', `u.id in (select user_id from user_roles where role_name = 'admin')`],
    ['status=deleted', 'deleted_at is not null'],
    [
      'premium=true&status=inactive',
      `subscription_tier = 'premium' and not is_active and deleted_at is null
      and (subscription_expires_at is null or subscription_expires_at > '2026-01-31T10:00Z')`,
    ],
    ['role=support&sort=username', `u.id in (select user_id from user_roles where role_name = 'support')`],
    ['status=deleted&sort=-email', 'deleted_at is not null'],
    ['created_after=2024-12-30T00:00:00Z', `created_at >= '2024-12-30'`],
    ['created_before=2024-01-03T00:00:00Z', `created_at < '2024-01-03'`],
    ['created_before=2024-01-03T00:00:00Z&sort=email', `created_at < '2024-01-03'`],
    ['created_after=2024-10-01T00:00:00Z&sort=username', `created_at >= '2024-10-01'`],
    ['created_after=2024-06-15T00:00:00Z&sort=-last_login_at', `created_at >= '2024-06-15'`],
    [
      'created_after=2024-06-15T00:00:00Z&premium=true&sort=email',
      `created_at >= '2024-06-15' and subscription_tier = 'premium'
      and (subscription_expires_at is null or subscription_expires_at > '2026-01-31T10:00Z')`,
    ],
    [
      'role=support&status=active&sort=last_login_at',
      `is_active and u.id in (select user_id from user_roles where role_name = 'support')`,
    ],
    ['last_login_before=2025-01-10T00:00:00Z', `last_login_at < '2025-01-10'`],
    [
      'last_login_before=2025-01-10T00:00:00Z&role=user',
      `last_login_at < '2025-01-10'
      and u.id not in (select user_id from user_roles where role_name = 'admin')`,
    ],
  ])('narrowed by %s has exactly those', async (query, where) => {
    const found = await pages(Object.fromEntries(new URLSearchParams(query)))
    expect(found.length).toBe(await expected(where))
    expect(found.length).toBeGreaterThan(0)
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length)
  })

  test('takes role=user for everybody whose role is user', async () => {
    const found = await pages({ role: 'user' }, 3)
    expect(found.every(({ role }) => role === 'user')).toBe(true)
    expect(found.some(({ id }) => id === admin.id)).toBe(false)
    expect((await pages({ role: 'nobody' })).length).toBe(0)
  })

  test.each(['a', 'A', 'an', 'anna', 'ＡＮＮＡ', 'anna.1', 'müller', 'zoe', 'nobody-at-all'])(
    'finds %s at the beginning of usernames, then addresses, then names, nobody twice',
    async q => {
      const found = await pages({ q }, 4)
      const key = q.normalize('NFKC').toLowerCase()
      const rank = (user: Item) => {
        if (user.username.toLowerCase().startsWith(key)) return 0
        if (user.email.toLowerCase().startsWith(key)) return 1
        return user.full_name?.toLowerCase().startsWith(q.toLowerCase()) ? 2 : 3
      }
      const ranks = found.map(rank)
      expect(ranks).toEqual([...ranks].sort())
      expect(ranks).not.toContain(3)
      expect(new Set(found.map(({ id }) => id)).size).toBe(found.length)
      if (found.length < 400) {
        const [row] = await roster.sql(
          `select count(*)::int as n from users where starts_with(username_key, $1) or starts_with(email_key, $1)
             or starts_with(lower(full_name), lower($2))`,
          [key, q],
        )
        expect(found.length).toBe(row.n)
      }
    },
  )

  test('gives the first thousand of a search, on whatever pages', async () => {
    const [{ n }] = await roster.sql(
      `select count(*)::int as n from users where starts_with(username_key, 'anna')`,
    )
    expect(n).toBeGreaterThan(1000)
    for (const limit of ['100', '30']) {
      const found = await pages({ q: 'anna', limit })
      expect(found).toHaveLength(1000)
      expect(new Set(found.map(({ id }) => id)).size).toBe(1000)
    }
    expect((await list({ q: 'anna' })).total_estimate).toBeGreaterThan(1000)
  })

  test('finds phone numbers and ids', async () => {
    const user = await roster.signUp({ phone_number: '+43 680 999 111' })
    for (const q of ['+43680999111', '+43 680 999', user.id, user.id.toUpperCase()]) {
      expect((await pages({ q })).map(({ id }) => id)).toContain(user.id)
    }
  })

  test('finds an address by whole labels of a domain with other letters', async () => {
    const { id } = await roster.signUp({ email: 'ada@müller.example' })
    for (const q of ['ada@müller.example', 'ADA@MÜLLER.EXAMPLE', 'ada@müller.exa', 'ada@']) {
      expect(
        (await pages({ q })).map(user => user.id),
        q,
      ).toContain(id)
    }
  })

  test('knows about how many full names begin so', async () => {
    const [{ n }] = await roster.sql(
      `select count(*)::int as n from users where starts_with(lower(full_name), 'anna müller')`,
    )
    const { total_estimate } = await list({ q: 'Anna Müller' })
    expect(total_estimate / n).toBeGreaterThan(0.8)
    expect(total_estimate / n).toBeLessThan(1.25)
  })

  test('means what is finer than a millisecond', async () => {
    const { id } = await roster.signUp()
    const at = roster.clock.now().toISOString().slice(0, -1)
    const ids = async (query: Record<string, string>) => (await list(query)).items.map(user => user.id)
    expect(await ids({ created_before: `${at}0005Z`, limit: '100' })).toContain(id)
    expect(await ids({ created_before: `${at}0000Z`, limit: '100' })).not.toContain(id)
    expect(await ids({ created_after: `${at}0005Z` })).not.toContain(id)
    expect(await ids({ created_after: `${at}0000Z`, limit: '100' })).toContain(id)
  })

  test('of the role of a name that can be no role’s is empty', async () => {
    expect((await list({ role: 'not admin' })).items).toEqual([])
  })

  test.each([
    ['sort=password_hash', 'sort'],
    ['sort=username_key;drop table users', 'sort'],
    ['password_hash=x', 'password_hash'],
    ['q=a&sort=email', 'sort'],
    ['last_login_before=2025-01-10T00:00:00Z&sort=email', 'sort'],
    ['last_login_before=2025-01-10T00:00:00Z&q=a', 'sort'],
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['created_after=yesterday', 'created_after'],
    ['created_after=1900-01-01T00:00:00Z', 'created_after'],
    ['status=gone', 'status'],
    ['cursor=abc', 'cursor'],
    ['role=user&role=admin', 'role'],
  ])('refuses %s by name', async (query, path) => {
    const { status, body } = await roster.get(`/api/v1/users?${encodeURI(query)}`, admin)
    expect({ status, path: body.errors?.[0]?.path }).toEqual({ status: 400, path })
  })

  test('takes a cursor only for the list that it came from', async () => {
    const { next_cursor } = await list({ sort: 'email' })
    for (const other of [{ sort: 'username' }, { sort: 'email', status: 'active' }, {}]) {
      const query = new URLSearchParams({ ...(other as Record<string, string>), cursor: next_cursor ?? '' })
      expect((await roster.get(`/api/v1/users?${query}`, admin)).status).toBe(400)
    }
  })

  test('takes its cursor however it is asked for', async () => {
    const first = await list({ status: 'active', premium: 'false', limit: '1' })
    const next = { cursor: first.next_cursor ?? '', limit: '2' }
    const again = await list({ sort: '-created_at', premium: 'false', ...next, status: 'active' })
    const { items, total_estimate } = await list({ status: 'active', premium: 'false', ...next })
    expect(again).toMatchObject({ items, total_estimate })
  })

  test('takes SQL, wildcards and quotes in q for what they are', async () => {
    for (const q of [`'; drop table users; --`, '%', '_', '\\', `a' or '1'='1`]) {
      expect((await list({ q })).items).toEqual([])
    }
  })
})

describe('each filter and order has a plan by index', () => {
  const filters: UserListQuery[] = [
    {},
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
  ]
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
  const queries: UserListQuery[] = [
    ...filters.flatMap(filter => sorts.map(sort => ({ ...filter, sort }))),
    { last_login_before: '2025-01-10T00:00:00Z' },
    { last_login_before: '2025-01-10T00:00:00Z', sort: 'last_login_at' },
    ...['a', 'anna', 'anna.12', '+43', '019c1379-3f00-7000-8000-000000000000'].map(q => ({ q })),
  ]

  test.each(queries.map(query => [JSON.stringify(query), query] as const))('%s', async (_name, query) => {
    const { db } = roster.resources.store
    const parts = partsOf(query, roster.clock.now())
    const compiled = usersQuery({ parts, limit: 51, mayBeFew: false }).compile(db)
    const plan = await planOf(roster, compiled)
    // Roles and their few grants fit on a page or two, which no index beats.
    expect(plan, plan).not.toMatch(/Seq Scan on (users|user_activity|user_credentials)/)
  })
})

describe('of a filter that leaves few users', () => {
  const queries: UserListQuery[] = [
    { role: 'admin', sort: 'last_login_at' },
    { role: 'admin', sort: '-email' },
    { role: 'nobody', sort: 'username' },
    { role: 'admin', q: 'a' },
    { status: 'deleted', sort: '-last_login_at' },
    { created_after: '2024-12-31T12:00:00Z', sort: 'username' },
    { created_after: '2024-12-31T12:00:00Z', sort: 'last_login_at' },
    { created_after: '2024-01-02T00:00:00Z', role: 'admin', sort: 'created_at' },
  ]
  test.each(queries.map(query => [JSON.stringify(query), query] as const))(
    'not everybody is read: %s',
    async (_name, query) => {
      const parts = partsOf(query, roster.clock.now())
      const compiled = usersQuery({ parts, limit: 2, mayBeFew: true }).compile(roster.resources.store.db)
      expect(await rowsRead(roster, compiled)).toBeLessThan(7000) // of 40,000
    },
  )
})
