import { describe, expect, test } from 'vitest'
import { migrate, readMigrations } from '../../db/migrate.ts'
import { createPool } from '../../db/store.ts'
import { uuidv7 } from '../../lib/ids.ts'
import { emailKey } from '../../lib/text.ts'
import { createEmptyDatabase } from '../../testing/database.ts'
import { useTestApp } from '../../testing/harness.ts'
import { sentTo } from '../../testing/outbox.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()
const password = 'SecurePass123'

describe.each([
  ['a space after it', (text: string) => `${text} `],
  ['a no-break space before it', (text: string) => `\u00a0${text}`],
  ['a line end', (text: string) => `${text}\r\n`],
  ['a wide space and a tab', (text: string) => `\u3000${text}\t`],
  ['a next-line character', (text: string) => `\u0085${text}\u2003`],
])('an address or a name with %s', (_, dress) => {
  test('signs in, by API and dialect', async () => {
    const user = await roster.signUp({ username: `dressed${Math.random().toString(36).slice(2, 12)}` })
    const { username } = (await roster.get('/api/v1/users/me', { token: user.token })).body
    for (const name of [{ email: dress(user.email) }, { username: dress(username) }]) {
      const { status } = await roster.post('/api/v1/auth/login', { ...name, password })
      expect([name, status]).toEqual([name, 200])
    }
    for (const name of [user.email, username]) {
      const { status } = await roster.post('/auth/token', { username: dress(name), password })
      expect([name, status]).toEqual([name, 200])
    }
  })

  test('gets the mails that are asked for', async () => {
    const { email } = await roster.signUp()
    await roster.post('/api/v1/auth/password-reset-request', { email: dress(email) })
    await roster.runJobs()
    expect((await sentTo(roster, email)).map(({ template }) => template)).toContain('password_reset')
  })

  test('is kept without it, by whatever door it comes', async () => {
    const address = () => `door-${Math.random().toString(36).slice(2)}@example.com`
    const [registered, invited, changed, own] = [address(), address(), address(), address()]
    const body = { email: dress(registered), full_name: dress('Ann Lee'), password }
    expect((await roster.post('/api/v1/auth/register', body)).body).toMatchObject({
      email: registered,
      full_name: 'Ann Lee',
    })
    const made = await roster.post('/api/v1/users', { email: dress(invited) }, admin)
    expect(made.body.email).toBe(invited)
    expect((await sentTo(roster, invited)).map(({ template }) => template)).toEqual(['invitation'])
    const put = await roster.put(`/api/v1/users/${made.body.id}`, { email: dress(changed) }, admin)
    expect([put.status, put.body.email]).toEqual([200, changed])
    const { token } = await roster.signUp()
    const initiated = await roster.post('/auth/profile/email/initiate', { newEmail: dress(own) }, { token })
    expect([initiated.status, initiated.body.data.newEmail]).toEqual([200, own])
    expect((await sentTo(roster, own)).map(({ template }) => template)).toEqual(['email_change_code'])
  })
})

describe('an address that only looks like another', () => {
  test.each(['o\ufb00ice', 'of\u017fice', '\uff4fffice', 'office\u00b9'])(
    '%s is refused by every door, and says why',
    async local => {
      const email = `${local}@example.com`
      const { id, token } = await roster.signUp()
      const replies = await Promise.all([
        roster.post('/api/v1/auth/register', { email, password }),
        roster.post('/auth/register', {
          email,
          password,
          username: 'somebody',
          first_name: 'A',
          last_name: 'B',
        }),
        roster.post('/api/v1/users', { email }, admin),
        roster.put(`/api/v1/users/${id}`, { email }, admin),
        roster.post('/api/v1/auth/profile/email/initiate', { new_email: email }, { token }),
        roster.post('/auth/profile/email/initiate', { newEmail: email }, { token }),
      ])
      for (const { status, body } of replies) {
        expect([status, body.detail ?? body.error]).toEqual([
          400,
          expect.stringContaining('look like others'),
        ])
      }
    },
  )
})

describe('a locale and a time zone', () => {
  test.each([
    ['de_AT', 'de-AT', 'europe/vienna', 'Europe/Vienna'],
    [' pt_br', 'pt-BR', 'Asia/Calcutta', 'Asia/Calcutta'],
    ['ZH_hant', 'zh-Hant', ' etc/utc', 'Etc/UTC'],
  ])(
    '%s is kept as %s, %s as %s, in the record, the profile and a setting',
    async (tag, locale, zone, timezone) => {
      const { id, token } = await roster.signUp()
      const typed = { locale: tag, timezone: zone }
      const kept = { locale, timezone }
      for (const path of ['/api/v1/users/me', '/api/v1/users/me/profile']) {
        await roster.put(path, { locale: null, timezone: null }, { token })
        expect((await roster.put(path, typed, { token })).body).toMatchObject(kept)
      }
      await roster.put('/api/v1/users/me', { locale: null, timezone: null }, { token })
      expect((await roster.put(`/api/v1/users/${id}`, typed, admin)).body).toMatchObject(kept)
      const events = await roster.sql(
        `select data->'changes'->>'timezone' as zone from events where user_id = $1
       and type = 'user.profile_updated' and data->'changes'->>'timezone' is not null`,
        [id],
      )
      expect(new Set(events.map(event => event.zone))).toEqual(new Set([timezone]))

      for (const setting_type of ['locale', 'timezone'] as const) {
        const key = `test.${setting_type}_${Math.random().toString(36).slice(2, 8)}`
        const defined = await roster.post(
          '/api/v1/settings/definitions',
          {
            key,
            setting_type,
            description: 'Test',
            default_value: typed[setting_type],
            validation_rules: {
              allowed_values: [typed[setting_type], setting_type === 'locale' ? 'en' : 'UTC'],
            },
          },
          admin,
        )
        expect([defined.status, defined.body.default_value]).toEqual([201, kept[setting_type]])
        const set = await roster.put('/api/v1/users/me/settings', { [key]: typed[setting_type] }, { token })
        expect([set.status, set.body.values?.[key] ?? set.body[key]]).toEqual([200, kept[setting_type]])
      }
    },
  )
})

test('what was stored before is brought into the kept form, and is found by it', async () => {
  const database = await createEmptyDatabase()
  const pool = createPool({ url: database.url, size: 2, overflow: 0, onError: () => undefined })
  const all = await readMigrations()
  await migrate(pool, { migrations: all.filter(({ name }) => name < '0015_text') })
  const before = [
    { email: 'o\ufb00ice@example.com', key: 'office@example.com', zone: 'PST' },
    { email: 'Plain@Example.com', key: 'plain@example.com', zone: 'europe/VIENNA' },
    { email: 'wide@ex\uff21mple.com', key: 'wide@example.com', zone: 'us/pacific-new' },
    {
      email: 'ju\u0308rgen@b\u00fccher.example',
      key: 'j\u00fcrgen@xn--bcher-kva.example',
      zone: 'Asia/Calcutta',
    },
  ]
  for (const [n, { email, key, zone }] of before.entries()) {
    await pool.query(
      `insert into users (id, username, username_key, email, email_key, timezone, created_at)
       values ($1, $2, $2, $3, $4, $5, now())`,
      [uuidv7(new Date()), `user${n}`, email, key, zone],
    )
  }
  await migrate(pool)
  const { rows } = await pool.query('select email, email_key, timezone from users order by username')
  await pool.end()
  await database.drop()
  expect(rows.map(({ email, timezone }) => [email, timezone])).toEqual([
    ['o\ufb00ice@example.com', 'America/Los_Angeles'],
    ['Plain@Example.com', 'Europe/Vienna'],
    ['wide@example.com', 'America/Los_Angeles'],
    ['j\u00fcrgen@b\u00fccher.example', 'Asia/Calcutta'],
  ])
  for (const { email, email_key } of rows) expect(emailKey(email)).toBe(email_key)
  for (const { email } of before) expect(rows.map(row => row.email_key)).toContain(emailKey(email))
})
