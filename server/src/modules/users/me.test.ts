import { describe, expect, test } from 'vitest'
import { minutes } from '../../lib/clock.ts'
import { startTestApp, useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()

const update = (token: string, body: unknown, method: 'PUT' | 'PATCH' = 'PUT', url = '/api/v1/users/me') =>
  roster.request(method, url, { token, body })

const updatesOf = (userId: string) =>
  roster.sql(`select data from events where type = 'user.profile_updated' and user_id = $1 order by id`, [
    userId,
  ])

describe('document 1’s four scenarios', () => {
  test('registration, first login, profile update and second login move one timestamp each', async () => {
    const credentials = { email: 'scenarios@example.com', password: 'SecurePass123' }
    const login = () => roster.post('/api/v1/auth/login', credentials)
    const times = (body: Record<string, unknown>) => [body.created_at, body.updated_at, body.last_login_at]
    const now = () => roster.clock.now().toISOString()

    const registeredAt = now()
    const registered = await roster.post('/api/v1/auth/register', credentials)
    expect(times(registered.body)).toEqual([registeredAt, null, null])

    roster.clock.advance(minutes(5))
    const firstLoginAt = now()
    const first = await login()
    expect(times(first.body.user)).toEqual([registeredAt, null, firstLoginAt])

    roster.clock.advance(minutes(5))
    const updatedAt = now()
    const token = first.body.access_token
    const updated = await update(token, { full_name: 'Updated Name' }, 'PUT', '/api/v1/auth/me')
    expect(times(updated.body)).toEqual([registeredAt, updatedAt, firstLoginAt])
    const me = await roster.get('/api/v1/auth/me', { token })
    expect(times(me.body)).toEqual([registeredAt, updatedAt, firstLoginAt])

    roster.clock.advance(minutes(5))
    const secondLoginAt = now()
    const second = await login()
    expect(times(second.body.user)).toEqual([registeredAt, updatedAt, secondLoginAt])
  })

  test('hold for what else happens: refresh, activity, logout and a rehash move none of them', async () => {
    const user = await roster.signUp()
    const before = (await roster.get('/api/v1/users/me', { token: user.token })).body
    roster.clock.advance(minutes(5))
    const { body } = await roster.post('/api/v1/auth/refresh', { refresh_token: user.refresh })
    await roster.get('/api/v1/auth/sessions', { token: body.access_token })
    await roster.services.activity.flush()
    const after = (await roster.get('/api/v1/users/me', { token: body.access_token })).body
    expect(after).toEqual({ ...before, last_activity_at: roster.clock.now().toISOString() })
  })
})

describe('PUT and PATCH of one’s own record', () => {
  test.each([
    ['PUT', '/api/v1/users/me'],
    ['PATCH', '/api/v1/users/me'],
    ['PUT', '/api/v1/auth/me'],
    ['PATCH', '/api/v1/auth/me'],
  ] as const)('%s %s takes document 5’s example and leaves the rest as it is', async (method, url) => {
    const user = await roster.signUp({ first_name: 'A', last_name: 'B' })
    const before = (await roster.get(url, { token: user.token })).body
    roster.clock.advance(minutes(1))
    const changes = {
      full_name: 'Updated Name',
      current_title: 'Software Engineer',
      location: 'San Francisco, CA',
    }
    const { status, body } = await update(user.token, changes, method, url)
    expect(status).toBe(200)
    expect(body).toEqual({
      ...before,
      ...changes,
      updated_at: roster.clock.now().toISOString(),
      updated_by: user.id,
    })
    expect((await roster.get(url, { token: user.token })).body).toEqual(body)
  })

  test('writes one audit row without values, and one event with them', async () => {
    const user = await roster.signUp()
    await update(user.token, { full_name: 'Zoë', location: 'Wien' })
    const audit = await roster.sql(`select actor_id, changed_fields, details from audit_log
      where action = 'user.profile_updated' and subject_id = '${user.id}'`)
    expect(audit).toEqual([{ actor_id: user.id, changed_fields: ['full_name', 'location'], details: {} }])
    expect(await updatesOf(user.id)).toEqual([
      {
        data: {
          userId: user.id,
          email: user.email,
          changes: { fullName: 'Zoë', location: 'Wien' },
          updatedAt: roster.clock.now().toISOString(),
        },
      },
    ])
  })

  test.each([
    ['nothing', {}],
    ['what is there already', { full_name: 'Same Name', location: null }],
    ['the same in another spelling', { full_name: '  Same   Name ' }],
  ])('with %s moves nothing and publishes nothing', async (_what, body) => {
    const user = await roster.signUp({ full_name: 'Same Name' })
    const before = (await roster.get('/api/v1/users/me', { token: user.token })).body
    roster.clock.advance(minutes(1))
    const reply = await update(user.token, body)
    expect([reply.status, reply.body]).toEqual([200, before])
    expect(await updatesOf(user.id)).toEqual([])
    const audit = await roster.sql(`select 1 from audit_log
      where action = 'user.profile_updated' and subject_id = '${user.id}'`)
    expect(audit).toEqual([])
  })

  test('records only the fields that did change', async () => {
    const user = await roster.signUp({ full_name: 'Same Name' })
    await update(user.token, { full_name: 'Same Name', location: 'Graz' })
    expect((await updatesOf(user.id))[0].data.changes).toEqual({ location: 'Graz' })
  })

  test('empties a field with null', async () => {
    const user = await roster.signUp({ full_name: 'A B' })
    const { body } = await update(user.token, { full_name: null })
    expect(body.full_name).toBeNull()
  })

  test('a full name that was joined follows first and last name, one that was typed does not', async () => {
    const joined = await roster.signUp({ first_name: 'Ada', last_name: 'Byron' })
    expect((await update(joined.token, { last_name: 'Lovelace' })).body.full_name).toBe('Ada Lovelace')
    expect((await update(joined.token, { first_name: null })).body.full_name).toBe('Lovelace')
    const typed = await roster.signUp({ full_name: 'Countess Ada', first_name: 'Ada', last_name: 'Byron' })
    expect((await update(typed.token, { last_name: 'Lovelace' })).body.full_name).toBe('Countess Ada')
    const both = await update(typed.token, { first_name: 'Augusta', full_name: 'Augusta Ada' })
    expect(both.body).toMatchObject({
      full_name: 'Augusta Ada',
      first_name: 'Augusta',
      last_name: 'Lovelace',
    })
    const bare = await roster.signUp()
    expect((await update(bare.token, { first_name: 'Grace' })).body.full_name).toBe('Grace')
  })

  test('names that are too long together want a full name', async () => {
    const user = await roster.signUp({ first_name: 'Ada', last_name: 'Byron' })
    const names = { first_name: 'a'.repeat(75), last_name: 'b'.repeat(75) }
    const reply = await update(user.token, names)
    expect([reply.status, reply.body.errors[0].path]).toEqual([400, '/full_name'])
    expect((await update(user.token, { ...names, full_name: 'A B' })).status).toBe(200)
    expect((await update(user.token, { last_name: 'c'.repeat(75) })).status).toBe(200)
  })

  test('keeps addresses, tags and zones in their normal form, and refuses what is none', async () => {
    const user = await roster.signUp()
    const { status, body } = await update(user.token, {
      avatar_url: 'HTTPS://Example.com/a b.png',
      locale: 'de-at',
      timezone: 'Europe/Vienna',
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      avatar_url: 'https://example.com/a%20b.png',
      locale: 'de-AT',
      timezone: 'Europe/Vienna',
    })
    for (const [field, value] of [
      ['avatar_url', 'javascript:alert(1)'],
      ['avatar_url', 'https://user:secret@example.com/'],
      ['avatar_url', '//example.com/a.png'],
      ['avatar_url', 'data:image/png;base64,AAAA'],
      ['locale', 'not a locale'],
      ['timezone', '+02:00'],
      ['timezone', 'Mars/Olympus'],
      ['full_name', 'x'.repeat(151)],
      ['current_title', 'evil\u202etitle'],
      ['location', ''],
    ] as const) {
      const reply = await update(user.token, { [field]: value })
      expect([value, reply.status, reply.body.errors?.[0].path]).toEqual([value, 400, `/${field}`])
    }
  })

  test.each([
    ['email', 'POST /api/v1/auth/profile/email/initiate'],
    ['username', 'PUT /api/v1/auth/profile/username'],
    ['phone_number', 'POST /api/v1/auth/profile/phone/initiate'],
    ['password', 'POST /api/v1/auth/change-password'],
  ])('%s is refused with the route that changes it', async (field, route) => {
    const user = await roster.signUp()
    for (const method of ['PUT', 'PATCH'] as const) {
      const reply = await update(user.token, { full_name: 'X Y', [field]: 'value' }, method)
      expect([reply.status, reply.body.code]).toEqual([400, 'validation_failed'])
      expect(reply.body.errors).toEqual([
        { path: `/${field}`, code: 'changed_elsewhere', message: expect.stringContaining(route) },
      ])
    }
    expect((await roster.get('/api/v1/users/me', { token: user.token })).body.full_name).toBeNull()
  })

  test.each([
    ['id', '019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c'],
    ['role', 'admin'],
    ['roles', ['admin']],
    ['is_active', true],
    ['is_premium', true],
    ['subscription', { tier: 'premium' }],
    ['email_verified', true],
    ['email_verified_at', '2026-01-01T00:00:00.000Z'],
    ['phone_verified', true],
    ['mfa_enabled', false],
    ['created_at', '2000-01-01T00:00:00.000Z'],
    ['updated_at', null],
    ['updated_by', null],
    ['last_login_at', null],
    ['deleted_at', null],
  ])('%s is refused by name and has no effect', async (field, value) => {
    const user = await roster.signUp()
    const before = await roster.sql('select * from users where id = $1', [user.id])
    for (const url of ['/api/v1/users/me', '/api/v1/auth/me']) {
      const reply = await update(user.token, { full_name: 'X Y', [field]: value }, 'PUT', url)
      expect([reply.status, reply.body.code, reply.body.errors[0].path]).toEqual([
        403,
        'forbidden_field',
        `/${field}`,
      ])
    }
    expect(await roster.sql('select * from users where id = $1', [user.id])).toEqual(before)
  })

  test.each([
    ['an unknown field', '{"nickname":"x"}', '/nickname'],
    ['__proto__', '{"__proto__":{"role":"admin"}}', '/__proto__'],
    ['a key twice', '{"location":"a","location":"b"}', '/location'],
    ['a list for a text', '{"full_name":["a"]}', '/full_name'],
    ['a number for a text', '{"full_name":1}', '/full_name'],
    ['NUL', '{"full_name":"a\\u0000b"}', '/full_name'],
    ['half a character', '{"full_name":"a\\ud800b"}', '/full_name'],
  ])('%s is a bad request that names it', async (_what, payload, path) => {
    const user = await roster.signUp()
    const reply = await roster.app.inject({
      method: 'PUT',
      url: '/api/v1/users/me',
      headers: { authorization: `Bearer ${user.token}`, 'content-type': 'application/json' },
      payload,
    })
    expect([reply.statusCode, reply.json().errors[0].path]).toEqual([400, path])
  })

  test.each([undefined, null, [], 'text', 1])('%j is no body', async body => {
    const user = await roster.signUp()
    expect((await update(user.token, body)).status).toBe(400)
  })

  test('20 at once all count, and leave one state', async () => {
    const user = await roster.signUp()
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        update(user.token, n % 2 ? { location: `${n}` } : { current_title: `${n}` }),
      ),
    )
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
    const events = await updatesOf(user.id)
    expect(events).toHaveLength(20)
    const state = Object.assign({}, ...events.map(({ data }) => data.changes))
    const { body } = await roster.get('/api/v1/users/me', { token: user.token })
    expect([body.location, body.current_title]).toEqual([expect.any(String), expect.any(String)])
    expect(Object.keys(state).sort()).toEqual(['currentTitle', 'location'])
  })

  test('needs a token', async () => {
    for (const method of ['GET', 'PUT', 'PATCH'])
      expect((await roster.request(method, '/api/v1/users/me', { body: {} })).status).toBe(401)
  })

  test('shows in another process with its next read, within a second', async () => {
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    const user = await roster.signUp()
    const name = async () => (await second.get('/api/v1/users/me', { token: user.token })).body.full_name
    expect(await name()).toBeNull()
    await update(user.token, { full_name: 'Elsewhere' })
    await expect.poll(name).toBe('Elsewhere')
    await second.stop()
  })

  test('of a user who is gone meanwhile changes nothing', async () => {
    const user = await roster.signUp()
    await roster.get('/api/v1/users/me', { token: user.token })
    await roster.sql('update users set is_active = false, deleted_at = now() where id = $1', [user.id])
    const reply = await update(user.token, { full_name: 'Ghost' }) // nobody announced it: the session is believed
    expect([reply.status, reply.body.code]).toEqual([404, 'not_found'])
  })
})

describe('premium', () => {
  test('ends by itself, remembered or not', async () => {
    const user = await roster.signUp()
    const until = new Date(roster.clock.now().getTime() + minutes(10))
    await roster.sql(
      `update users set subscription_tier = 'premium', subscription_since = $2, subscription_expires_at = $3
       where id = $1`,
      [user.id, roster.clock.now(), until],
    )
    const isPremium = async () =>
      (await roster.get('/api/v1/users/me', { token: user.token })).body.is_premium
    roster.services.users.forget(user.id)
    expect(await isPremium()).toBe(true)
    roster.clock.advance(minutes(10) - 1)
    expect(await isPremium()).toBe(true)
    roster.clock.advance(1)
    expect(await isPremium()).toBe(false)
  })
})
