import { describe, expect, onTestFinished, test } from 'vitest'
import { startTestApp, useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()
const settings = '/api/v1/users/me/settings'
const preferences = '/api/v1/users/me/preferences'
const admin = await roster.signUpAdmin()
const define = (definition: Record<string, unknown>) =>
  roster.post(
    '/api/v1/settings/definitions',
    { description: 'For a test', ...definition },
    { token: admin.token },
  )

const eventsOf = (id: string) =>
  roster.sql(`select data from events where user_id = $1 and type = 'user.settings_updated' order by id`, [
    id,
  ])
const auditOf = (id: string) =>
  roster.sql(
    `select changed_fields, actor_id, details from audit_log
     where subject_id = $1 and action = 'user.settings_updated' order by id`,
    [id],
  )

describe('reading', () => {
  test('a user reads every setting with its default before anything was set', async () => {
    const { token } = await roster.signUp()
    const { status, body, headers } = await roster.get(settings, { token })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      version: 0,
      updated_at: null,
      values: { 'ui.theme': 'auto', 'notifications.email': true, 'privacy.searchable': true },
    })
    expect(headers.etag).toBe('"0"')
    expect(Object.keys(body.values).every(key => !key.startsWith('job.'))).toBe(true)
  })

  test('preferences and settings are apart, each with a version of its own', async () => {
    const { token } = await roster.signUp()
    await roster.put(settings, { 'ui.theme': 'dark' }, { token })
    const { body } = await roster.put(preferences, { 'job.remote': 'remote' }, { token })
    expect(body.values).toMatchObject({ 'job.remote': 'remote', 'job.salary_currency': 'EUR' })
    expect(body.version).toBe(1)
    expect((await roster.get(settings, { token })).body).toMatchObject({ version: 1 })
    expect(body.values['ui.theme']).toBeUndefined()
  })

  test('a category narrows, and include=definitions brings what a form needs, in order', async () => {
    const { token } = await roster.signUp()
    const { body } = await roster.get(`${settings}?category=ui&include=definitions`, { token })
    expect(Object.keys(body.values)).toEqual(body.definitions.map((d: { key: string }) => d.key))
    expect(body.definitions[0]).toEqual({
      key: 'ui.theme',
      scope: 'setting',
      category: 'ui',
      setting_type: 'enum',
      description: 'Colours of the user interface',
      default_value: 'auto',
      validation_rules: { allowed_values: ['light', 'dark', 'auto'] },
      cross_rules: [],
      is_public: false,
      is_readonly: false,
      sort_order: 10,
      deprecated: false,
      version: 1,
    })
    expect((await roster.get(`${settings}?category=nowhere`, { token })).body.values).toEqual({})
  })

  test('a new default reaches every user who set no value, without a write to any of them', async () => {
    await define({
      key: 'app.page_size',
      setting_type: 'integer',
      default_value: 20,
      validation_rules: { min: 1 },
    })
    const [own, other] = [await roster.signUp(), await roster.signUp()]
    await roster.put(settings, { 'app.page_size': 5 }, { token: own.token })
    await roster.get(settings, { token: other.token })
    await roster.put(
      '/api/v1/settings/definitions/app.page_size',
      { default_value: 50 },
      { token: admin.token },
    )
    expect((await roster.get(settings, { token: own.token })).body.values['app.page_size']).toBe(5)
    expect((await roster.get(settings, { token: other.token })).body).toMatchObject({
      version: 0,
      values: { 'app.page_size': 50 },
    })
    expect(await roster.sql('select from user_settings where user_id = $1', [other.id])).toHaveLength(0)
  })
})

describe('changing', () => {
  test('a change is stored, audited by key, and published without private values', async () => {
    const { id, token } = await roster.signUp()
    roster.clock.advance(1000)
    const { status, body, headers } = await roster.put(settings, { 'ui.theme': 'dark' }, { token })
    expect(status).toBe(200)
    expect(body).toMatchObject({ version: 1, updated_at: roster.clock.now().toISOString() })
    expect(body.values['ui.theme']).toBe('dark')
    expect(headers.etag).toBe('"1"')
    expect(await auditOf(id)).toEqual([
      { changed_fields: ['ui.theme'], actor_id: id, details: { scope: 'setting' } },
    ])
    const [event] = await eventsOf(id)
    expect(event.data).toEqual({
      userId: id,
      scope: 'setting',
      keys: ['ui.theme'],
      values: {},
      updatedAt: roster.clock.now().toISOString(),
    })
    expect((await roster.get('/api/v1/users/me', { token })).body.updated_at).toBeNull()
  })

  test('values of public definitions are published with their keys', async () => {
    const { id, token } = await roster.signUp()
    await roster.put(preferences, { 'job.remote': 'hybrid', 'job.salary_min': 50_000 }, { token })
    const [event] = await eventsOf(id)
    expect(event.data).toMatchObject({
      keys: ['job.remote', 'job.salary_min'],
      values: { 'job.remote': 'hybrid' },
    })
  })

  test('the wrapped form does the same, null returns a key to its default, other keys stay', async () => {
    const { token } = await roster.signUp()
    await roster.put(settings, { values: { 'ui.theme': 'dark', 'ui.density': 'compact' } }, { token })
    const { body } = await roster.put(settings, { 'ui.theme': null }, { token })
    expect(body.values).toMatchObject({ 'ui.theme': 'auto', 'ui.density': 'compact' })
    expect(body.version).toBe(2)
  })

  test('a change that changes nothing moves nothing and publishes nothing', async () => {
    const { id, token } = await roster.signUp()
    await roster.put(settings, { 'ui.theme': 'dark' }, { token })
    roster.clock.advance(60_000)
    const { body } = await roster.put(settings, { 'ui.theme': 'dark', 'ui.density': null }, { token })
    expect(body.version).toBe(1)
    expect(await eventsOf(id)).toHaveLength(1)
    expect(await auditOf(id)).toHaveLength(1)
  })

  test('one bad key keeps all from being written, and each is named with the rule that it breaks', async () => {
    const { token } = await roster.signUp()
    const { status, body } = await roster.put(
      settings,
      {
        'ui.theme': 'pink',
        'ui.font_scale': 9,
        'ui.thme': 'dark',
        'ui.accent_color': 7,
        'ui.density': 'compact',
      },
      { token },
    )
    expect(status).toBe(422)
    expect(body.code).toBe('settings_invalid')
    expect(body.errors).toEqual([
      {
        path: '/ui.theme',
        code: 'not_allowed',
        rule: 'allowed_values',
        expected: ['light', 'dark', 'auto'],
        message: 'Must be one of: light, dark, auto.',
      },
      { path: '/ui.font_scale', code: 'too_large', rule: 'max', expected: 2, message: 'Must be at most 2.' },
      {
        path: '/ui.thme',
        code: 'unknown_key',
        rule: 'key',
        message: 'There is no such key. Did you mean ui.theme?',
      },
      {
        path: '/ui.accent_color',
        code: 'wrong_type',
        rule: 'setting_type',
        expected: 'color',
        message: 'Must be a colour such as #1f6feb.',
      },
    ])
    expect((await roster.get(settings, { token })).body).toMatchObject({ version: 0 })
  })

  test('a rule between keys is checked on the result: with what is stored, and in either direction', async () => {
    const { token } = await roster.signUp()
    const put = (body: unknown) => roster.put(preferences, body, { token })
    expect((await put({ 'job.salary_min': 50_000, 'job.salary_max': 60_000 })).status).toBe(200)
    const { status, body } = await put({ 'job.salary_max': 40_000 })
    expect(status).toBe(422)
    expect(body.errors).toEqual([
      {
        path: '/job.salary_min',
        code: 'cross_field',
        rule: 'lte',
        expected: 'job.salary_max',
        message: 'Must not be more than job.salary_max (40000).',
      },
    ])
    expect((await put({ 'job.salary_max': null })).status).toBe(200)
    expect((await put({ 'job.salary_max': 40_000, 'job.salary_min': 30_000 })).status).toBe(200)
  })

  test('a key that needs another is refused without it', async () => {
    const { token } = await roster.signUp()
    const { body } = await roster.put(settings, { 'notifications.quiet_from': '22:00' }, { token })
    expect(body.errors).toMatchObject([{ path: '/notifications.quiet_from', rule: 'requires' }])
    const both = { 'notifications.quiet_from': '22:00', 'notifications.quiet_until': '07:30' }
    expect((await roster.put(settings, both, { token })).status).toBe(200)
  })

  test('read-only keys are seen by users and set by administrators', async () => {
    await define({ key: 'plan.seats', setting_type: 'integer', default_value: 1, is_readonly: true })
    const { id, token } = await roster.signUp()
    const refused = await roster.put(settings, { 'plan.seats': 9 }, { token })
    expect(refused.status).toBe(422)
    expect(refused.body.errors).toMatchObject([
      { path: '/plan.seats', code: 'read_only', rule: 'is_readonly' },
    ])
    const set = await roster.put(`/api/v1/users/${id}/settings`, { 'plan.seats': 9 }, { token: admin.token })
    expect(set.status).toBe(200)
    expect((await roster.get(settings, { token })).body.values['plan.seats']).toBe(9)
    expect((await auditOf(id))[0]).toMatchObject({ actor_id: admin.id })
  })

  test('read-only preferences are set by administrators too', async () => {
    await define({ key: 'plan.region', scope: 'preference', setting_type: 'string', is_readonly: true })
    const { id, token } = await roster.signUp()
    expect((await roster.put(preferences, { 'plan.region': 'eu' }, { token })).status).toBe(422)
    const url = `/api/v1/users/${id}/preferences`
    expect((await roster.put(url, { 'plan.region': 'eu' }, { token })).status).toBe(403)
    const { status, body, headers } = await roster.put(url, { 'plan.region': 'eu' }, { token: admin.token })
    expect([status, body.version, headers.etag]).toEqual([200, 1, '"1"'])
    expect((await roster.get(preferences, { token })).body.values['plan.region']).toBe('eu')
    const late = { token: admin.token, headers: { 'if-match': '"0"' } }
    expect((await roster.put(url, { 'plan.region': 'us' }, late)).status).toBe(412)
    const nobody = '019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c'
    const missing = await roster.put(`/api/v1/users/${nobody}/preferences`, {}, { token: admin.token })
    expect(missing.status).toBe(404)
  })

  test('a number beyond what a double holds is refused, and never becomes null', async () => {
    await define({ key: 'wild.object', setting_type: 'object' })
    const { token } = await roster.signUp()
    const send = (method: 'PUT' | 'POST', url: string, payload: string) =>
      roster.app.inject({
        method,
        url,
        payload,
        headers: { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' },
      })
    const value = await send('PUT', settings, '{"wild.object":{"a":1e400}}')
    expect(value.statusCode).toBe(400)
    expect(value.json().errors).toMatchObject([{ path: '/wild.object/a', code: 'number_too_large' }])
    const definition = await send(
      'POST',
      '/api/v1/settings/definitions',
      '{"key":"wild.list","setting_type":"list","description":"x","validation_rules":{"schema":{"items":{"maximum":-1e400}}}}',
    )
    expect(definition.statusCode).toBe(400)
    expect(definition.json().errors[0].path).toBe('/validation_rules/schema/items/maximum')
    expect((await roster.put(settings, { 'wild.object': { a: 1e308 } }, { token })).status).toBe(200)
  })

  test('deprecated keys are still taken, and shown to those who set them alone', async () => {
    await define({ key: 'old.layout', setting_type: 'string', default_value: 'a' })
    await roster.put('/api/v1/settings/definitions/old.layout', { deprecated: true }, { token: admin.token })
    const [own, other] = [await roster.signUp(), await roster.signUp()]
    expect(
      (await roster.put(settings, { 'old.layout': 'b' }, { token: own.token })).body.values['old.layout'],
    ).toBe('b')
    const shownTo = async (token: string) => {
      const { body } = await roster.get(`${settings}?category=old&include=definitions`, { token })
      return [Object.keys(body.values), body.definitions.map(({ key }: { key: string }) => key)]
    }
    expect(await shownTo(own.token)).toEqual([['old.layout'], ['old.layout']])
    expect(await shownTo(other.token)).toEqual([[], []])
  })

  test('64 KiB in all are kept, and not a byte more', async () => {
    for (const n of [1, 2, 3, 4]) await define({ key: `big.n${n}`, setting_type: 'text' })
    const { token } = await roster.signUp()
    const text = 'x'.repeat(20_000)
    expect(
      (await roster.put(settings, { 'big.n1': text, 'big.n2': text, 'big.n3': text }, { token })).status,
    ).toBe(200)
    const over = await roster.put(settings, { 'big.n4': text }, { token })
    expect(over.status).toBe(422)
    expect(over.body.errors).toMatchObject([{ code: 'too_large', rule: 'max_bytes', expected: 65_536 }])
  })
})

describe('preconditions', () => {
  test('a version that is no longer the present one is 412, and says which is', async () => {
    const { token } = await roster.signUp()
    const put = (body: unknown, version: string) =>
      roster.put(settings, body, { token, headers: { 'if-match': version } })
    expect((await put({ 'ui.theme': 'dark' }, '"0"')).status).toBe(200)
    const { status, body } = await put({ 'ui.theme': 'light' }, '"0"')
    expect(status).toBe(412)
    expect(body).toMatchObject({ code: 'precondition_failed', version: 1 })
    expect((await put({ 'ui.theme': 'light' }, '"7", "1"')).status).toBe(200)
    expect((await put({ 'ui.theme': 'dark' }, '*')).status).toBe(200)
    expect((await put({ 'ui.theme': 'auto' }, 'three')).status).toBe(400)
  })

  test('of two clients with one version one wins and the other gets 412, 50 times over', async () => {
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    const { id, token } = await roster.signUp()
    for (let version = 0; version < 50; version += 1) {
      const options = { token, headers: { 'if-match': `"${version}"` } }
      const [a, b] = await Promise.all([
        roster.put(settings, { 'ui.font_scale': 1 + version / 100 }, options),
        second.put(settings, { 'ui.font_scale': 1.5 + version / 200 }, options),
      ])
      expect([a.status, b.status].sort(), `round ${version}`).toEqual([200, 412])
      const won = a.status === 200 ? a : b
      expect(won.body.version).toBe(version + 1)
      const [row] = await roster.sql('select value_by_key, version from user_settings where user_id = $1', [
        id,
      ])
      expect(row).toEqual({
        value_by_key: { 'ui.font_scale': won.body.values['ui.font_scale'] },
        version: version + 1,
      })
    }
    await second.stop()
  })

  test('20 first changes at once, without a precondition, are all kept', async () => {
    const { token } = await roster.signUp()
    const keys = ['ui.theme', 'ui.density', 'ui.date_format', 'ui.first_day_of_week']
    const values = ['dark', 'compact', 'iso', 'sunday']
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        roster.put(settings, { [keys[n % 4] ?? '']: values[n % 4] }, { token }),
      ),
    )
    expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(200))
    const { body } = await roster.get(settings, { token })
    expect(body.values).toMatchObject(Object.fromEntries(keys.map((key, n) => [key, values[n]])))
    expect(body.version).toBe(4)
  })

  test('of first changes at once that say If-Match: "0", in two processes, one is kept', async () => {
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    onTestFinished(() => second.stop())
    const firsts = [
      [settings, { 'ui.theme': 'dark' }],
      [preferences, { 'job.remote': 'remote' }],
    ] as const
    for (const [path, body] of [...firsts, ...firsts, ...firsts]) {
      const { token } = await roster.signUp()
      const options = { token, headers: { 'if-match': '"0"' } }
      const apps = Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? roster : second))
      const replies = await Promise.all(apps.map(app => app.put(path, body, options)))
      expect(replies.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(412)])
      expect((await roster.get(path, { token })).body.version).toBe(1)
    }
  })

  test('another process shows a change within a second', async () => {
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    const { token } = await roster.signUp()
    await second.get(settings, { token })
    await roster.put(settings, { 'ui.theme': 'dark' }, { token })
    await expect
      .poll(async () => (await second.get(settings, { token })).body.values['ui.theme'], {
        interval: 20,
      })
      .toBe('dark')
    await second.stop()
  })
})

describe('who may', () => {
  test('others’ settings need settings:manage, their preferences premium or users:read', async () => {
    const [user, other] = [await roster.signUp(), await roster.signUp()]
    await roster.put(
      preferences,
      { 'job.remote': 'remote', 'job.salary_min': 70_000 },
      { token: other.token },
    )
    expect((await roster.get(`/api/v1/users/${other.id}/settings`, { token: user.token })).status).toBe(403)
    expect((await roster.put(`/api/v1/users/${other.id}/settings`, {}, { token: user.token })).status).toBe(
      403,
    )
    const url = `/api/v1/users/${other.id}/preferences`
    expect((await roster.get(url, { token: user.token })).body.code).toBe('premium_required')
    await roster.post('/api/v1/users/me/upgrade', undefined, { token: user.token })
    const shown = await roster.get(url, { token: user.token })
    expect(shown.body.values).toMatchObject({ 'job.remote': 'remote' })
    expect(shown.body).toMatchObject({ version: 0, updated_at: null })
    expect(Object.keys(shown.body.values)).not.toContain('job.salary_min')
    const full = await roster.get(url, { token: admin.token })
    expect(full.body.values['job.salary_min']).toBe(70_000)
    const nobody = '019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c'
    expect((await roster.get(`/api/v1/users/${nobody}/preferences`, { token: admin.token })).status).toBe(404)
    expect((await roster.get(`/api/v1/users/${nobody}/settings`, { token: admin.token })).status).toBe(404)
  })
})
