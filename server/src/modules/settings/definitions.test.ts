import { describe, expect, test } from 'vitest'
import { startTestApp, useTestApp } from '../../testing/harness.ts'
import { settingsJobs } from './dry-run.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()
const { token } = admin
const definitions = '/api/v1/settings/definitions'
const mine = '/api/v1/users/me/settings'

let counter = 0
/** Defines a key of its own for a test, as an integer from 0 to 100. */
async function defined(more: Record<string, unknown> = {}): Promise<string> {
  counter += 1
  const key = `test.key_${counter}`
  const { status, body } = await roster.post(
    definitions,
    {
      key,
      setting_type: 'integer',
      description: 'For a test',
      validation_rules: { min: 0, max: 100 },
      ...more,
    },
    { token },
  )
  if (status !== 201) throw new Error(JSON.stringify(body))
  return key
}

/** A user who holds a value. */
async function holding(key: string, value: unknown) {
  const user = await roster.signUp()
  const { status, body } = await roster.put(mine, { [key]: value }, { token: user.token })
  if (status !== 200) throw new Error(JSON.stringify(body))
  return user
}

const valueFor = async (user: { token: string }, key: string) =>
  (await roster.get(mine, { token: user.token })).body.values[key]

describe('defining', () => {
  test('the example of a theme in «ui_preferences» can be defined and used as it stands', async () => {
    const { status, body } = await roster.post(
      definitions,
      {
        key: 'theme',
        setting_type: 'string',
        category: 'ui_preferences',
        description: 'User interface theme preference',
        default_value: 'auto',
        validation_rules: { allowed_values: ['light', 'dark', 'auto'] },
        is_public: false,
      },
      { token },
    )
    expect(status).toBe(201)
    expect(body).toMatchObject({ key: 'theme', scope: 'setting', version: 1, is_public: false })
    const user = await holding('theme', 'dark')
    expect(await valueFor(user, 'theme')).toBe('dark')
    const refused = await roster.put(mine, { theme: 'pink' }, { token: user.token })
    expect(refused.body.errors).toMatchObject([{ path: '/theme', rule: 'allowed_values' }])
  })

  test('every user lists definitions, by scope and category, in the order of a form', async () => {
    const user = await roster.signUp()
    const { body } = await roster.get(`${definitions}?scope=preference&category=job`, { token: user.token })
    expect(body.items.map(({ key }: { key: string }) => key)).toEqual([
      'job.types',
      'job.titles',
      'job.locations',
      'job.remote',
      'job.salary_min',
      'job.salary_max',
      'job.salary_currency',
      'job.industries',
      'job.experience_level',
      'job.company_size',
      'job.available_from',
      'job.open_to_relocation',
    ])
    const all = await roster.get(definitions, { token: user.token })
    expect(all.body.items.length).toBeGreaterThan(body.items.length)
  })

  test('nobody without settings:manage defines, changes, removes or tries', async () => {
    const user = await roster.signUp()
    const as = { token: user.token }
    const body = { key: 'x.y', setting_type: 'string', description: 'x' }
    expect((await roster.post(definitions, body, as)).status).toBe(403)
    expect((await roster.put(`${definitions}/ui.theme`, { sort_order: 1 }, as)).status).toBe(403)
    expect((await roster.delete(`${definitions}/ui.theme`, as)).status).toBe(403)
    expect((await roster.post(`${definitions}/ui.theme/dry-run`, { sort_order: 1 }, as)).status).toBe(403)
    expect((await roster.get(`${definitions}/ui.theme/versions`, as)).status).toBe(403)
  })

  test('a key is defined once, also by 20 at once', async () => {
    const body = { key: 'race.key', setting_type: 'string', description: 'For a race' }
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => roster.post(definitions, body, { token })),
    )
    const statuses = replies.map(({ status }) => status)
    expect(statuses.filter(status => status === 201)).toHaveLength(1)
    expect(statuses.filter(status => status === 409)).toHaveLength(19)
  })

  test.each([
    [{ key: 'Bad Key' }, '/key'],
    [{ key: 'values' }, '/key'],
    [{ setting_type: 'colour' }, '/setting_type'],
    [{ setting_type: 'enum' }, '/validation_rules/allowed_values'],
    [{ validation_rules: { max_length: 3 } }, '/validation_rules/max_length'],
    [{ validation_rules: { min: 5, max: 4 } }, '/validation_rules/min'],
    [{ validation_rules: { min: 'five' } }, '/validation_rules/min'],
    [{ validation_rules: { allowed_values: [1, 1] } }, '/validation_rules/allowed_values/1'],
    [{ validation_rules: { allowed_values: ['1'] } }, '/validation_rules/allowed_values/0'],
    [{ default_value: 1.5 }, '/default_value'],
    [{ default_value: 7, validation_rules: { max: 6 } }, '/default_value'],
    [{ setting_type: 'string', validation_rules: { pattern: '(' } }, '/validation_rules/pattern'],
    [{ setting_type: 'string', validation_rules: { pattern: '(?=a)' } }, '/validation_rules/pattern'],
    [
      { setting_type: 'string', validation_rules: { pattern: '((a{100}){100}){100}' } },
      '/validation_rules/pattern',
    ],
    [{ setting_type: 'string', validation_rules: { max_length: 1001 } }, '/validation_rules/max_length'],
    [{ setting_type: 'object', validation_rules: { schema: { $ref: '#' } } }, '/validation_rules/schema'],
    [{ setting_type: 'object', validation_rules: { schema: { properties: 3 } } }, '/validation_rules/schema'],
    [{ setting_type: 'date', validation_rules: { min: '2026-02-30' } }, '/validation_rules/min'],
    [{ cross_rules: [{ op: 'lte', key: 'no.such' }] }, '/cross_rules/0/key'],
    [{ cross_rules: [{ op: 'lte', key: 'ui.theme' }] }, '/cross_rules/0/key'],
    [{ cross_rules: [{ op: 'lte', key: 'job.salary_min' }] }, '/cross_rules/0/key'],
    [{ setting_type: 'string', validation_rules: { min_length: 5000 } }, '/validation_rules/min_length'],
    [{ setting_type: 'email', validation_rules: { min_length: 255 } }, '/validation_rules/min_length'],
    [
      { setting_type: 'multi_enum', validation_rules: { allowed_values: ['a', 'b'], min_items: 3 } },
      '/validation_rules/min_items',
    ],
    [
      {
        setting_type: 'list',
        validation_rules: { allowed_values: [1, 2], min_items: 3, unique_items: true },
      },
      '/validation_rules/min_items',
    ],
    [{ validation_rules: { allowed_values: [1, 10], max: 5 } }, '/validation_rules/allowed_values/1'],
    [
      { setting_type: 'string', validation_rules: { allowed_values: ['a'], pattern: '^b$' } },
      '/validation_rules/allowed_values/0',
    ],
    [
      {
        setting_type: 'list',
        validation_rules: { allowed_values: [1, 2], schema: { items: { type: 'string' } } },
      },
      '/validation_rules/allowed_values/0',
    ],
    [{ setting_type: 'list', validation_rules: { schema: { minItems: -1 } } }, '/validation_rules/schema'],
    [
      {
        setting_type: 'object',
        validation_rules: { schema: { properties: { a: { minLength: 3, maxLength: 2 } } } },
      },
      '/validation_rules/schema',
    ],
    [
      { setting_type: 'object', validation_rules: { schema: { type: 'array' } } },
      '/validation_rules/schema/type',
    ],
    [
      { setting_type: 'text', validation_rules: { pattern: '[ab]*a[ab]{990}[cd]' } },
      '/validation_rules/pattern',
    ],
    [{ default_value: 10, cross_rules: [{ op: 'lte', key: 'ui.font_scale' }] }, '/default_value'],
    [{ default_value: 1, cross_rules: [{ op: 'requires', key: 'ui.accent_color' }] }, '/default_value'],
  ])('%j makes no sense, and the field at fault is named', async (fault, path) => {
    const body = { key: 'nonsense.key', setting_type: 'integer', description: 'x', ...fault }
    const reply = await roster.post(definitions, body, { token })
    expect(reply.status).toBe(400)
    expect(reply.body.errors.map((error: { path: string }) => error.path)).toContain(path)
  })

  test('a pattern that is too large for long texts is taken for shorter ones', async () => {
    const pattern = '[ab]*a[ab]{200}[cd]'
    const body = { key: 'short.text', setting_type: 'text', description: 'x' }
    const refused = await roster.post(definitions, { ...body, validation_rules: { pattern } }, { token })
    const most = Number(/max_length of at most (\d+)/.exec(refused.body.errors[0].message)?.[1])
    const taken = { ...body, validation_rules: { pattern, max_length: most } }
    expect((await roster.post(definitions, taken, { token })).status).toBe(201)
  })

  test('a definition has a history with who made each version, an audit row and an event', async () => {
    const key = await defined()
    const changed = await roster.put(`${definitions}/${key}`, { description: 'Better' }, { token })
    expect(changed.body).toMatchObject({
      version: 2,
      description: 'Better',
      validation_rules: { min: 0, max: 100 },
    })
    const { body } = await roster.get(`${definitions}/${key}/versions`, { token })
    expect(body.items).toMatchObject([
      { version: 2, changed_by: admin.id, definition: { description: 'Better' } },
      { version: 1, changed_by: admin.id, definition: { description: 'For a test' } },
    ])
    const audit = await roster.sql('select action from audit_log where subject_id = $1 order by id', [key])
    expect(audit).toEqual([
      { action: 'setting_definition.created' },
      { action: 'setting_definition.updated' },
    ])
    const events = await roster.sql(
      `select data from events where type = 'settings.definition_updated' and data ->> 'key' = $1 order by id`,
      [key],
    )
    expect(events.map(({ data }) => [data.change, data.version])).toEqual([
      ['created', 1],
      ['updated', 2],
    ])
  })

  test('If-Match keeps two administrators from overwriting each other', async () => {
    const key = await defined()
    const put = (sort_order: number) =>
      roster.put(`${definitions}/${key}`, { sort_order }, { token, headers: { 'if-match': '"1"' } })
    const replies = await Promise.all([put(1), put(2)])
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 412])
  })
})

describe('a change that stored values do not fit', () => {
  test('is refused with their number and samples, and changes nothing', async () => {
    const key = await defined()
    const [user] = [await holding(key, 90), await holding(key, 10)]
    const { status, body } = await roster.put(
      `${definitions}/${key}`,
      { validation_rules: { max: 50 } },
      { token },
    )
    expect(status).toBe(409)
    expect(body).toMatchObject({
      code: 'stored_values_invalid',
      invalid: 1,
      samples: [{ user_id: user.id, value: 90, message: 'Must be at most 50.' }],
    })
    expect(await valueFor(user, key)).toBe(90)
    expect((await roster.put(mine, { [key]: 95 }, { token: user.token })).status).toBe(200)
  })

  test('on_invalid: reset returns them to the default, with an event for each', async () => {
    const key = await defined({ default_value: 7 })
    const [high, low] = [await holding(key, 90), await holding(key, 10)]
    const change = { validation_rules: { max: 50 }, on_invalid: 'reset' }
    expect((await roster.put(`${definitions}/${key}`, change, { token })).status).toBe(200)
    expect(await valueFor(high, key)).toBe(7)
    expect(await valueFor(low, key)).toBe(10)
    const events = await roster.sql(
      `select data -> 'keys' as keys from events where user_id = $1 and type = 'user.settings_updated'`,
      [high.id],
    )
    expect(events).toHaveLength(2)
    expect((await roster.get(mine, { token: high.token })).body.version).toBe(2)
  })

  test('on_invalid: keep leaves them as they are until their user changes them', async () => {
    const key = await defined()
    const user = await holding(key, 90)
    const change = { validation_rules: { max: 50 }, on_invalid: 'keep' }
    expect((await roster.put(`${definitions}/${key}`, change, { token })).status).toBe(200)
    expect(await valueFor(user, key)).toBe(90)
    expect((await roster.put(mine, { 'ui.theme': 'dark' }, { token: user.token })).status).toBe(200)
    expect((await roster.put(mine, { [key]: 91 }, { token: user.token })).status).toBe(422)
  })

  test('a changed type is a change of every value', async () => {
    const key = await defined()
    await holding(key, 5)
    const change = { setting_type: 'string', validation_rules: {} }
    expect((await roster.put(`${definitions}/${key}`, change, { token })).body.invalid).toBe(1)
  })

  test('a new rule between keys looks at both', async () => {
    const key = await defined()
    const limit = await defined()
    const user = await roster.signUp()
    await roster.put(mine, { [key]: 60, [limit]: 40 }, { token: user.token })
    const change = { cross_rules: [{ op: 'lte', key: limit }] }
    const { body } = await roster.put(`${definitions}/${key}`, change, { token })
    expect(body.samples).toEqual([
      { user_id: user.id, value: 60, message: `${key}: Must not be more than ${limit} (40).` },
    ])
  })

  test('no value gets in behind the scan: what is written meanwhile fits, or the change is refused', async () => {
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    for (let round = 0; round < 10; round += 1) {
      const key = await defined()
      const users = await Promise.all([roster.signUp(), roster.signUp(), roster.signUp()])
      const [changed, ...writes] = await Promise.all([
        roster.put(`${definitions}/${key}`, { validation_rules: { max: 50 } }, { token }),
        ...users.map((user, n) => (n % 2 ? second : roster).put(mine, { [key]: 90 }, { token: user.token })),
      ])
      const stored = await roster.sql('select from user_settings where value_by_key ? $1', [key])
      expect(changed.status === 200 ? stored.length : 0).toBe(0)
      expect(writes.filter(({ status }) => status === 200).length).toBe(stored.length)
      expect(writes.every(({ status }) => status === 200 || status === 422)).toBe(true)
    }
    await second.stop()
  })

  test('a change whose process died holds nobody up for more than a minute', async () => {
    const key = await defined()
    await roster.sql(`update setting_definitions set pending = $2, pending_until = $3 where key = $1`, [
      key,
      { token: 'gone', candidate: null },
      new Date(roster.clock.now().getTime() + 60_000),
    ])
    await roster.sql('update setting_registry set version = version + 1')
    const change = () => roster.put(`${definitions}/${key}`, { validation_rules: { max: 50 } }, { token })
    expect((await change()).body.code).toBe('definition_change_running')
    roster.clock.advance(61_000)
    expect((await change()).status).toBe(200)
  })
})

describe('removing', () => {
  test('is refused while users have values, and then does away with them or keeps them out of sight', async () => {
    const key = await defined()
    const user = await holding(key, 5)
    expect((await roster.delete(`${definitions}/${key}`, { token })).body).toMatchObject({
      code: 'stored_values_invalid',
      invalid: 1,
    })
    expect((await roster.delete(`${definitions}/${key}?on_invalid=keep`, { token })).status).toBe(204)
    expect(await valueFor(user, key)).toBeUndefined()
    expect((await roster.put(mine, { [key]: 6 }, { token: user.token })).body.errors).toMatchObject([
      { code: 'unknown_key' },
    ])
    const again = { key, setting_type: 'integer', description: 'Back' }
    expect((await roster.post(definitions, again, { token })).body.version).toBe(2)
    expect(await valueFor(user, key)).toBe(5)
    expect((await roster.delete(`${definitions}/${key}?on_invalid=reset`, { token })).status).toBe(204)
    expect(await roster.sql('select from user_settings where value_by_key ? $1', [key])).toHaveLength(0)
  })

  test('a key that a rule mentions, or that the service obeys, stays', async () => {
    expect((await roster.delete(`${definitions}/job.salary_max`, { token })).body).toMatchObject({
      code: 'setting_in_use',
      detail: 'A rule of job.salary_min mentions this key.',
    })
    expect((await roster.delete(`${definitions}/privacy.searchable`, { token })).status).toBe(409)
    const change = { default_value: false }
    expect((await roster.put(`${definitions}/privacy.searchable`, change, { token })).status).toBe(400)
  })

  test('what is not there is 404', async () => {
    expect((await roster.put(`${definitions}/no.such`, { sort_order: 1 }, { token })).status).toBe(404)
    expect((await roster.delete(`${definitions}/no.such`, { token })).status).toBe(404)
    expect((await roster.post(`${definitions}/no.such/dry-run`, { sort_order: 1 }, { token })).status).toBe(
      404,
    )
    expect((await roster.get(`${definitions}/no.such/versions`, { token })).status).toBe(404)
  })
})

describe('a dry-run', () => {
  test('tells how many values would break, with samples, and changes nothing', async () => {
    const key = await defined()
    const users = []
    for (const value of [10, 60, 70, 70]) users.push(await holding(key, value))
    const change = { validation_rules: { max: 50 } }
    const { status, body } = await roster.post(`${definitions}/${key}/dry-run`, change, { token })
    expect(status).toBe(200)
    expect(body).toMatchObject({ key, status: 'done', invalid: 3 })
    expect(body.checked).toBe(body.total)
    expect(body.samples.map(({ user_id }: { user_id: string }) => user_id).sort()).toEqual(
      users
        .slice(1)
        .map(({ id }) => id)
        .sort(),
    )
    expect(body.samples[0].message).toBe('Must be at most 50.')
    const after = await roster.get(`${definitions}/${key}/versions`, { token })
    expect(after.body.items).toHaveLength(1)
    const followed = await roster.get(`${definitions}/${key}/dry-run/${body.id}`, { token })
    expect(followed.body).toEqual(body)
    expect((await roster.get(`${definitions}/ui.theme/dry-run/${body.id}`, { token })).status).toBe(404)
  })

  test('over many users goes on in the background, and shows how far it is', async () => {
    const key = await defined()
    await roster.sql(
      `with made as (
         insert into users (id, username, username_key, email, email_key, created_at)
         select gen_random_uuid(), 'many' || n, 'many' || n, 'many' || n || '@x.at', 'many' || n || '@x.at', now()
         from generate_series(1, 20100) n returning id)
       insert into user_settings (user_id, scope, value_by_key, version, updated_at)
       select id, 'setting', jsonb_build_object($1::text, 80), 1, now() from made`,
      [key],
    )
    const change = { validation_rules: { max: 50 } }
    const { status, body, headers } = await roster.post(`${definitions}/${key}/dry-run`, change, { token })
    expect(status).toBe(202)
    expect(body).toMatchObject({ status: 'running', checked: 0, invalid: 0 })
    const jobs = settingsJobs({ ...roster.services, definitions: roster.services.settings.definitions })
    const running = jobs[0]?.run({ id: body.id })
    const follow = async () => (await roster.get(String(headers.location), { token })).body
    let seen = await follow()
    const progress = new Set<number>()
    while (seen.status === 'running') {
      progress.add(seen.checked)
      await new Promise(resolve => setTimeout(resolve, 5))
      seen = await follow()
    }
    await running
    expect(seen).toMatchObject({ status: 'done', invalid: 20_100 })
    expect(seen.checked).toBe(seen.total)
    expect(seen.samples).toHaveLength(10)
    expect(progress.size).toBeGreaterThan(1)
  })

  test('that died with its process is seen to have failed', async () => {
    const key = await defined()
    const { body } = await roster.post(`${definitions}/${key}/dry-run`, { sort_order: 9 }, { token })
    await roster.sql(`update setting_dry_runs set status = 'running' where id = $1`, [body.id])
    roster.clock.advance(61_000)
    const url = `${definitions}/${key}/dry-run/${body.id}`
    expect((await roster.get(url, { token })).body.status).toBe('failed')
  })
})
