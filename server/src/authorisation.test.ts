import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { stepUpSentence } from './http/step-up.ts'
import { hours } from './lib/clock.ts'
import { allPermissions, expandPermissions, permissions } from './modules/access/index.ts'
import { authorisationMatrix } from './testing/authorisation-matrix.ts'
import { type SignedUp, useTestApp } from './testing/harness.ts'
import { enrolTotp } from './testing/second-factors.ts'

const roster = await useTestApp()
const { body: document } = await roster.get('/openapi.json')

/** Who may call a route, and what proof it asks of them. */
function rulesOf(route: string): { entry: string; proof: string | undefined } {
  const [entry = '', proof] = (authorisationMatrix[route] ?? '').split(' + ')
  return { entry, proof }
}

type Operation = { security?: Record<string, unknown>[]; description?: string }
const operations = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
)

test('every documented route has an entry in the matrix, and every entry a route', () => {
  expect(operations.map(([route]) => route).sort()).toEqual(Object.keys(authorisationMatrix).sort())
})

const withoutToken = ['optional', 'session']

test('what the documentation says of each route is what the matrix says', () => {
  for (const [route, { security = [], description = '' }] of operations) {
    const [, permission] = /Needs the permission `(.*?)`/.exec(description) ?? []
    const { entry, proof } = rulesOf(route)
    const isOptional = security.some(one => Object.keys(one).length === 0)
    const expected = Object.hasOwn(permissions, entry)
      ? { permission: entry, security: 1 }
      : { permission: undefined, security: entry === 'public' ? 0 : withoutToken.includes(entry) ? 2 : 1 }
    expect({ permission, security: security.length }, route).toEqual(expected)
    expect(isOptional, route).toBe(withoutToken.includes(entry))
    const asked = Object.entries(stepUpSentence).filter(([, sentence]) => description.endsWith(sentence))
    expect(
      asked.map(([name]) => name),
      route,
    ).toEqual(proof === undefined ? [] : [proof])
  }
})

test('the endpoints of the user management API are all there', () => {
  const endpoints = `
    GET    /api/v1/users/               # List users (admin)
    GET    /api/v1/users/{id}           # Get user profile
    PUT    /api/v1/users/{id}           # Update user profile
    DELETE /api/v1/users/{id}           # Deactivate user
    GET    /api/v1/users/me             # Current user profile
    PUT    /api/v1/users/me             # Update current user
    GET    /api/v1/users/me/preferences # Get user preferences
    PUT    /api/v1/users/me/preferences # Update preferences
    GET    /api/v1/users/me/settings    # Get user settings
    PUT    /api/v1/users/me/settings    # Update settings`
  const routes = operations.map(([route]) => route)
  for (const line of endpoints.trim().split('\n')) {
    const [method = '', path = ''] = line.trim().split(/\s+/)
    expect(routes).toContain(`${method} ${path.replace(/\/$/, '')}`)
  }
})

const root = await roster.signUpAdmin()
const asRoot = { token: root.token }

type Actor = SignedUp & { name: string; may: ReadonlySet<string>; isPremium: boolean }

async function actor(name: string, role?: string, held: readonly string[] = []): Promise<Actor> {
  const user = await roster.signUp()
  if (role !== undefined) await roster.post(`/api/v1/users/${user.id}/roles`, { role }, asRoot)
  return { ...user, name, may: expandPermissions(held), isPremium: false }
}

async function holding(role: string, held: readonly string[]): Promise<Actor> {
  await roster.post('/api/v1/rbac/roles', { name: role, description: 'x', permissions: held }, asRoot)
  return actor(`with ${role}`, role, held)
}

const roleName = (prefix: string, permission: string) => `${prefix}-${permission.replace(':', '-')}`
const everyday: Actor[] = [
  await actor('a user'),
  await actor('support', 'support', ['users:read', 'users:update']),
  await actor('an auditor', 'auditor', ['users:read', 'audit:read']),
  { ...root, name: 'an administrator', may: new Set(allPermissions), isPremium: false },
]
const premium: Actor = { ...(await actor('a premium user')), isPremium: true }
await roster.put(`/api/v1/users/${premium.id}/subscription`, { tier: 'premium' }, asRoot)
const actors = [...everyday, premium]
for (const permission of allPermissions) {
  actors.push(await holding(roleName('only', permission), [permission]))
  actors.push(
    await holding(
      roleName('all-but', permission),
      allPermissions.filter(one => one !== permission),
    ),
  )
}

/** The path with a place of its own for each parameter; `{id}` of a user where the route is about one. */
function pathOf(route: string, userId: string): string {
  const [, template = ''] = route.split(' ')
  const values: Record<string, string> = {
    role: 'auditor',
    name: 'matrix-none',
    key: 'matrix.none',
    method: 'totp',
  }
  return template.replace(/\{(\w+)\}/g, (_, name: string) => {
    if (name === 'id' && template.includes('/users/{id}')) return userId
    return values[name] ?? randomUUID()
  })
}

const refusals = new Set(['unauthorized', 'invalid_token', 'forbidden', 'premium_required'])

/** Whether somebody was kept out: by the code of the error, or in the dialects, which have none, by its status. */
async function isRefused(route: string, userId: string, token?: string): Promise<boolean> {
  const [method = ''] = route.split(' ')
  const { status, body } = await roster.request(
    method,
    pathOf(route, userId),
    token === undefined ? {} : { token },
  )
  if (status < 400) return false
  return body?.code === undefined ? [401, 403].includes(status) : refusals.has(body.code)
}

const isReading = (route: string) => route.startsWith('GET ')

function isAllowed(entry: string, { may, isPremium, id }: Actor, userId: string): boolean {
  if (entry === 'premium') return isPremium || may.has('users:read') || id === userId
  if (entry === 'admin') return id === root.id
  return ['self', 'session'].includes(entry) || may.has(entry)
}

describe('role × route × own or other’s object', () => {
  const entries = Object.keys(authorisationMatrix).map(route => [route, rulesOf(route).entry] as const)
  const isOpen = (entry: string) => ['public', 'optional'].includes(entry)
  const guarded = entries.filter(([, entry]) => !isOpen(entry))

  test.each(entries.filter(([, entry]) => isOpen(entry)))('%s lets in anyone (%s)', async route => {
    const { status, body } = await roster.request(route.split(' ')[0] ?? '', pathOf(route, randomUUID()))
    expect([status, body?.code]).not.toEqual([401, 'unauthorized'])
    expect(body?.code).not.toBe('forbidden')
  })

  test.each(guarded)('%s lets in %s, and nobody else', async (route, entry) => {
    const other = await roster.signUp()
    expect(await isRefused(route, other.id), 'nobody signed in').toBe(true)
    expect(await isRefused(route, other.id, 'nonsense'), 'a token that is none').toBe(true)
    const relevant = actors.filter(
      ({ name }) =>
        !name.startsWith('with ') || name.endsWith(entry.replace(':', '-')) || name.includes('users-read'),
    )
    for (const one of ['self', 'session'].includes(entry) && !isReading(route) ? [other] : relevant) {
      const who =
        'name' in one ? (one as Actor) : { ...one, name: 'a user', may: new Set<string>(), isPremium: false }
      for (const subject of [who, other]) {
        const allowed = isAllowed(entry, who, route.includes('{id}') ? subject.id : '')
        // What it would do to whoever asks, others' tests look at.
        if (allowed && subject === who && !isReading(route) && entry !== 'self') continue
        const whose = subject === who ? 'their own' : 'another’s'
        expect(await isRefused(route, subject.id, who.token), `${who.name}, ${whose}`).toBe(!allowed)
        if (entry === 'self') break
      }
    }
  })

  test('a session of somebody else is not found, and lives on', async () => {
    const [one, two] = [await roster.signUp(), await roster.signUp()]
    expect((await roster.delete(`/api/v1/auth/sessions/${two.session}`, one)).status).toBe(404)
    expect((await roster.get('/api/v1/users/me', two)).status).toBe(200)
  })
})

test('a recent proof is asked for by the routes that say so, and by no other', async () => {
  await enrolTotp(roster, root)
  const other = await roster.signUp()
  roster.clock.advance(hours(1))
  const routes = Object.keys(authorisationMatrix).filter(route => !/public$/.test(rulesOf(route).entry))
  async function asks(route: string, token: string): Promise<boolean> {
    const { text } = await roster.request(route.split(' ')[0] ?? '', pathOf(route, other.id), { token })
    return /Recent authentication required|second factor from the last/.test(text)
  }
  const stale = (await roster.post('/api/v1/auth/refresh', { refresh_token: root.refresh })).body.access_token
  for (const route of routes.filter(one => rulesOf(one).proof === 'recent')) {
    expect(await asks(route, stale), route).toBe(true)
  }
  // The password was proved just now, the second factor an hour ago.
  const { password } = root
  const half = (await roster.post('/api/v1/auth/step-up', { password }, { token: stale })).body.access_token
  for (const route of routes.filter(one => rulesOf(one).proof !== 'recent' && !/\/auth\/logout/.test(one))) {
    expect(await asks(route, half), route).toBe(rulesOf(route).proof === 'highest')
  }
})
