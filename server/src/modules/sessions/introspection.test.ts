import { describe, expect, test } from 'vitest'
import { minutes } from '../../lib/clock.ts'
import { useTestApp } from '../../testing/harness.ts'

const url = '/api/v1/auth/introspect'

describe('introspection of a token', async () => {
  const roster = await useTestApp({ config: { environment: 'production' } })
  const root = await roster.signUpAdmin()
  const service = await roster.signUp()
  await roster.sql(
    `insert into roles (name, description, permissions, is_system, requires_mfa, created_at)
     values ('gateway', '', '{tokens:introspect}', false, false, now())`,
  )
  await roster.sql(`insert into user_roles (user_id, role_name, granted_at) values ($1, 'gateway', now())`, [
    service.id,
  ])
  const asService = { token: (await roster.signIn(service)).token }
  const ask = async (token: string) => (await roster.post(url, { token }, asService)).body

  test('tells who holds it, and what they may, as form and as JSON', async () => {
    const at = Math.floor(roster.clock.now().getTime() / 1000)
    const described = {
      active: true,
      scope: 'tokens:introspect',
      token_type: 'Bearer',
      sub: service.id,
      sid: expect.any(String),
      roles: ['gateway', 'user'],
      iss: 'http://localhost:8000',
      aud: 'http://localhost:8000',
      jti: expect.any(String),
      exp: expect.any(Number),
      iat: expect.any(Number),
      auth_time: at,
      amr: ['pwd'],
      aal: 'aal1',
    }
    expect(await ask(asService.token)).toEqual(described)
    const form = await roster.app.inject({
      method: 'POST',
      url,
      headers: {
        authorization: `Bearer ${asService.token}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      payload: `token=${asService.token}&token_type_hint=access_token`,
    })
    expect([form.statusCode, form.json()]).toEqual([200, described])
  })

  test('says no more than that it is not active, whatever is wrong with it', async () => {
    const user = await roster.signUp()
    const { body } = await roster.post('/api/v1/auth/login', { email: user.email, password: user.password })
    expect(await ask(body.access_token)).toMatchObject({ active: true, scope: '', roles: ['user'] })
    const [head, claims] = body.access_token.split('.')
    for (const token of ['', 'x', body.refresh_token, `${head}.${claims}.${'A'.repeat(86)}`, root.token]) {
      // An administrator who has no second factor yet can do nothing but enrol one.
      expect(await ask(token), token).toEqual({ active: false })
    }
    await roster.post('/api/v1/auth/logout', undefined, { token: body.access_token })
    expect(await ask(body.access_token)).toEqual({ active: false })
  })

  test('ends with its time, its user’s deactivation and their roles', async () => {
    const user = await roster.signUp()
    await roster.sql(
      `insert into user_roles (user_id, role_name, granted_at) values ($1, 'gateway', now())`,
      [user.id],
    )
    const { token } = await roster.signIn(user)
    expect((await ask(token)).scope).toBe('tokens:introspect')
    roster.clock.advance(minutes(31))
    const again = (await roster.signIn(service)).token
    expect((await roster.post(url, { token }, { token: again })).body).toEqual({ active: false })
  })

  test('is for holders of the permission, and takes one token', async () => {
    const { token } = await roster.signUp()
    expect((await roster.post(url, { token }, { token })).status).toBe(403)
    expect((await roster.post(url, { token })).status).toBe(401)
    const fresh = { token: (await roster.signIn(service)).token }
    expect((await roster.post(url, {}, fresh)).body.errors).toMatchObject([{ path: '/token' }])
    expect((await roster.post(url, { token, more: 1 }, fresh)).body.errors).toMatchObject([{ path: '/more' }])
  })
})
