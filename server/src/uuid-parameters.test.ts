import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { type SignedUp, useTestApp } from './testing/harness.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()
const { body: document } = await roster.get('/openapi.json')

type Parameter = { name: string; in: string; schema: { format?: string } }
type Item = Record<string, { parameters?: Parameter[] }>

/** Every route with an id in its path or query string. */
const routes = Object.entries<Item>(document.paths).flatMap(([path, item]) =>
  Object.entries(item).flatMap(([method, { parameters = [] }]) => {
    const ids = parameters.filter(({ schema }) => schema.format === 'uuid')
    if (ids.length === 0) return []
    return [{ method: method.toUpperCase(), path, query: ids.find(one => one.in === 'query')?.name }]
  }),
)

/** What changes something, so that a copy kept under another spelling would show. */
const bodies: Readonly<Record<string, object>> = {
  'PUT /api/v1/users/{id}': { full_name: 'New Name' },
  'PATCH /api/v1/users/{id}': { full_name: 'New Name' },
  'PUT /api/v1/users/{id}/roles': { roles: ['support'] },
  'POST /api/v1/users/{id}/roles': { role: 'support' },
  'PUT /api/v1/users/{id}/subscription': { tier: 'premium' },
  'PUT /api/v1/users/{id}/preferences': { 'job.open_to_relocation': true },
  'PUT /api/v1/users/{id}/settings': { 'notifications.email': false },
}

type Spelling = (id: string) => string
const lower: Spelling = id => id
const upper: Spelling = id => id.toUpperCase()
const urn: Spelling = id => `urn:uuid:${id}`

function send(route: (typeof routes)[number], user: SignedUp, spell: Spelling) {
  const { method, path, query } = route
  const words: Record<string, string> = { role: 'auditor', key: 'no.such' }
  const url = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    if (name === 'id' && path.includes('/users/{id}')) return spell(user.id)
    return words[name] ?? spell(name === 'session_id' ? user.session : randomUUID())
  })
  const more = query === undefined ? '' : `?${query}=${spell(user.id)}`
  return roster.request(method, url + more, { token: admin.token, body: bodies[`${method} ${path}`] })
}

test.each(routes.map(route => [`${route.method} ${route.path}`, route] as const))(
  '%s takes an id in upper case as it takes one in lower case',
  async (_name, route) => {
    const users = [await roster.signUp(), await roster.signUp()] as const
    for (const { id } of users) {
      await roster.post(`/api/v1/users/${id}/roles`, { role: 'auditor' }, admin)
      await roster.get(`/api/v1/users/${id}`, admin)
    }
    const one = await send(route, users[0], lower)
    const two = await send(route, users[1], upper)
    expect([two.status, two.body?.code]).toEqual([one.status, one.body?.code])
    if (route.method === 'GET' && one.status === 200) {
      expect((await send(route, users[0], upper)).text).toBe((await send(route, users[0], lower)).text)
    }
    if (route.path.includes('/users/{id}')) {
      expect(one.status).toBeLessThan(300)
      const { body } = await roster.get(`/api/v1/users/${users[1].id}`, admin)
      expect(body).toEqual(await roster.services.users.read(users[1].id))
      if (two.body?.id === users[1].id) expect(two.body).toEqual(body)
    }
    expect((await send(route, users[0], urn)).body).toMatchObject({ code: 'validation_failed' })
  },
)

test.each(['', '/profile', '/preferences'])(
  'one’s own /users/{id}%s is one’s own in upper case too',
  async path => {
    const user = await roster.signUp()
    expect((await roster.get(`/api/v1/users/${upper(user.id)}${path}`, user)).status).toBe(200)
  },
)

test('what was done through them is written in lower case, in the audit log and in the events', async () => {
  const subjects = await roster.sql(
    `select subject_id from audit_log where subject_type = 'user' and subject_id <> lower(subject_id)`,
  )
  const events = await roster.sql(`select data from events where data ->> 'userId' <> user_id::text`)
  expect({ subjects, events }).toEqual({ subjects: [], events: [] })
})
