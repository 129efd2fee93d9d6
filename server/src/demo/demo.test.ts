import { expect, test } from 'vitest'
import { startTestApp, useTestApp } from '../testing/harness.ts'
import { demoPassword, fillWithDemo, removeDemoUsers } from './fill.ts'
import { demoPeople } from './people.ts'

const roster = await useTestApp()

test('an empty database is filled with users of every kind, who can sign in, and emptied of them again', async () => {
  const said: string[] = []
  expect(await fillWithDemo(roster.services, line => void said.push(line))).toBe(300)
  const [kinds] = await roster.sql(`
    select count(*)::int as all,
      count(*) filter (where not is_active and deleted_at is null)::int as inactive,
      count(*) filter (where deleted_at is not null)::int as deleted,
      count(*) filter (where subscription_tier = 'premium')::int as premium,
      count(*) filter (where email_verified_at is null)::int as unverified,
      count(distinct date_trunc('month', created_at))::int as months
    from users where is_demo`)
  expect(kinds.all).toBe(300)
  for (const kind of ['inactive', 'deleted', 'premium', 'unverified', 'months'])
    expect(kinds[kind]).toBeGreaterThan(5)
  const login = await roster.post('/api/v1/auth/login', {
    email: 'demo001@example.com',
    password: demoPassword,
  })
  expect(login.status).toBe(200)
  expect(said.join()).toContain(demoPassword)
  const line = said.find(one => one.startsWith('Demo administrator password: ')) ?? ''
  const password = line.slice('Demo administrator password: '.length)
  const admin = await roster.post('/api/v1/auth/login', { email: 'demo000@example.com', password })
  const list = await roster.get('/api/v1/users?limit=1', { token: admin.body.access_token })
  expect([list.status, list.body.total_estimate]).toEqual([200, 300])
  const roles = await roster.sql('select distinct role_name from user_roles order by role_name')
  expect(roles.map(({ role_name }) => role_name)).toEqual(['admin', 'auditor', 'support'])

  const registered = await roster.sql(
    `select distinct occurred_at from events where type = 'user.registered'`,
  )
  expect(registered).toEqual([{ occurred_at: roster.clock.now() }])

  const { id } = await roster.signUp()
  expect(await removeDemoUsers(roster.services)).toBe(300)
  expect(await roster.sql('select id from users')).toEqual([{ id }])
  const gone = await roster.get('/api/v1/auth/me', { token: login.body.access_token })
  expect(gone.status).toBe(401)
  const events = await roster.sql(`select type, count(*)::int as n from events group by type order by type`)
  expect(events).toContainEqual({ type: 'user.erased', n: 300 })
  const kept = await roster.sql(
    `select 1 from events where user_id <> $1 and type <> 'user.erased' and data <> jsonb_build_object('userId', user_id)`,
    [id],
  )
  expect(kept).toEqual([])
})

test('a database that has users is left as it is', async () => {
  const other = await startTestApp()
  await other.signUp()
  expect(await fillWithDemo(other.services, () => undefined)).toBe(0)
  expect(await other.sql('select count(*)::int as n from users')).toEqual([{ n: 1 }])
  await other.stop()
})

test('demo people have addresses, usernames and numbers of their own', () => {
  const people = demoPeople(300)
  expect(new Set(people.map(({ email }) => email)).size).toBe(300)
  expect(new Set(people.map(({ username }) => username)).size).toBe(300)
  const numbers = people.flatMap(({ phone_number }) => phone_number ?? [])
  expect(new Set(numbers).size).toBe(numbers.length)
})
