import { describe, expect, test } from 'vitest'
import { minutes } from '../../lib/clock.ts'
import { type SignedUp, type TestApp, useTestApp } from '../../testing/harness.ts'
import { beginSignIn, enrolTotp, recoveryCodes } from '../../testing/second-factors.ts'
import {
  registerPasskey,
  type SoftwareAuthenticator,
  signInWithPasskey,
} from '../../testing/software-authenticator.ts'

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

const verify = (roster: TestApp, mfa_token: string, proof: object) =>
  roster.post('/api/v1/auth/mfa/verify', { mfa_token, ...proof })

async function stepUpWithKey(roster: TestApp, key: SoftwareAuthenticator, token: string) {
  const challenge = await roster.post('/api/v1/auth/step-up/challenge', { method: 'passkey' }, { token })
  const credential = key.sign(challenge.body.options, false)
  return roster.post('/api/v1/auth/step-up', { method: 'passkey', credential }, { token })
}

async function owner(roster: TestApp): Promise<SignedUp & { key: SoftwareAuthenticator }> {
  const user = await roster.signUp()
  return { ...user, key: await registerPasskey(roster, user) }
}

describe('a passkey that does not verify its person', async () => {
  const roster = await useTestApp()

  test('is one factor: the password is the second one, and nothing is out of reach then', async () => {
    const { key, password } = await owner(roster)
    const { body } = await signInWithPasskey(roster, key, false)
    expect(body).toMatchObject({ mfa_required: true, methods: ['password'] })
    expect(body).not.toHaveProperty('access_token')
    const { mfa_token } = body
    const challenge = await roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method: 'password' })
    expect(challenge).toMatchObject({ status: 200, body: { method: 'password' } })
    const done = await verify(roster, mfa_token, { method: 'password', password })
    expect(claimsOf(done.body.access_token)).toMatchObject({ amr: ['pop', 'pwd', 'mfa'], aal: 'aal2' })
    expect((await verify(roster, mfa_token, { method: 'password', password })).status).toBe(401)
    await enrolTotp(roster, { token: done.body.access_token })
  })

  test('leaves the choice between the password and whatever else is enrolled', async () => {
    const { key, ...user } = await owner(roster)
    const app = await enrolTotp(roster, user)
    await recoveryCodes(roster, user)
    const { body } = await signInWithPasskey(roster, key, false)
    expect([...body.methods].sort()).toEqual(['password', 'recovery_code', 'totp'])
    const code = app.code(roster.clock.now())
    const done = await verify(roster, body.mfa_token, { method: 'totp', code })
    expect(claimsOf(done.body.access_token)).toMatchObject({ amr: ['pop', 'otp', 'mfa'] })
  })

  test('has five wrong passwords judged, apart from those that strangers give', async () => {
    const { key, email, password } = await owner(roster)
    for (let n = 0; n < 6; n++) await roster.post('/api/v1/auth/login', { email, password: 'WrongPass123' })
    const { body } = await signInWithPasskey(roster, key, false)
    const wrong = await Promise.all(
      Array.from({ length: 20 }, () =>
        verify(roster, body.mfa_token, { method: 'password', password: 'WrongPass123' }),
      ),
    )
    expect(wrong.filter(({ status }) => status === 401)).toHaveLength(5)
    expect(wrong.filter(({ status }) => status === 429)).toHaveLength(15)
    roster.clock.advance(minutes(2))
    const { mfa_token } = (await signInWithPasskey(roster, key, false)).body
    expect((await verify(roster, mfa_token, { method: 'password', password })).status).toBe(200)
  })

  test('asks for no password that a new one has replaced', async () => {
    const { key, ...user } = await owner(roster)
    const { body } = await signInWithPasskey(roster, key, false)
    const change = { current_password: user.password, new_password: 'AnotherPass123' }
    expect((await roster.post('/api/v1/auth/change-password', change, { token: user.token })).status).toBe(
      204,
    )
    const reply = await verify(roster, body.mfa_token, { method: 'password', password: 'AnotherPass123' })
    expect([reply.status, reply.body.code]).toEqual([401, 'invalid_mfa_token'])
  })

  test('adds to a session what that has not: a session of the key alone rises with the password, not with the key', async () => {
    const { key, ...user } = await owner(roster)
    // A session of one factor, as those were that began with such a key before the password was asked for.
    await roster.sql(
      `update sessions set assurance_level = 'aal1', authentication_methods = '{pop}', second_factor_at = null
       where id = $1`,
      [user.session],
    )
    await roster.services.store.transact(trx =>
      roster.services.store.announce(trx, { kind: 'session', id: user.session }),
    )
    const again = await stepUpWithKey(roster, key, user.token)
    expect(claimsOf(again.body.access_token)).toMatchObject({ amr: ['pop'], aal: 'aal1' })
    const setUp = (token: string) => roster.post('/api/v1/auth/mfa/totp/setup', undefined, { token })
    expect((await setUp(again.body.access_token)).body.code).toBe('step_up_required')
    const token = again.body.access_token
    const raised = await roster.post('/api/v1/auth/step-up', { password: user.password }, { token })
    expect(claimsOf(raised.body.access_token)).toMatchObject({ amr: ['pwd', 'mfa'], aal: 'aal2' })
    expect((await setUp(raised.body.access_token)).status).toBe(200)
    roster.clock.advance(minutes(11))
    const late = await roster.post(
      '/api/v1/auth/step-up',
      { password: user.password },
      { token: raised.body.access_token },
    )
    expect((await setUp(late.body.access_token)).body.code).toBe('step_up_required')
    const fresh = await stepUpWithKey(roster, key, late.body.access_token)
    expect((await setUp(fresh.body.access_token)).status).toBe(200)
  })
})

test('the owner of a password can’t be kept from it by whoever has it too', async () => {
  const roster = await useTestApp()
  const user = await roster.signUp()
  await enrolTotp(roster, user)
  const mfa_token = await beginSignIn(roster, user)
  for (let n = 0; n < 6; n++) {
    const reply = await verify(roster, mfa_token, { method: 'password', password: user.password })
    expect([reply.status, reply.body.code]).toEqual([401, 'invalid_mfa_code'])
  }
  const change = { current_password: user.password, new_password: 'AnotherPass123' }
  expect((await roster.post('/api/v1/auth/change-password', change, { token: user.token })).status).toBe(204)
})

test('a role that demands two factors is content with such a passkey and the password', async () => {
  const roster = await useTestApp({ config: { environment: 'production' } })
  const admin = await roster.signUpAdmin()
  const key = await registerPasskey(roster, admin)
  const { body } = await signInWithPasskey(roster, key, false)
  const done = await verify(roster, body.mfa_token, { method: 'password', password: admin.password })
  const { access_token: token } = done.body
  expect((await roster.get('/api/v1/auth/me', { token })).status).toBe(200)
  await enrolTotp(roster, { token })
})
