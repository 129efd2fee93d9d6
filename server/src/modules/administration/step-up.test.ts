import { describe, expect, test } from 'vitest'
import { minutes } from '../../lib/clock.ts'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { enrolTotp } from '../../testing/second-factors.ts'

const roster = await useTestApp()
const root = await roster.signUpAdmin()
const authenticator = await enrolTotp(roster, root)
let counter = 0
const unique = () => {
  counter += 1
  return counter
}

/** A session of the administrator's with a password of this moment, and a second factor of 11 minutes ago. */
async function sessions(): Promise<{ half: string; full: string }> {
  const { email, password } = root
  const { body: begun } = await roster.post('/api/v1/auth/login', { email, password })
  const code = authenticator.code(roster.clock.now())
  const { mfa_token } = begun
  const { body } = await roster.post('/api/v1/auth/mfa/verify', { mfa_token, method: 'totp', code })
  roster.clock.advance(minutes(11))
  const { body: half } = await roster.post('/api/v1/auth/step-up', { password }, { token: body.access_token })
  const again = await roster.post('/api/v1/auth/login', { email, password })
  const proof = { method: 'totp', code: authenticator.code(roster.clock.now()) }
  const full = await roster.post('/api/v1/auth/mfa/verify', { mfa_token: again.body.mfa_token, ...proof })
  roster.clock.advance(30_000)
  return { half: half.access_token, full: full.body.access_token }
}

type Call = [method: string, url: string, body?: object]

const hash = '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW'
const newEmail = () => `new${unique()}@example.com`
const registration = (more: object) => ({ email: newEmail(), password: 'SecurePass123', ...more })
const template = (more: object) => ({
  username: `template${unique()}`,
  first_name: 'Ada',
  last_name: 'Lovelace',
  ...registration(more),
})

/** Calls by which rights are given, or another’s way in is changed; made anew for each session that tries. */
const guarded: Record<string, (user: SignedUp) => Call> = {
  'a user with a role': () => ['POST', '/api/v1/users', { email: newEmail(), role: 'admin' }],
  'a user with roles': () => ['POST', '/api/v1/users', { email: newEmail(), roles: ['support'] }],
  'a user with a password hash': () => ['POST', '/api/v1/users', { email: newEmail(), password_hash: hash }],
  'a user with a proved address': () => [
    'POST',
    '/api/v1/users',
    { email: newEmail(), email_verified: true },
  ],
  'a registration with a role': () => ['POST', '/api/v1/auth/register', registration({ role: 'admin' })],
  'a registration with roles': () => ['POST', '/api/v1/auth/register', registration({ roles: ['support'] })],
  'a registration with a proved address': () => [
    'POST',
    '/api/v1/auth/register',
    registration({ email_verified: true }),
  ],
  'a registration in the dialect': () => ['POST', '/auth/register', template({ role: 'admin' })],
  'another’s address': ({ id }) => ['PUT', `/api/v1/users/${id}`, { email: newEmail() }],
  'another’s address as proved': ({ id }) => ['PATCH', `/api/v1/users/${id}`, { email_verified: true }],
  'another’s address, proved at once': ({ id }) => [
    'PUT',
    `/api/v1/users/${id}`,
    { email: newEmail(), email_verified: true },
  ],
  'another’s username': ({ id }) => ['PATCH', `/api/v1/users/${id}`, { username: `name${unique()}` }],
  'another’s phone number': ({ id }) => [
    'PUT',
    `/api/v1/users/${id}`,
    { phone_number: `+4367712345${100 + unique()}` },
  ],
}

/** Whether it is refused for want of the second factor; in the dialect too, whose errors have no code. */
const isAsked = (text: string) => text.includes('needs a second factor from the last 10 minutes')

describe('an administrator whose second factor was proved 11 minutes ago', async () => {
  test.each(Object.keys(guarded))('is asked for it before they set %s', async name => {
    const { half, full } = await sessions()
    const user = await roster.signUp()
    const call = async (token: string) => {
      const [method, url, body] = guarded[name]?.(user) ?? ['', '']
      return roster.request(method, url, { token, body })
    }
    const refused = await call(half)
    expect(refused.status).toBe(403)
    expect(isAsked(refused.text)).toBe(true)
    const { status } = await call(full)
    expect([200, 201]).toContain(status)
  })

  test('is not asked for what changes nobody’s way in', async () => {
    const { half } = await sessions()
    const user = await roster.signUp()
    for (const [method, url, body] of [
      ['POST', '/api/v1/users', { email: newEmail(), role: 'user', roles: [] }],
      ['POST', '/api/v1/users', { email: newEmail(), full_name: 'Ada' }],
      ['POST', '/api/v1/auth/register', registration({ role: 'user' })],
      ['PUT', `/api/v1/users/${user.id}`, { current_title: 'Engineer' }],
      ['PATCH', `/api/v1/users/${user.id}`, { email: user.email, full_name: 'Ada' }],
      ['PUT', `/api/v1/users/${user.id}/preferences`, { 'appearance.theme': null }],
    ] as Call[]) {
      const { status, text } = await roster.request(method, url, { token: half, body })
      expect([200, 201, 422], text).toContain(status)
    }
  })

  test('leaves nothing behind, and a row in the audit log', async () => {
    const { half } = await sessions()
    const email = newEmail()
    await roster.post('/api/v1/users', { email, role: 'admin', password_hash: hash }, { token: half })
    expect(await roster.sql('select id from users where email = $1', [email])).toEqual([])
    const denied = () =>
      roster.sql(
        `select details->>'reason' as reason from audit_log where action = 'access.denied' and actor_id = $1
         and details->>'route' like '%/users'`,
        [root.id],
      )
    await expect.poll(denied).toContainEqual({ reason: 'step_up_required' })
  })
})

describe('whoever has fewer permissions than a person', async () => {
  const everything = [
    'users:update',
    'users:delete',
    'roles:assign',
    'settings:manage',
    'subscriptions:manage',
  ]

  test('changes nothing of theirs, by any route', async () => {
    const { full } = await sessions()
    const asRoot = { token: full }
    const name = `helper${unique()}`
    const role = { name, description: 'x', permissions: everything }
    expect((await roster.post('/api/v1/rbac/roles', role, asRoot)).status).toBe(201)
    const harmless = { name: `${name}-none`, description: 'x', permissions: [] }
    await roster.post('/api/v1/rbac/roles', harmless, asRoot)
    const helper = await roster.signUp()
    await roster.post(`/api/v1/users/${helper.id}/roles`, { role: name }, asRoot)
    const auditor = await roster.signUp()
    await roster.put(`/api/v1/users/${auditor.id}/roles`, { roles: ['auditor', harmless.name] }, asRoot)
    const before = await roster.get(`/api/v1/users/${auditor.id}`, asRoot)
    const of = `/api/v1/users/${auditor.id}`
    const calls: Call[] = [
      ['PUT', of, { current_title: 'x' }],
      ['PATCH', of, { email: newEmail() }],
      ['DELETE', of],
      ['POST', `${of}/deactivate`],
      ['POST', `${of}/restore`],
      ['POST', `${of}/unlock`],
      ['POST', `${of}/mfa-reset`],
      ['POST', `${of}/password-reset`],
      ['POST', `${of}/logout`],
      ['DELETE', `${of}/sessions/${auditor.session}`],
      ['PUT', `${of}/subscription`, { tier: 'premium' }],
      ['PUT', `${of}/settings`, { 'privacy.profile_visibility': null }],
      ['PUT', `${of}/preferences`, { 'appearance.theme': null }],
      ['POST', `${of}/roles`, { role: name }],
      ['POST', `${of}/roles`, { role: `${name}-none` }],
      ['PUT', `${of}/roles`, { roles: ['auditor'] }],
      ['DELETE', `${of}/roles/${harmless.name}`],
    ]
    for (const [method, url, body] of calls) {
      const { status, body: reply } = await roster.request(method, url, { token: helper.token, body })
      expect([status, reply?.code], `${method} ${url}`).toEqual([403, 'forbidden'])
    }
    const after = await roster.get(`/api/v1/users/${auditor.id}`, asRoot)
    expect(after.body).toEqual(before.body)
    expect((await roster.get('/api/v1/users/me', auditor)).status).toBe(200)
  })
})
