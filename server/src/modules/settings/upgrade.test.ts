import { describe, expect, test } from 'vitest'
import { useTestApp } from '../../testing/harness.ts'
import { loadShipped, shippedDefinitions } from './shipped.ts'

const roster = await useTestApp()
const { token } = await roster.signUpAdmin()
const definitions = '/api/v1/settings/definitions'
const mine = '/api/v1/users/me/settings'
const deps = { ...roster.services, definitions: roster.services.settings.definitions }

type Shipped = ReturnType<typeof shippedDefinitions>[number]
/** The next version of the service, with some of what it ships changed or added. */
const nextVersion = (...changes: (Partial<Shipped> & { key: string })[]): Shipped[] => {
  const list = new Map(shippedDefinitions().map(definition => [definition.key, definition]))
  for (const change of changes) {
    const before = list.get(change.key) ?? { ...shippedDefinitions()[0] }
    list.set(change.key, { ...before, ...change } as Shipped) // a definition with some fields replaced
  }
  return [...list.values()]
}

const definition = async (key: string) => {
  const { body } = await roster.get(definitions, { token })
  return body.items.find((item: { key: string }) => item.key === key)
}

describe('a new version of the service', () => {
  test('brings new keys and new rules, and leaves an administrator’s changes alone', async () => {
    await roster.put(
      `${definitions}/ui.density`,
      { default_value: 'compact', description: 'Ours' },
      { token },
    )
    const shipped = nextVersion(
      {
        key: 'ui.density',
        description: 'Theirs',
        sort_order: 99,
        validation_rules: { allowed_values: ['comfortable', 'compact', 'tiny'] },
      },
      { key: 'ui.sound', description: 'Sounds', default_value: 'auto' },
    )
    await loadShipped(deps, shipped)
    expect(await definition('ui.density')).toMatchObject({
      default_value: 'compact',
      description: 'Ours',
      sort_order: 99,
      validation_rules: { allowed_values: ['comfortable', 'compact', 'tiny'] },
      version: 3,
    })
    expect(await definition('ui.sound')).toMatchObject({ version: 1, description: 'Sounds' })
  })

  test('does not bring back what an administrator removed, nor take what they defined themselves', async () => {
    await roster.delete(`${definitions}/ui.date_format`, { token })
    const own = { key: 'ui.palette', setting_type: 'text', description: 'Ours' }
    await roster.post(definitions, own, { token })
    await loadShipped(
      deps,
      nextVersion({ key: 'ui.date_format', sort_order: 1 }, { key: 'ui.palette', sort_order: 7 }),
    )
    expect(await definition('ui.date_format')).toBeUndefined()
    expect(await definition('ui.palette')).toMatchObject({
      description: 'Ours',
      setting_type: 'text',
      version: 1,
    })
  })

  test('leaves stored values readable that its rules no longer take, and other keys writable', async () => {
    const user = await roster.signUp()
    await roster.put(mine, { 'ui.theme': 'auto', 'ui.font_scale': 2 }, { token: user.token })
    await loadShipped(deps, nextVersion({ key: 'ui.font_scale', validation_rules: { min: 1, max: 1.5 } }))
    const { body } = await roster.get(mine, { token: user.token })
    expect(body.values).toMatchObject({ 'ui.theme': 'auto', 'ui.font_scale': 2 })
    expect((await roster.put(mine, { 'ui.theme': 'dark' }, { token: user.token })).status).toBe(200)
    expect((await roster.put(mine, { 'ui.font_scale': 1.8 }, { token: user.token })).status).toBe(422)
  })

  test('loads once: a start with the same definitions writes nothing', async () => {
    await loadShipped(deps)
    const before = await roster.sql('select version from setting_registry')
    await loadShipped(deps)
    expect(await roster.sql('select version from setting_registry')).toEqual(before)
  })

  test('two processes that start at once load it once', async () => {
    const shipped = nextVersion({ key: 'ui.race', description: 'Race' })
    await Promise.all(Array.from({ length: 5 }, () => loadShipped(deps, shipped)))
    const versions = await roster.sql(`select version from setting_definition_versions where key = 'ui.race'`)
    expect(versions).toEqual([{ version: 1 }])
  })
})

describe('rows of other versions', () => {
  test('values without a definition are passed over, survive a change, and are part of the user’s own file', async () => {
    const user = await roster.signUp()
    await roster.sql(
      `insert into user_settings (user_id, scope, value_by_key, version, updated_at)
       values ($1, 'setting', $2, 4, now())`,
      [user.id, { 'ui.theme': 'dark', 'legacy.flag': [1, { a: null }] }],
    )
    const { body } = await roster.get(mine, { token: user.token })
    expect(body).toMatchObject({ version: 4, values: { 'ui.theme': 'dark' } })
    expect(body.values).not.toHaveProperty(['legacy.flag'])
    await roster.put(mine, { 'ui.theme': 'light' }, { token: user.token })
    const [row] = await roster.sql('select value_by_key from user_settings where user_id = $1', [user.id])
    expect(row.value_by_key).toEqual({ 'ui.theme': 'light', 'legacy.flag': [1, { a: null }] })
    const file = await roster.get('/api/v1/users/me/export', { token: user.token })
    expect(file.body.settings.values).toHaveProperty(['legacy.flag'])
  })

  test('a definition of a type that this version does not know is read, and refused on writing', async () => {
    await roster.sql(
      `insert into setting_definitions (key, scope, category, setting_type, description, default_value,
         validation_rules, cross_rules, is_public, is_readonly, sort_order, deprecated, version, created_at)
       values ('future.key', 'setting', 'future', 'hologram', 'x', '"h"', '{"depth": 3}', '[]', false, false, 0, false, 1, now())`,
    )
    await roster.sql('update setting_registry set version = version + 1')
    await roster.put(`${definitions}/ui.sound`, { sort_order: 12 }, { token }) // news of a change
    const user = await roster.signUp()
    expect((await roster.get(mine, { token: user.token })).body.values['future.key']).toBe('h')
    const { status, body } = await roster.put(mine, { 'future.key': 'x' }, { token: user.token })
    expect(status).toBe(422)
    expect(body.errors).toMatchObject([{ path: '/future.key', code: 'unsupported' }])
  })
})
