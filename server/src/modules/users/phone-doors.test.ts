import { describe, expect, onTestFinished, test } from 'vitest'
import { migrate, readMigrations } from '../../db/migrate.ts'
import { createPool } from '../../db/store.ts'
import { createEmptyDatabase } from '../../testing/database.ts'
import { useTestApp } from '../../testing/harness.ts'
import { lastSent, sentTo } from '../../testing/outbox.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()
const password = 'SecurePass123'

let numbers = 0
/** A number in its one form, and spellings of it. */
function fresh(): { number: string; spellings: [string, string, string, string] } {
  const local = String(2_079_400_000 + ++numbers)
  const parts = `${local.slice(0, 2)}\u00a0${local.slice(2, 6)}\u2011${local.slice(6)}`
  return {
    number: `+44${local}`,
    spellings: [`+44 (0)${parts}`, `\u202d+44 ${parts}\u202c`, `+44 0${local} `, `＋44／${local}`],
  }
}

const bad: [string, string][] = [
  ['020 7946 0018', 'no + and country code'],
  ['+44 20 (0) 7946', 'a 0 that is not part of it'],
  ['+44 20 7946 x18', '“x” (U+0078)'],
]

describe('a phone number in any spelling', () => {
  test.each([
    ['/api/v1/auth/register', 201],
    ['/auth/register', 201],
  ])('is one and the same at %s, and signs in by each', async (url, status) => {
    const { number, spellings } = fresh()
    const user = (n: number, phone_number: string) => ({
      username: `person${numbers}-${n}`,
      email: `person${numbers}-${n}@example.com`,
      first_name: 'A',
      last_name: 'B',
      password,
      phone_number,
    })
    const first = await roster.post(url, user(0, spellings[0]))
    expect([first.status, first.body.phone_number]).toEqual([status, number])
    for (const [n, spelling] of spellings.entries()) {
      expect((await roster.post(url, user(n + 1, spelling))).status, spelling).toBe(409)
      expect((await roster.post('/api/v1/auth/login', { phone_number: spelling, password })).status).toBe(200)
      expect((await roster.post('/auth/token', { username: spelling, password })).status, spelling).toBe(200)
      const found = await roster.get(`/api/v1/users?q=${encodeURIComponent(spelling)}`, admin)
      expect(found.body.items.map((item: { phone_number: string }) => item.phone_number)).toEqual([number])
    }
  })

  test('gets the code of a change, a second factor and an administrator’s message', async () => {
    const user = await roster.signUp()
    const { number, spellings } = fresh()
    const [a, b, c, d] = spellings
    const start = await roster.post('/api/v1/auth/profile/phone/initiate', { phone_number: a }, user)
    expect([start.status, start.body.phone_number]).toEqual([200, number])
    const otp = (await lastSent(roster, number, 'phone_code')).code
    const done = await roster.post('/api/v1/auth/profile/phone/complete', { phone_number: b, otp }, user)
    expect([done.status, done.body.phone_number]).toEqual([200, number])
    const setup = await roster.post('/api/v1/auth/mfa/sms/setup', { phone_number: c }, user)
    expect([setup.status, setup.body.sent_to]).toEqual([200, number])
    const told = await roster.post('/api/v1/twilio/sms/send', { to: d, text: 'Hello' }, admin)
    expect(told.status).toBe(202)
    expect((await sentTo(roster, number)).map(({ template }) => template)).toEqual([
      'custom',
      'mfa_code',
      'phone_code',
    ])
  })

  test('is set by an administrator in its one form', async () => {
    const user = await roster.signUp()
    const [one, two] = [fresh(), fresh()]
    const email = `made${numbers}@example.com`
    const made = await roster.post('/api/v1/users', { email, phone_number: one.spellings[1] }, admin)
    expect([made.status, made.body.phone_number]).toEqual([201, one.number])
    const changed = await roster.request('PATCH', `/api/v1/users/${user.id}`, {
      token: admin.token,
      body: { phone_number: two.spellings[0] },
    })
    expect([changed.status, changed.body.phone_number]).toEqual([200, two.number])
  })

  test.each(bad)('that is none says why at every door: %s', async (phone_number, why) => {
    const user = await roster.signUp()
    const email = 'nobody-yet@example.com'
    const replies = await Promise.all([
      roster.post('/api/v1/auth/register', { email, password, phone_number }),
      roster.post('/api/v1/users', { email, phone_number }, admin),
      roster.request('PATCH', `/api/v1/users/${user.id}`, { token: admin.token, body: { phone_number } }),
      roster.post('/api/v1/auth/profile/phone/initiate', { phone_number }, user),
      roster.post('/api/v1/auth/profile/phone/complete', { phone_number, otp: '123456' }, user),
      roster.post('/api/v1/auth/mfa/sms/setup', { phone_number }, user),
      roster.post('/api/v1/twilio/sms/send', { to: phone_number, text: 'Hello' }, admin),
    ])
    for (const { status, body } of replies)
      expect([status, body.errors?.[0]?.message]).toEqual([400, expect.stringContaining(why)])
  })
})

test('numbers that were stored with their trunk prefix lose it; the wrong one of two goes', async () => {
  const database = await createEmptyDatabase()
  const pool = createPool({ url: database.url, size: 1, overflow: 0, onError: () => undefined })
  onTestFinished(async () => {
    await pool.end()
    await database.drop()
  })
  const migrations = await readMigrations()
  const at = migrations.findIndex(({ name }) => name.endsWith('_phone_numbers.sql'))
  await migrate(pool, { migrations: migrations.slice(0, at) })
  const stored = [
    '+4402079460018',
    '+3902079460018',
    '+36061234567',
    '+35301234567',
    '+4366012345',
    '+43106012345',
    '+490301234567',
    '+49301234567',
  ]
  for (const [n, number] of stored.entries()) {
    await pool.query(
      `insert into users (id, username, username_key, email, email_key, phone_number, created_at)
       values (gen_random_uuid(), $1, $1, $1 || '@example.com', $1 || '@example.com', $2, now())`,
      [`user${n}`, number],
    )
  }
  await migrate(pool, { migrations })
  const { rows } = await pool.query('select phone_number from users order by username')
  expect(rows.map(row => row.phone_number)).toEqual([
    '+442079460018',
    '+3902079460018',
    '+361234567',
    '+3531234567',
    '+4366012345',
    '+43106012345',
    null,
    '+49301234567',
  ])
})
