import { expect, test } from 'vitest'
import { days, minutes } from '../../lib/clock.ts'
import { type TestApp, useTestApp } from '../../testing/harness.ts'

const daySeconds = 86_400
const roster = await useTestApp({ config: { sessionMaxDays: 10, refreshTokenDays: 7 } })
const short = await useTestApp({ config: { sessionMaxDays: 1, refreshTokenDays: 7 } })

const refresh = (app: TestApp, refresh_token: string) => app.post('/api/v1/auth/refresh', { refresh_token })

test('a session ends that long after its sign-in, however much it is used', async () => {
  const user = await roster.signUp()
  roster.clock.advance(days(6))
  const first = await refresh(roster, user.refresh)
  expect(first).toMatchObject({ status: 200, body: { refresh_expires_in: 4 * daySeconds, expires_in: 1800 } })
  roster.clock.advance(days(4) - minutes(10))
  const last = await refresh(roster, first.body.refresh_token)
  expect(last).toMatchObject({ status: 200, body: { refresh_expires_in: 600, expires_in: 600 } })
  const token: string = last.body.access_token
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  expect(claims.exp - claims.iat).toBe(600)
  expect((await roster.get('/api/v1/users/me', { token })).status).toBe(200)
  roster.clock.advance(minutes(10))
  expect((await roster.get('/api/v1/users/me', { token })).status).toBe(401)
  const over = await refresh(roster, last.body.refresh_token)
  expect(over).toMatchObject({ status: 401, body: { code: 'invalid_refresh_token' } })
  expect((await roster.get('/api/v1/users/me', await roster.signIn(user))).status).toBe(200)
})

test('one that begins with less ends with less', async () => {
  const user = await short.signUp()
  const first = await refresh(short, user.refresh)
  expect(first.body.refresh_expires_in).toBe(daySeconds)
  short.clock.advance(days(1))
  expect((await refresh(short, first.body.refresh_token)).status).toBe(401)
})

test('a step-up is a new beginning', async () => {
  const { refresh: token, password } = await roster.signUp()
  roster.clock.advance(days(6))
  const { body } = await refresh(roster, token)
  const stepped = await roster.post('/api/v1/auth/step-up', { password }, { token: body.access_token })
  expect(stepped.body.refresh_expires_in).toBe(7 * daySeconds)
})

test('a shorter limit holds for sessions that began before it', async () => {
  const user = await roster.signUp()
  await roster.sql(`update sessions set created_at = created_at - interval '20 days' where id = $1`, [
    user.session,
  ])
  expect((await refresh(roster, user.refresh)).status).toBe(401)
  expect((await roster.get('/api/v1/auth/sessions', user)).body?.items ?? []).toEqual([])
})
