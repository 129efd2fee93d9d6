import { describe, expect, test } from 'vitest'
import { minutes, seconds } from '../../lib/clock.ts'
import { type SignedUp, startTestApp, type TestApp, useTestApp } from '../../testing/harness.ts'
import { lastSent, sentTo, tokenOf } from '../../testing/outbox.ts'
import { type Authenticator, beginSignIn, enrolTotp, recoveryCodes } from '../../testing/second-factors.ts'

const verify = (app: TestApp, mfa_token: string, method: string, code: string) =>
  app.post('/api/v1/auth/mfa/verify', { mfa_token, method, code })

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

async function person(roster: TestApp): Promise<SignedUp & { app: Authenticator }> {
  const user = await roster.signUp()
  return { ...user, app: await enrolTotp(roster, user) }
}

describe('an authenticator app', async () => {
  const roster = await useTestApp()

  test('is set up with a secret, an address and a picture of it, and counts once its code is confirmed', async () => {
    const { token, email, password, id } = await roster.signUp()
    const { body, headers } = await roster.post('/api/v1/auth/mfa/totp/setup', undefined, { token })
    expect(body).toEqual({
      secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
      otpauth_url: expect.stringContaining(`secret=${body.secret}`),
      qr_svg: expect.stringMatching(/^<svg/),
    })
    expect(headers['cache-control']).toContain('no-store')
    expect((await roster.post('/api/v1/auth/login', { email, password })).body).toHaveProperty('access_token')
    const [row] = await roster.sql('select secret_sealed from second_factors where user_id = $1', [id])
    expect(row.secret_sealed.toString('latin1')).not.toContain(body.secret)
  })

  test('is asked for at the next sign-in, which then has two factors', async () => {
    const { app, email, password, id } = await person(roster)
    const first = await roster.post('/api/v1/auth/login', { email, password })
    expect(first).toMatchObject({ status: 200, body: { mfa_required: true, methods: ['totp'] } })
    expect(Object.keys(first.body).sort()).toEqual(['methods', 'mfa_required', 'mfa_token'])
    expect(
      await roster.sql('select 1 from sessions where user_id = $1 and revoked_at is null', [id]),
    ).toHaveLength(1)
    const { status, body } = await verify(roster, first.body.mfa_token, 'totp', app.code(roster.clock.now()))
    expect(status).toBe(200)
    expect(body.user).toMatchObject({
      id,
      mfa_enabled: true,
      last_login_at: roster.clock.now().toISOString(),
    })
    expect(claimsOf(body.access_token)).toMatchObject({ amr: ['pwd', 'otp', 'mfa'], aal: 'aal2' })
  })

  test('leaves an audit row, an event and a mail, and ends the other sessions', async () => {
    const { id, email, password } = await roster.signUp()
    const other = await roster.signIn({ id, email, password })
    const { token } = await roster.signIn({ id, email, password })
    await enrolTotp(roster, { token })
    expect((await roster.get('/api/v1/auth/me', { token })).body.mfa_enabled).toBe(true)
    expect((await roster.get('/api/v1/auth/me', { token: other.token })).status).toBe(401)
    expect(await lastSent(roster, email, 'mfa_changed')).toMatchObject({ what: 'totp_added' })
    const events = await roster.sql(
      `select data from events where user_id = $1 and type = 'user.mfa_enabled'`,
      [id],
    )
    expect(events).toEqual([{ data: { userId: id, method: 'totp', enabledAt: expect.any(String) } }])
    const { body } = await roster.get('/api/v1/users/me/activity', { token })
    const methods = (action: string) =>
      body.items
        .filter((item: { action: string }) => item.action === action)
        .map((item: { method: string }) => item.method)
    expect(methods('mfa.enrolled')).toEqual(['totp'])
    expect(methods('login')).toEqual(['password', 'password', 'password'])
    expect(methods('user.registered')).toEqual([null])
  })

  test('accepts a code once, also from 20 requests at the same moment in two processes', async () => {
    const user = await person(roster)
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    const tokens = await Promise.all(Array.from({ length: 5 }, () => beginSignIn(roster, user)))
    const code = user.app.code(roster.clock.now())
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        verify(n % 2 ? roster : second, tokens[n % 5] ?? '', 'totp', code),
      ),
    )
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    await second.stop()
  })

  test('accepts no code again after a restart, nor one of an earlier step', async () => {
    const user = await person(roster)
    const code = user.app.code(roster.clock.now())
    const earlier = user.app.code(new Date(roster.clock.now().getTime() - seconds(30)))
    expect((await verify(roster, await beginSignIn(roster, user), 'totp', code)).status).toBe(200)
    const restarted = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    const token = await beginSignIn(restarted, user)
    for (const used of [code, earlier])
      expect(await verify(restarted, token, 'totp', used)).toMatchObject({
        status: 401,
        body: { code: 'invalid_mfa_code' },
      })
    roster.clock.advance(seconds(30))
    expect((await verify(restarted, token, 'totp', user.app.code(roster.clock.now()))).status).toBe(200)
    await restarted.stop()
  })

  test('takes five wrong codes, however many sign-ins are begun, then makes wait', async () => {
    const user = await person(roster)
    for (let n = 0; n < 5; n++)
      expect((await verify(roster, await beginSignIn(roster, user), 'totp', '000000')).status).toBe(401)
    const code = user.app.code(roster.clock.now())
    const token = await beginSignIn(roster, user)
    expect((await verify(roster, token, 'totp', code)).body).toMatchObject({ code: 'too_many_attempts' })
    roster.clock.advance(seconds(30))
    expect((await verify(roster, token, 'totp', user.app.code(roster.clock.now()))).status).toBe(200)
  })

  test('of 50 wrong codes at once no more than five are judged', async () => {
    const user = await person(roster)
    const token = await beginSignIn(roster, user)
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, n) => verify(roster, token, 'totp', String(n).padStart(6, '0'))),
    )
    expect(replies.filter(({ status }) => status === 401)).toHaveLength(5)
    expect(replies.filter(({ status }) => status === 429)).toHaveLength(45)
  })

  test('can’t be enrolled twice, and its setup can’t be taken over by another session’s code', async () => {
    const user = await person(roster)
    const again = await roster.post('/api/v1/auth/mfa/totp/setup', undefined, { token: user.token })
    expect([again.status, again.body.code]).toEqual([409, 'mfa_already_enrolled'])
    const confirm = await roster.post(
      '/api/v1/auth/mfa/totp/confirm',
      { code: '123456' },
      { token: user.token },
    )
    expect([confirm.status, confirm.body.code]).toEqual([409, 'mfa_not_begun'])
    const { token } = await roster.signUp()
    await roster.post('/api/v1/auth/mfa/totp/setup', undefined, { token })
    const foreign = user.app.code(roster.clock.now())
    const reply = await roster.post('/api/v1/auth/mfa/totp/confirm', { code: foreign }, { token })
    expect([reply.status, reply.body.code]).toEqual([400, 'invalid_code'])
  })
})

describe('an mfa_token', async () => {
  const roster = await useTestApp()
  const admin = await roster.signUpAdmin()

  test('works once, for ten minutes, and is no other token', async () => {
    const user = await person(roster)
    const spent = await beginSignIn(roster, user)
    expect((await verify(roster, spent, 'totp', user.app.code(roster.clock.now()))).status).toBe(200)
    roster.clock.advance(seconds(30))
    const late = await beginSignIn(roster, user)
    for (const token of [spent, user.token, user.refresh, 'mfa_', `${late}x`]) {
      const reply = await verify(roster, token.slice(0, 128), 'totp', user.app.code(roster.clock.now()))
      expect([reply.status, reply.body.code]).toEqual([401, 'invalid_mfa_token'])
    }
    expect((await roster.get('/api/v1/auth/me', { token: late })).status).toBe(401)
    expect((await roster.post('/api/v1/auth/refresh', { refresh_token: late })).status).toBe(401)
    expect((await roster.get('/api/v1/auth/mfa', { token: late })).status).toBe(401)
    roster.clock.advance(minutes(10))
    expect((await verify(roster, late, 'totp', user.app.code(roster.clock.now()))).body.code).toBe(
      'invalid_mfa_token',
    )
  })

  test('is kept as a hash', async () => {
    const user = await person(roster)
    const token = await beginSignIn(roster, user)
    const rows = await roster.sql('select * from sign_ins')
    expect(JSON.stringify(rows)).not.toContain(token)
  })

  const ends: Record<string, (user: SignedUp) => Promise<unknown>> = {
    'a new password': user =>
      roster.post(
        '/api/v1/auth/change-password',
        { current_password: user.password, new_password: 'AnotherPass123' },
        { token: user.token },
      ),
    deactivation: async user => {
      await roster.post(`/api/v1/users/${user.id}/deactivate`, undefined, await roster.signIn(admin))
    },
    'a deactivation and a restore': async user => {
      const fresh = await roster.signIn(admin)
      await roster.post(`/api/v1/users/${user.id}/deactivate`, undefined, fresh)
      await roster.post(`/api/v1/users/${user.id}/restore`, undefined, fresh)
    },
    'a deletion and a restore': async user => {
      const fresh = await roster.signIn(admin)
      await roster.delete(`/api/v1/users/${user.id}`, fresh)
      await roster.post(`/api/v1/users/${user.id}/restore`, undefined, fresh)
    },
    'a deletion of one’s own and a restore': async user => {
      await roster.delete('/api/v1/users/me', { token: user.token })
      const { restore_link } = await lastSent(roster, user.email, 'account_deleted')
      const { status } = await roster.post('/api/v1/auth/restore-account', { token: tokenOf(restore_link) })
      expect(status).toBe(204)
    },
    'a new e-mail address': async ({ email, token }) => {
      const new_email = `new.${email}`
      await roster.post('/api/v1/auth/profile/email/initiate', { new_email }, { token })
      const { code: otp } = await lastSent(roster, new_email, 'email_change_code')
      await roster.post('/api/v1/auth/profile/email/complete', { new_email, otp }, { token })
    },
    'a new phone number': async ({ token }) => {
      const phone_number = '+4312345678'
      await roster.post('/api/v1/auth/profile/phone/initiate', { phone_number }, { token })
      const { code: otp } = await lastSent(roster, phone_number, 'phone_code')
      await roster.post('/api/v1/auth/profile/phone/complete', { phone_number, otp }, { token })
    },
    'another factor': async user => {
      await roster.post('/api/v1/auth/mfa/email/setup', undefined, { token: user.token })
      const { code } = await lastSent(roster, user.email, 'mfa_code')
      await roster.post('/api/v1/auth/mfa/email/confirm', { code }, { token: user.token })
    },
  }

  test.each(Object.keys(ends))('is worth nothing after %s', async end => {
    const user = await person(roster)
    const token = await beginSignIn(roster, user)
    await ends[end]?.(user)
    const reply = await verify(roster, token, 'totp', user.app.code(roster.clock.now()))
    expect(reply.status).toBe(401)
    expect(reply.body).not.toHaveProperty('access_token')
    const [{ left }] = await roster.sql('select count(*)::int as left from sign_ins where user_id = $1', [
      user.id,
    ])
    expect(left).toBe(0)
  })
})

describe('codes by SMS and mail', async () => {
  const roster = await useTestApp()
  const number = '+4312345678'

  test('are enrolled with a first code, sent at a sign-in, and work once', async () => {
    const user = await roster.signUp()
    const { token } = user
    const setup = await roster.post(
      '/api/v1/auth/mfa/sms/setup',
      { phone_number: '+43 1234 5678' },
      { token },
    )
    expect(setup).toMatchObject({ status: 200, body: { sent_to: number } })
    const first = await lastSent(roster, number, 'mfa_code')
    const confirmed = await roster.post('/api/v1/auth/mfa/sms/confirm', { code: first.code }, { token })
    expect(confirmed.body.methods).toMatchObject([{ method: 'sms', target: '+43••••••78' }])

    const mfa_token = await beginSignIn(roster, user)
    await roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method: 'sms' })
    const { code } = await lastSent(roster, number, 'mfa_code')
    expect((await verify(roster, mfa_token, 'email', code ?? '')).status).toBe(401)
    expect((await verify(roster, mfa_token, 'sms', code ?? '')).status).toBe(200)
    expect((await verify(roster, await beginSignIn(roster, user), 'sms', code ?? '')).status).toBe(401)
  })

  test('by mail go to the present address', async () => {
    const user = await roster.signUp()
    const { token, email } = user
    await roster.post('/api/v1/auth/mfa/email/setup', undefined, { token })
    const { code } = await lastSent(roster, email, 'mfa_code')
    expect((await roster.post('/api/v1/auth/mfa/email/confirm', { code }, { token })).status).toBe(200)
    const mfa_token = await beginSignIn(roster, user)
    const challenge = await roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method: 'email' })
    expect([challenge.status, challenge.body]).toEqual([200, { method: 'email' }])
    const next = await lastSent(roster, email, 'mfa_code')
    expect((await verify(roster, mfa_token, 'email', next.code ?? '')).body.user.email).toBe(email)
  })

  test('are not sent for a method that is not enrolled, nor without an mfa_token', async () => {
    const user = await person(roster)
    const mfa_token = await beginSignIn(roster, user)
    const reply = await roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method: 'email' })
    expect([reply.status, reply.body.code]).toEqual([409, 'mfa_not_enrolled'])
    const given = await roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method: 'password' })
    expect([given.status, given.body.code]).toEqual([409, 'mfa_not_enrolled'])
    const without = await roster.post('/api/v1/auth/mfa/challenge', { mfa_token: 'mfa_x', method: 'email' })
    expect([without.status, without.body.code]).toEqual([401, 'invalid_mfa_token'])
    expect((await sentTo(roster, user.email)).some(({ template }) => template === 'mfa_code')).toBe(false)
  })
})

describe('recovery codes', async () => {
  const roster = await useTestApp()

  test('are ten of 80 bits, kept as hashes, and work once each, whatever they are typed like', async () => {
    const user = await person(roster)
    const codes = await recoveryCodes(roster, user)
    expect(new Set(codes).size).toBe(10)
    for (const code of codes) expect(code).toMatch(/^([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}$/)
    const typed = ` ${codes[0]?.toUpperCase().replaceAll('-', ' ').replaceAll('0', 'O').replaceAll('1', 'l')}`
    expect((await verify(roster, await beginSignIn(roster, user), 'recovery_code', typed)).status).toBe(200)
    expect(
      (await verify(roster, await beginSignIn(roster, user), 'recovery_code', codes[0] ?? '')).status,
    ).toBe(401)
    expect(await lastSent(roster, user.email, 'mfa_changed')).toMatchObject({ what: 'recovery_code_used' })
    const stored = JSON.stringify(
      await roster.sql('select encode(code_hash, $1) from recovery_codes', ['escape']),
    )
    for (const code of codes) expect(stored).not.toContain(code)
  })

  test('20 requests with one get in once', async () => {
    const user = await person(roster)
    const [code = ''] = await recoveryCodes(roster, user)
    const tokens = await Promise.all(Array.from({ length: 4 }, () => beginSignIn(roster, user)))
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, n) => verify(roster, tokens[n % 4] ?? '', 'recovery_code', code)),
    )
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('new ones end the old, those of another user are worth nothing, and alone they are no factor', async () => {
    const [user, other] = [await person(roster), await person(roster)]
    const [old = ''] = await recoveryCodes(roster, user)
    await recoveryCodes(roster, user)
    const [foreign = ''] = await recoveryCodes(roster, other)
    for (const code of [old, foreign])
      expect((await verify(roster, await beginSignIn(roster, user), 'recovery_code', code)).status).toBe(401)
    const { token } = await roster.signUp()
    const reply = await roster.post('/api/v1/auth/mfa/recovery-codes', undefined, { token })
    expect([reply.status, reply.body.code]).toEqual([409, 'mfa_not_enrolled'])
  })
})

describe('changing second factors', async () => {
  const roster = await useTestApp()
  const remove = (token: string, method: string) => roster.delete(`/api/v1/auth/mfa/${method}`, { token })

  test('needs a second factor from the last ten minutes: the password does not do', async () => {
    const user = await person(roster)
    roster.clock.advance(minutes(11))
    const { body } = await roster.post(
      '/api/v1/auth/step-up',
      { password: user.password },
      { token: user.token },
    )
    for (const reply of [
      await remove(body.access_token, 'totp'),
      await roster.post('/api/v1/auth/mfa/email/setup', undefined, { token: body.access_token }),
      await roster.post('/api/v1/auth/mfa/recovery-codes', undefined, { token: body.access_token }),
      await roster.post('/api/v1/auth/passkeys/register/options', undefined, { token: body.access_token }),
    ])
      expect([reply.status, reply.body.code]).toEqual([403, 'step_up_required'])
    const code = user.app.code(roster.clock.now())
    const stepped = await roster.post(
      '/api/v1/auth/step-up',
      { method: 'totp', code },
      { token: body.access_token },
    )
    expect(stepped.status).toBe(200)
    expect((await remove(stepped.body.access_token, 'totp')).status).toBe(204)
  })

  test('the last one takes the recovery codes with it, and a sign-in needs the password alone', async () => {
    const user = await person(roster)
    await recoveryCodes(roster, user)
    expect((await remove(user.token, 'totp')).status).toBe(204)
    expect((await remove(user.token, 'totp')).status).toBe(404)
    expect((await roster.get('/api/v1/auth/mfa', { token: user.token })).body).toEqual({
      mfa_enabled: false,
      mfa_required: false,
      methods: [],
    })
    expect(await lastSent(roster, user.email, 'mfa_changed')).toMatchObject({ what: 'totp_removed' })
    const types = await roster.sql(
      `select type from events where user_id = $1 and type like 'user.mfa%' order by id`,
      [user.id],
    )
    expect(types.map(({ type }) => type)).toEqual(['user.mfa_enabled', 'user.mfa_disabled'])
    const { email, password } = user
    expect((await roster.post('/api/v1/auth/login', { email, password })).body).toHaveProperty('access_token')
  })

  test('mfa_enabled stays true while any is left', async () => {
    const user = await person(roster)
    await roster.post('/api/v1/auth/mfa/email/setup', undefined, { token: user.token })
    const { code } = await lastSent(roster, user.email, 'mfa_code')
    await roster.post('/api/v1/auth/mfa/email/confirm', { code }, { token: user.token })
    expect((await remove(user.token, 'totp')).status).toBe(204)
    expect((await roster.get('/api/v1/auth/me', { token: user.token })).body.mfa_enabled).toBe(true)
  })
})

describe('stepping up', async () => {
  const roster = await useTestApp()

  test('gives a new session id and tokens, ends the old ones, and moves auth_time', async () => {
    const user = await roster.signUp()
    roster.clock.advance(minutes(11))
    const sensitive = (token: string) =>
      roster.post('/api/v1/auth/profile/email/initiate', { new_email: 'other@example.com' }, { token })
    expect((await sensitive(user.token)).body.code).toBe('step_up_required')
    const { body } = await roster.post(
      '/api/v1/auth/step-up',
      { password: user.password },
      { token: user.token },
    )
    expect(body.session_id).not.toBe(user.session)
    expect(claimsOf(body.access_token)).toMatchObject({
      auth_time: roster.clock.now().getTime() / 1000,
      aal: 'aal1',
    })
    expect((await roster.get('/api/v1/auth/me', { token: user.token })).status).toBe(401)
    expect((await roster.post('/api/v1/auth/refresh', { refresh_token: user.refresh })).status).toBe(401)
    expect((await sensitive(body.access_token)).status).toBe(200)
  })

  test('takes exactly one proof, and no wrong one', async () => {
    const user = await person(roster)
    const stepUp = (body: object) => roster.post('/api/v1/auth/step-up', body, { token: user.token })
    expect((await stepUp({})).body.code).toBe('validation_failed')
    expect((await stepUp({ method: 'totp', code: '000000' })).body.code).toBe('invalid_code')
    expect((await stepUp({ method: 'recovery_code', code: 'x' })).body.code).toBe('invalid_code')
    expect((await stepUp({ method: 'passkey' })).body.code).toBe('validation_failed')
    expect((await stepUp({ password: 'WrongPass123' })).body.code).toBe('invalid_current_password')
  })

  test.each([
    ['email', undefined],
    ['sms', '+431234509876'],
  ] as const)(
    'takes a code by %s, sent for it, once, and gives a second factor',
    async (method, phone_number) => {
      const user = await roster.signUp()
      const to = phone_number ?? user.email
      const setup = phone_number === undefined ? undefined : { phone_number }
      await roster.post(`/api/v1/auth/mfa/${method}/setup`, setup, { token: user.token })
      const first = (await lastSent(roster, to, 'mfa_code')).code
      await roster.post(`/api/v1/auth/mfa/${method}/confirm`, { code: first }, { token: user.token })
      roster.clock.advance(minutes(11))
      const challenge = await roster.post('/api/v1/auth/step-up/challenge', { method }, { token: user.token })
      expect(challenge.status).toBe(200)
      const { code } = await lastSent(roster, to, 'mfa_code')
      const stepUp = (code: string | undefined, token: string) =>
        roster.post('/api/v1/auth/step-up', { method, code }, { token })
      expect((await stepUp(first, user.token)).body.code).toBe('invalid_code')
      const stepped = await stepUp(code, user.token)
      expect(stepped.status).toBe(200)
      expect(claimsOf(stepped.body.access_token)).toMatchObject({ aal: 'aal2' })
      expect((await stepUp(code, stepped.body.access_token)).body.code).toBe('invalid_code')
      const codes = await roster.post('/api/v1/auth/mfa/recovery-codes', undefined, {
        token: stepped.body.access_token,
      })
      expect(codes.status).toBe(200)
    },
  )
})

describe('a role that demands a second factor', async () => {
  const roster = await useTestApp({ config: { environment: 'production' } })

  test('leaves its holder a session that can enrol one and nothing else, until they have', async () => {
    const admin = await roster.signUpAdmin()
    const { token } = admin
    expect(claimsOf(token)).toMatchObject({ role: 'user', roles: ['user'] })
    expect(claimsOf(token).aud).not.toBe('http://localhost:8000')
    for (const url of ['/api/v1/auth/me', '/api/v1/users', '/api/v1/auth/sessions', '/api/v1/rbac/roles'])
      expect([url, (await roster.get(url, { token })).body.code]).toEqual([url, 'mfa_enrolment_required'])
    const registered = await roster.post(
      '/api/v1/auth/register',
      { email: 'by-admin@example.com', password: 'SecurePass123', role: 'admin' },
      { token },
    )
    expect([registered.status, registered.body.code]).toEqual([403, 'mfa_enrolment_required'])
    const { body } = await roster.post('/api/v1/auth/refresh', { refresh_token: admin.refresh })
    expect((await roster.get('/api/v1/users', { token: body.access_token })).status).toBe(403)

    expect((await roster.get('/api/v1/auth/mfa', { token })).body.mfa_required).toBe(true)
    const app = await enrolTotp(roster, { token })
    expect((await roster.get('/api/v1/rbac/roles', { token })).status).toBe(200)
    const again = await verify(roster, await beginSignIn(roster, admin), 'totp', app.code(roster.clock.now()))
    expect(claimsOf(again.body.access_token)).toMatchObject({
      role: 'admin',
      aal: 'aal2',
      aud: 'http://localhost:8000',
    })
    expect((await roster.delete('/api/v1/auth/mfa/totp', { token: again.body.access_token })).status).toBe(
      204,
    )
    expect((await roster.get('/api/v1/rbac/roles', { token: again.body.access_token })).status).toBe(403)
  })

  test('binds sessions that began before the role was granted, or before it demanded one', async () => {
    const user = await roster.signUp()
    await roster.get('/api/v1/auth/me', { token: user.token })
    await roster.services.store.transact(async trx => {
      const { grantRole } = await import('../access/index.ts')
      await grantRole(trx, roster.clock.now(), { actorType: 'system' }, { userId: user.id, role: 'admin' })
      await roster.services.store.announce(trx, { kind: 'user', id: user.id })
    })
    expect((await roster.get('/api/v1/auth/me', { token: user.token })).body.code).toBe(
      'mfa_enrolment_required',
    )
    const other = await roster.signUp()
    await roster.sql(`update roles set requires_mfa = true where name = 'user'`)
    await roster.services.store.transact(trx => roster.services.store.announce(trx, { kind: 'access' }))
    expect((await roster.get('/api/v1/auth/me', { token: other.token })).body.code).toBe(
      'mfa_enrolment_required',
    )
  })
})

test('whoever registered with somebody else’s address loses the factors that they enrolled, once its owner proves it', async () => {
  const roster = await useTestApp()
  const thief = await person(roster)
  const { verification, store } = roster.services
  const proof = {
    purpose: 'EMAIL_VERIFICATION',
    userId: thief.id,
    target: thief.email,
    data: { asker: 'anyone' },
  } as const
  const { token } = await store.transact(trx => verification.issueLink(trx, roster.clock.now(), proof))
  expect((await roster.post('/api/v1/auth/verify-email', { token })).body).toMatchObject({
    mfa_enabled: false,
  })
  expect(await roster.sql('select 1 from second_factors')).toEqual([])
})

test('in development an administrator needs none', async () => {
  const roster = await useTestApp()
  const { token } = await roster.signUpAdmin()
  expect((await roster.get('/api/v1/rbac/roles', { token })).status).toBe(200)
})
