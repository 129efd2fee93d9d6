import { describe, expect, test } from 'vitest'
import { minutes } from '../lib/clock.ts'
import { curl } from '../testing/curl.ts'
import { type SignedUp, startTestApp, useTestApp } from '../testing/harness.ts'
import { listen } from '../testing/http-server.ts'

const roster = await useTestApp()
const host = `localhost:${await listen(roster.app)}`
const admin = await roster.signUpAdmin()

/* The commands of the document; host, token and password are what a reader fills in. */
const run = (command: string, token = '') =>
  curl(command, {
    'localhost:8000': host,
    'your-jwt-token': token,
    '"securepassword"': '"SecurePass123"',
    '"newsecurepassword"': '"NewSecurePass456"',
  })

const registerCommand = `curl -X POST http://localhost:8000/auth/register -H "Content-Type: application/json" -d '{"username":"testuser","email":"testuser@example.com","first_name":"Test","last_name":"User","phone_number":"+1234567890","role":"admin","is_active":true,"password":"securepassword"}'`
const asAdministrator = registerCommand.replace('-d ', '-H "Authorization: Bearer your-jwt-token" -d ')
const getCommand = `curl -X GET http://localhost:8000/v1/api/users/ -H "Authorization: Bearer your-jwt-token"`
const patchCommand = `curl -X PATCH http://localhost:8000/v1/api/users/ -H "Content-Type: application/json" -H "Authorization: Bearer your-jwt-token" -d '{"first_name":"Updated","password":"newsecurepassword"}'`
const deleteCommand = `curl -X DELETE http://localhost:8000/v1/api/users/ -H "Authorization: Bearer your-jwt-token"`
const adminOnlyCommand = `curl -X GET http://localhost:8000/v1/api/users/admin-only -H "Authorization: Bearer your-jwt-token"`

const form = (fields: Record<string, string>) =>
  fetch(`http://${host}/auth/token`, { method: 'POST', body: new URLSearchParams(fields) })

describe('the documented commands', () => {
  const shown = {
    id: expect.any(String),
    username: 'testuser',
    email: 'testuser@example.com',
    first_name: 'Test',
    last_name: 'User',
    phone_number: '+1234567890',
    role: 'admin',
    is_active: true,
  }
  const token = async (password: string) => {
    const reply = await form({ username: 'testuser', password })
    const body = (await reply.json()) as { access_token: string } // checked by the next line
    expect([reply.status, body]).toEqual([
      200,
      {
        access_token: expect.any(String),
        token_type: 'bearer',
        expires_in: 1800,
        refresh_token: expect.any(String),
      },
    ])
    return body.access_token
  }

  test('register a user, an administrator only with an administrator’s token', async () => {
    const refused = await run(registerCommand)
    expect([refused.status, refused.body]).toEqual([
      403,
      { detail: 'role needs the permission users:create' },
    ])
    const { status, body } = await run(asAdministrator, admin.token)
    expect([status, body]).toEqual([
      201,
      { ...shown, created_at: '2026-01-31T10:00:00.000Z', updated_at: null, deleted_at: null },
    ])
    const again = await run(asAdministrator, admin.token)
    expect([again.status, again.body]).toEqual([409, { detail: expect.any(String) }])
  })

  test('read, change and delete the user, with a token for the password', async () => {
    const first = await token('SecurePass123')
    expect(await run(getCommand, first)).toMatchObject({ status: 200, body: shown })
    const changed = await run(patchCommand, first)
    expect([changed.status, changed.body]).toEqual([202, { ...shown, first_name: 'Updated' }])
    expect((await form({ username: 'testuser', password: 'SecurePass123' })).status).toBe(401)
    const second = await token('NewSecurePass456')
    const deleted = await run(deleteCommand, second)
    expect([deleted.status, deleted.text]).toEqual([204, ''])
    const gone = await run(getCommand, second)
    expect([gone.status, gone.body]).toEqual([404, { detail: 'User not found' }])
    expect((await form({ username: 'testuser', password: 'NewSecurePass456' })).status).toBe(401)
  })

  test('let an administrator into admin-only, and nobody else', async () => {
    const user = await roster.signUp()
    expect(await run(adminOnlyCommand, admin.token)).toMatchObject({
      status: 200,
      body: { message: 'Admin access granted' },
    })
    expect(await run(adminOnlyCommand, user.token)).toMatchObject({
      status: 403,
      body: { detail: 'Admin access required' },
    })
    expect((await run(adminOnlyCommand, 'nonsense')).status).toBe(401)
    await roster.post(`/api/v1/users/${user.id}/roles`, { role: 'admin' }, { token: admin.token })
    expect((await run(adminOnlyCommand, user.token)).status).toBe(200)
    await roster.delete(`/api/v1/users/${user.id}/roles/admin`, { token: admin.token })
    expect((await run(adminOnlyCommand, user.token)).status).toBe(403)
  })

  test('show the table in SQL, with zoned times in UTC and the two role names', async () => {
    const rows = await roster.sql('SELECT * FROM "user"')
    expect(rows.find(({ username }) => username === 'testuser')).toMatchObject({
      email: 'testuser@example.com',
      role: 'admin',
    })
    expect(Object.keys(rows[0] ?? {})).not.toContain('hashed_password')
    const columns = await roster.sql(
      `select column_name, data_type from information_schema.columns
       where table_name = 'user' and column_name in ('created_at', 'updated_at', 'deleted_at') order by 1`,
    )
    expect(columns).toEqual(
      ['created_at', 'deleted_at', 'updated_at'].map(column_name => ({
        column_name,
        data_type: 'timestamp with time zone',
      })),
    )
    const labels = await roster.sql(
      `SELECT enumlabel FROM pg_enum WHERE enumtypid = (SELECT oid FROM pg_type WHERE typname = 'roletype')`,
    )
    expect(labels.map(({ enumlabel }) => enumlabel)).toEqual(['admin', 'user'])
    const [{ at }] = await roster.sql(
      `select (created_at at time zone 'UTC')::text as at from "user" where username = 'testuser'`,
    )
    expect(at).toBe('2026-01-31 10:00:00')
  })

  test.each([
    ['GET', '/v1/api/users/019c1379-3f00-7000-8000-000000000000', 404, undefined],
    ['GET', '/v1/api/users/admin-only/more', 404, undefined],
    ['POST', '/v1/api/users/', 405, 'DELETE, GET, HEAD, PATCH'],
    ['PUT', '/v1/api/users', 405, 'DELETE, GET, HEAD, PATCH'],
    ['DELETE', '/v1/api/users/admin-only', 405, 'GET, HEAD'],
  ])('are all there is: %s %s answers in the same form', async (method, url, status, allow) => {
    const reply = await roster.request(method, url, { token: admin.token })
    expect([reply.status, reply.body, reply.headers.allow]).toEqual([
      status,
      { detail: expect.any(String) },
      allow,
    ])
    expect(reply.headers['content-type']).toMatch(/^application\/json/)
  })

  test('leave other paths to problem details', async () => {
    for (const url of ['/v1/api/usersx', '/v1/api'])
      expect((await roster.get(url)).body).toMatchObject({ code: 'not_found' })
  })
})

test('CORS lets in any origin in development, and the listed ones in production', async () => {
  const ask = (app: typeof roster, origin: string) => app.get('/v1/api/users/', { headers: { origin } })
  const open = await ask(roster, 'http://localhost:3000')
  expect(open.headers['access-control-allow-origin']).toMatch(/^(\*|http:\/\/localhost:3000)$/)
  const listed = await startTestApp({ config: { allowedOrigins: ['https://example.com'] } })
  for (const origin of ['http://localhost:3000', 'https://example.com', 'https://other.example'])
    expect((await ask(listed, origin)).headers['access-control-allow-origin']).toBe(origin)
  await listed.stop()
  const strict = await startTestApp({
    config: { environment: 'production', allowedOrigins: ['https://example.com'] },
  })
  expect((await ask(strict, 'https://example.com')).headers['access-control-allow-origin']).toBe(
    'https://example.com',
  )
  expect((await ask(strict, 'https://evil.example')).headers['access-control-allow-origin']).toBeUndefined()
  await strict.stop()
})

describe('a token', () => {
  test('comes for a form or for JSON, by username, address or number', async () => {
    const user = await roster.signUp({ username: 'by.any.name', phone_number: '+43660123456' })
    for (const username of ['by.any.name', user.email, '+43660123456']) {
      const body = { username, password: user.password }
      expect((await form({ grant_type: 'password', ...body })).status).toBe(200)
      expect((await roster.post('/auth/token', body)).status).toBe(200)
    }
  })

  test.each([
    [{ username: 'nobody', password: 'x' }, 401],
    [{ username: 'nobody' }, 400],
    [{ grant_type: 'implicit', username: 'nobody', password: 'x' }, 400],
    [{ username: ['a'], password: 'x' }, 400],
  ])('does not come for %j', async (body, status) => {
    const reply = await roster.post('/auth/token', body)
    expect([reply.status, reply.body]).toEqual([status, { detail: expect.any(String) }])
  })

  test('comes from a form, which neither the other sign-in nor the registration takes', async () => {
    const user = await roster.signUp()
    const body = new URLSearchParams({ email: user.email, password: user.password })
    const reply = await fetch(`http://${host}/api/v1/auth/login`, { method: 'POST', body })
    expect(reply.status).toBe(415)
    const twice = await fetch(`http://${host}/auth/register`, { method: 'POST', body })
    expect([twice.status, await twice.json()]).toEqual([415, { detail: expect.any(String) }])
  })
})

describe('PATCH', () => {
  const patch = (token: string, body: object) => roster.request('PATCH', '/v1/api/users/', { token, body })

  test.each(['email', 'phone_number'])('of %s names the route that verifies it', async field => {
    const user = await roster.signUp()
    const { status, body } = await patch(user.token, { [field]: 'x' })
    expect([status, body.detail]).toEqual([400, expect.stringContaining('/api/v1/auth/profile/')])
  })

  test.each(['role', 'is_active'])('of %s is refused by name', async field => {
    const user = await roster.signUp()
    const { status, body } = await patch(user.token, { [field]: 'admin', first_name: 'X' })
    expect([status, body]).toEqual([403, { detail: `${field} can’t be set by its owner` }])
    expect((await roster.get('/v1/api/users/', user)).body.first_name).toBeNull()
  })

  test('of a password that breaks rules names the field with each of them', async () => {
    const user = await roster.signUp()
    const { status, body } = await patch(user.token, { password: 'password1' })
    expect([status, body.detail]).toEqual([
      400,
      'password needs an upper-case letter; password is one of the most common passwords',
    ])
  })

  test('of the password needs a recent sign-in, and ends the other sessions', async () => {
    const user = await roster.signUp()
    const other = await roster.post('/auth/token', { username: user.email, password: user.password })
    expect((await patch(user.token, { password: 'NewSecurePass456' })).status).toBe(202)
    expect((await roster.get('/v1/api/users/', { token: other.body.access_token })).status).toBe(401)
    roster.clock.advance(minutes(10) + 1)
    const late = await patch(user.token, { password: 'OtherSecure789' })
    expect([late.status, late.body]).toEqual([403, { detail: expect.any(String) }])
    expect((await patch(user.token, { password: 'weak' })).status).toBe(403)
  })

  test('does all or nothing, with the 15 days and the password policy of every other route', async () => {
    const user = await roster.signUp()
    const weak = await patch(user.token, { first_name: 'Kept', username: 'new.name.one', password: 'weak' })
    expect(weak.status).toBe(400)
    expect((await roster.get('/v1/api/users/', user)).body).toMatchObject({ first_name: null })
    expect((await patch(user.token, { username: 'new.name.one' })).status).toBe(202)
    const early = await patch(user.token, { first_name: 'Kept', username: 'new.name.two' })
    expect([early.status, early.body.detail]).toEqual([400, expect.stringContaining('once every 15 days')])
    expect((await roster.get('/v1/api/users/', user)).body).toMatchObject({
      first_name: null,
      username: 'new.name.one',
    })
  })
})

describe('the token of somebody who is gone', () => {
  const routes = ['GET', 'PATCH', 'DELETE']
  const own = (method: string, token: string) =>
    roster.request(method, '/v1/api/users/', { token, ...(method === 'PATCH' && { body: {} }) })

  test('answers 404 where they deleted their account, or it was deleted, or erased', async () => {
    const root = await roster.signUpAdmin()
    const ends = [
      (user: SignedUp) => roster.delete('/v1/api/users/', user),
      (user: SignedUp) => roster.delete(`/api/v1/users/${user.id}`, root),
      (user: SignedUp) => roster.delete(`/api/v1/users/${user.id}?erase=true`, root),
    ]
    for (const end of ends) {
      const user = await roster.signUp()
      expect((await end(user)).status).toBe(204)
      for (const method of routes) {
        const { status, body } = await own(method, user.token)
        expect([status, body], method).toEqual([404, { detail: 'User not found' }])
      }
    }
  })

  test('stays 401 after a sign-out or a deactivation, for a forged one, and once it has expired', async () => {
    const root = await roster.signUpAdmin()
    const out = await roster.signUp()
    await roster.post('/api/v1/auth/logout', undefined, out)
    const inactive = await roster.signUp()
    await roster.post(`/api/v1/users/${inactive.id}/deactivate`, undefined, root)
    const gone = await roster.signUp()
    await roster.delete('/v1/api/users/', gone)
    const forged = `${gone.token.slice(0, -8)}AAAAAAAA`
    for (const token of [out.token, inactive.token, forged, 'nonsense']) {
      expect((await own('GET', token)).status).toBe(401)
    }
    roster.clock.advance(3_600_000)
    expect((await own('GET', gone.token)).status).toBe(401)
  })
})
