import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { startTestApp, useTestApp } from '../../testing/harness.ts'
import { obeyedKeys } from './effects.ts'
import { shippedDefinitions } from './shipped.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()
const as = { token: admin.token }
const definitions = '/api/v1/settings/definitions'
const mine = '/api/v1/users/me/settings'

const define = (key: string, more: Record<string, unknown> = {}) =>
  roster.post(definitions, { key, setting_type: 'integer', description: 'For a test', ...more }, as)
const change = (key: string, body: Record<string, unknown>) => roster.put(`${definitions}/${key}`, body, as)
const remove = (key: string, query = '') => roster.delete(`${definitions}/${key}${query}`, as)

async function defined(key: string, more: Record<string, unknown> = {}): Promise<void> {
  const { status, body } = await define(key, more)
  if (status !== 201) throw new Error(JSON.stringify(body))
}

/** A user with values of their own. */
async function holding(values: Record<string, unknown>) {
  const user = await roster.signUp()
  const { status, body } = await roster.put(mine, values, { token: user.token })
  if (status !== 200) throw new Error(JSON.stringify(body))
  return user
}

const valuesOf = async (user: { token: string }) =>
  (await roster.get(mine, { token: user.token })).body.values

/** Does `work` while the look at stored values that `begin` starts can't go on, and tells how that ended. */
async function whileLookingThrough<T>(begin: () => Promise<T>, work: () => Promise<void>): Promise<T> {
  const client = new pg.Client({ connectionString: roster.databaseUrl })
  await client.connect()
  try {
    await client.query('begin; lock table user_settings in access exclusive mode')
    const begun = begin()
    await expect
      .poll(async () => roster.sql('select from setting_definitions where pending is not null'), {
        interval: 5,
      })
      .not.toHaveLength(0)
    await work()
    await client.query('rollback')
    return await begun
  } finally {
    await client.end()
  }
}

const running = { status: 409, body: { code: 'definition_change_running' } }

describe('while stored values are looked through for a change', () => {
  test('of a type, no rule begins to rest on the old one', async () => {
    await defined('type.a', { default_value: 3 })
    await defined('type.b')
    const changed = await whileLookingThrough(
      () => change('type.a', { setting_type: 'string', default_value: 'x' }),
      async () => {
        const cross_rules = [{ op: 'lt', key: 'type.a' }]
        expect(await define('type.c', { cross_rules })).toMatchObject(running)
        const refused = await change('type.b', { cross_rules })
        expect(refused).toMatchObject(running)
        expect(refused.headers['retry-after']).toBeDefined()
        expect((await define('type.d')).status).toBe(201)
      },
    )
    expect(changed.status).toBe(200)
    expect((await change('type.b', { cross_rules: [{ op: 'lt', key: 'type.a' }] })).status).toBe(400)
    expect((await change('type.b', { description: 'Still editable' })).status).toBe(200)
  })

  test('that removes a key, no rule begins to mention it', async () => {
    await defined('gone.x')
    const removed = await whileLookingThrough(
      () => remove('gone.x'),
      async () => {
        const cross_rules = [{ op: 'requires', key: 'gone.x' }]
        expect(await define('gone.y', { cross_rules })).toMatchObject(running)
        expect(await change('gone.x', { description: 'Too late' })).toMatchObject(running)
      },
    )
    expect(removed.status).toBe(204)
    expect((await define('gone.y', { cross_rules: [{ op: 'requires', key: 'gone.x' }] })).status).toBe(400)
  })

  test('that adds a rule, the other key of it keeps its default', async () => {
    await defined('rule.m', { default_value: 5 })
    await defined('rule.n', { default_value: 1 })
    const user = await holding({ 'rule.m': 7 })
    const changed = await whileLookingThrough(
      () => change('rule.m', { cross_rules: [{ op: 'gt', key: 'rule.n' }] }),
      async () => expect(await change('rule.n', { default_value: 9 })).toMatchObject(running),
    )
    expect(changed.status).toBe(200)
    expect((await change('rule.n', { default_value: 9 })).body.errors).toMatchObject([
      { path: '/default_value', code: 'cross_field' },
    ])
    expect((await valuesOf(user))['rule.m']).toBe(7)
  })

  test('another process says the same', async () => {
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    await defined('both.a')
    await whileLookingThrough(
      () => change('both.a', { validation_rules: { max: 5 } }),
      async () => {
        const body = { key: 'both.b', setting_type: 'integer', description: 'x' }
        const cross_rules = [{ op: 'lt', key: 'both.a' }]
        expect(await second.post(definitions, { ...body, cross_rules }, as)).toMatchObject(running)
      },
    )
    await second.stop()
  })

  test('a change that gave no sign of life for a minute comes to nothing', async () => {
    await defined('late.a', { default_value: 1 })
    const user = await roster.signUp()
    const late = await whileLookingThrough(
      () => change('late.a', { validation_rules: { max: 5 } }),
      async () => roster.clock.advance(61_000),
    )
    expect(late).toMatchObject(running)
    expect((await roster.put(mine, { 'late.a': 9 }, { token: user.token })).status).toBe(200)
  })

  test('a change whose minute is over resets nothing by rules that are not its own', async () => {
    await defined('late.b')
    const users = [await holding({ 'late.b': 3 }), await holding({ 'late.b': 9 })]
    await remove('late.b', '?on_invalid=keep')
    const late = await whileLookingThrough(
      () => define('late.b', { validation_rules: { max: 5 }, on_invalid: 'reset' }),
      async () => roster.clock.advance(61_000),
    )
    expect(late).toMatchObject(running)
    expect((await define('late.b')).status).toBe(201)
    const values = await Promise.all(users.map(valuesOf))
    expect(values.map(own => own['late.b'])).toEqual([3, 9])
  })
})

describe('a key that is defined again', () => {
  const again = (more: Record<string, unknown> = {}) => define('again.key', more)

  test('meets the values that were kept: they must fit, or be treated', async () => {
    await defined('again.key', { setting_type: 'string' })
    const user = await holding({ 'again.key': 'abc' })
    expect((await remove('again.key', '?on_invalid=keep')).status).toBe(204)

    const tried = await roster.post(`${definitions}/again.key/dry-run`, { setting_type: 'integer' }, as)
    expect(tried.body).toMatchObject({ status: 'done', invalid: 1, samples: [{ value: 'abc' }] })
    const other = { setting_type: 'integer', key: 'again.other' }
    expect(await roster.post(`${definitions}/again.key/dry-run`, other, as)).toMatchObject({
      status: 400,
      body: { errors: [{ path: '/key', code: 'fixed' }] },
    })
    const refused = await again()
    expect(refused.status).toBe(409)
    expect(refused.body).toMatchObject({
      code: 'stored_values_invalid',
      invalid: 1,
      samples: [{ user_id: user.id, value: 'abc', message: 'Must be a whole number.' }],
    })
    expect((await roster.get(`${definitions}/again.key`, as)).status).toBe(404)
    expect(await roster.sql(`select from setting_definitions where key = 'again.key'`)).toHaveLength(0)

    expect((await again({ setting_type: 'string' })).body).toMatchObject({ version: 2 })
    expect((await valuesOf(user))['again.key']).toBe('abc')
    await remove('again.key', '?on_invalid=keep')
    expect((await again({ default_value: 4, on_invalid: 'reset' })).body).toMatchObject({ version: 3 })
    expect((await valuesOf(user))['again.key']).toBe(4)
    const audit = await roster.sql(
      `select action, details from audit_log where subject_id = 'again.key' order by id desc limit 1`,
    )
    expect(audit).toMatchObject([
      { action: 'setting_definition.created', details: { invalid: 1, on_invalid: 'reset' } },
    ])
  })

  test('is not there before they were looked through, and is defined once', async () => {
    await defined('again.once', { setting_type: 'string' })
    await remove('again.once')
    const user = await roster.signUp()
    const made = await whileLookingThrough(
      () => define('again.once'),
      async () => {
        expect(await define('again.once')).toMatchObject(running)
        expect((await roster.get(`${definitions}/again.once`, as)).status).toBe(404)
      },
    )
    expect(made.status).toBe(201)
    expect((await roster.put(mine, { 'again.once': 3 }, { token: user.token })).status).toBe(200)
  })

  test('a shipped key that was removed comes back the same way', async () => {
    const user = await holding({ 'ui.theme': 'dark' })
    await remove('ui.theme', '?on_invalid=keep')
    expect(await define('ui.theme')).toMatchObject({ status: 409, body: { invalid: 1 } })
    expect((await define('ui.theme', { setting_type: 'string' })).status).toBe(201)
    expect((await valuesOf(user))['ui.theme']).toBe('dark')
  })
})

test('a new key with a rule looks at the values of the other', async () => {
  await defined('low.limit', { default_value: 10 })
  const user = await holding({ 'low.limit': 3 })
  const cross_rules = [{ op: 'lte', key: 'low.limit' }]
  const refused = await define('low.new', { default_value: 5, cross_rules })
  expect(refused).toMatchObject({ status: 409, body: { invalid: 1, samples: [{ user_id: user.id }] } })
  expect((await define('low.new', { default_value: 2, cross_rules })).status).toBe(201)
})

describe('on_invalid: reset', () => {
  test('is refused where the default would break the rule too, and then resets nothing', async () => {
    await defined('reset.a', { default_value: 5 })
    await defined('reset.b', { default_value: 9 })
    const stuck = await holding({ 'reset.b': 3 })
    const healed = await holding({ 'reset.a': 20 })
    const body = { cross_rules: [{ op: 'lte', key: 'reset.b' }] }
    const refused = await change('reset.a', { ...body, on_invalid: 'reset' })
    expect(refused).toMatchObject({
      status: 409,
      body: { code: 'stored_values_invalid', invalid: 1, samples: [{ user_id: stuck.id }] },
    })
    expect(refused.body.detail).toContain('default')
    expect((await valuesOf(healed))['reset.a']).toBe(20)

    await roster.put(mine, { 'reset.b': 6 }, { token: stuck.token })
    expect((await change('reset.a', { ...body, on_invalid: 'reset' })).status).toBe(200)
    expect((await valuesOf(healed))['reset.a']).toBe(5)
    const after = await roster.post(`${definitions}/reset.a/dry-run`, { sort_order: 1 }, as)
    expect(after.body.invalid).toBe(0)
  })

  test('of two keys at the same moment ends well for both, whatever order their values have', async () => {
    const keys = ['order.a', 'order.b']
    for (const key of keys) await defined(key)
    const users = await Promise.all(
      Array.from({ length: 12 }, (_, n) => holding({ 'order.a': 100 + n, 'order.b': 111 - n })),
    )
    const both = await whileLookingThrough(
      () => Promise.all(keys.map(key => change(key, { validation_rules: { max: 9 }, on_invalid: 'reset' }))),
      async () => undefined,
    )
    expect(both.map(({ status }) => status)).toEqual([200, 200])
    for (const user of users) {
      expect(await valuesOf(user)).toMatchObject({ 'order.a': null, 'order.b': null })
    }
  })
})

describe('keys that the service itself obeys', () => {
  test.each([
    ['privacy.searchable', { default_value: false }, '/default_value'],
    ['privacy.searchable', { cross_rules: [{ op: 'eq', key: 'privacy.show_location' }] }, '/cross_rules'],
    ['notifications.email', { setting_type: 'string' }, '/setting_type'],
    [
      'notifications.account_changes',
      { setting_type: 'enum', default_value: 'on', validation_rules: { allowed_values: ['on', 'off'] } },
      '/setting_type',
    ],
    ['notifications.account_changes', { cross_rules: [{ op: 'eq', key: 'ui.theme' }] }, '/cross_rules'],
  ])('%s refuses %j', async (key, body, path) => {
    const { status, body: reply } = await change(key, body)
    expect(status).toBe(400)
    expect(reply.errors).toContainEqual(expect.objectContaining({ path, code: 'fixed' }))
  })

  test('can’t be removed, and what mails obey keeps its default changeable', async () => {
    for (const key of ['notifications.email', 'notifications.account_changes', 'privacy.show_location'])
      expect(await remove(key, '?on_invalid=reset')).toMatchObject({
        status: 409,
        body: { code: 'setting_in_use' },
      })
    expect((await change('notifications.email', { default_value: false })).status).toBe(200)
    expect((await change('notifications.email', { default_value: true })).status).toBe(200)
  })

  test('are what they ship as', () => {
    const shipped = new Map(shippedDefinitions().map(definition => [definition.key, definition]))
    for (const [key, fixed] of obeyedKeys) expect(shipped.get(key)).toMatchObject(fixed)
  })

  test('one that was changed or removed before that was so comes back as it was', async () => {
    const key = 'notifications.email'
    await roster.sql(`update setting_definitions set setting_type = 'string' where key = $1`, [key])
    await roster.sql('update setting_registry set version = version + 1')
    await change('ui.font_scale', { sort_order: 7 }) // news of a change
    expect((await change(key, { sort_order: 1 })).body.errors).toMatchObject([{ path: '/setting_type' }])
    expect((await change(key, { setting_type: 'boolean' })).status).toBe(200)
    await roster.sql('update setting_definitions set removed_at = now() where key = $1', [key])
    await roster.sql('update setting_registry set version = version + 1')
    expect((await define(key, { setting_type: 'string' })).body.errors).toMatchObject([
      { path: '/setting_type', code: 'fixed' },
    ])
    expect((await define(key, { setting_type: 'boolean', default_value: true })).status).toBe(201)
  })
})

describe('one definition', () => {
  test('is read by every user, with its version as ETag', async () => {
    const user = await roster.signUp()
    const { status, body, headers } = await roster.get(`${definitions}/ui.density`, { token: user.token })
    expect(status).toBe(200)
    expect(body).toMatchObject({ key: 'ui.density', version: 1 })
    expect(headers.etag).toBe('"1"')
  })

  test('goes back as it was read; another key or scope is refused, an old version is 412', async () => {
    await defined('back.key')
    const url = `${definitions}/back.key`
    const { body: read } = await roster.get(url, as)
    expect((await change('back.key', read)).body).toEqual(read)
    const changed = await change('back.key', { ...read, description: 'Better' })
    expect(changed.body).toMatchObject({ version: 2, description: 'Better' })
    expect(await change('back.key', { ...read, sort_order: 5 })).toMatchObject({
      status: 412,
      body: { code: 'precondition_failed', version: 2 },
    })
    for (const [field, value] of [
      ['key', 'back.other'],
      ['scope', 'preference'],
    ])
      expect(await change('back.key', { ...changed.body, [`${field}`]: value })).toMatchObject({
        status: 400,
        body: { errors: [{ path: `/${field}`, code: 'fixed' }] },
      })
  })

  test('is removed only in the version that If-Match names', async () => {
    await defined('match.key')
    const url = `${definitions}/match.key`
    const removeAt = (version: string) => roster.delete(url, { ...as, headers: { 'if-match': version } })
    expect(await removeAt('"7"')).toMatchObject({ status: 412, body: { version: 1 } })
    expect((await removeAt('"1"')).status).toBe(204)
  })
})

test('the API’s description names If-Match and ETag wherever there is a version', async () => {
  const { body: document } = await roster.get('/openapi.json')
  type Operation = {
    parameters?: { name: string; in: string }[]
    responses: Record<string, { headers?: Record<string, unknown> }>
  }
  const about = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { parameters = [], responses }]) => {
      const takes = parameters.some(one => one.in === 'header' && one.name === 'If-Match')
      const gives = Object.entries(responses).filter(([, { headers }]) => headers?.ETag)
      const said = [...(takes ? ['If-Match'] : []), ...gives.map(([status]) => `ETag in ${status}`)]
      return [`${method} ${path.replace('/api/v1', '')}`, said] as const
    }),
  )
  expect(Object.fromEntries(about.filter(([, said]) => said.length > 0))).toEqual({
    'post /settings/definitions': ['ETag in 201'],
    'get /settings/definitions/{key}': ['ETag in 200'],
    'put /settings/definitions/{key}': ['If-Match', 'ETag in 200'],
    'delete /settings/definitions/{key}': ['If-Match'],
    'get /users/me/preferences': ['ETag in 200'],
    'put /users/me/preferences': ['If-Match', 'ETag in 200'],
    'get /users/me/settings': ['ETag in 200'],
    'put /users/me/settings': ['If-Match', 'ETag in 200'],
    'get /users/{id}/preferences': ['ETag in 200'],
    'put /users/{id}/preferences': ['If-Match', 'ETag in 200'],
    'get /users/{id}/settings': ['ETag in 200'],
    'put /users/{id}/settings': ['If-Match', 'ETag in 200'],
  })
})
