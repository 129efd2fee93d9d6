import { describe, expect, test } from 'vitest'
import { startTestApp, type TestApp, useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()
const nist = await useTestApp({ config: { passwordPolicy: 'nist' } })
let counter = 0

async function faults(app: TestApp, password: string, more: object = {}): Promise<string[]> {
  counter += 1
  const body = { email: `policy${counter}@example.com`, password, ...more }
  const reply = await app.post('/api/v1/auth/register', body)
  if (reply.status === 201) return []
  expect([reply.status, reply.body.code]).toEqual([400, 'validation_failed'])
  return reply.body.errors.map(({ path, code }: { path: string; code: string }) => `${path} ${code}`)
}

const password = (...codes: string[]) => codes.map(code => `/password ${code}`)

describe('the standard policy', () => {
  test.each([
    ['SecurePass123', []],
    ['Äöüß1234', []],
    ['Aa1 with spaces', []],
    ['Short1a', ['too_short']],
    ['securepass123', ['no_upper_case']],
    ['SECUREPASS123', ['no_lower_case']],
    ['SecurePassword', ['no_digit']],
    ['abc', ['too_short', 'no_upper_case', 'no_digit']],
    ['Password1', ['common']],
    ['Ｐassword1', ['common']],
    ['Password123', ['common']],
    [`Aa1${'x'.repeat(125)}`, []],
    [`Aa1${'x'.repeat(126)}`, ['too_long']],
  ])('of %j says %j', async (text, codes) => {
    expect(await faults(roster, text)).toEqual(password(...codes))
  })

  test('counts code points, not bytes or halves of pairs', async () => {
    expect(await faults(roster, `Aa1${'😀'.repeat(4)}`)).toEqual(password('too_short'))
    expect(await faults(roster, `Aa1${'😀'.repeat(5)}`)).toEqual([])
    expect(await faults(roster, `Aa1${'😀'.repeat(125)}`)).toEqual([])
    expect(await faults(roster, `Aa1${'😀'.repeat(126)}`)).toEqual(password('too_long'))
  })

  test('counts after normalisation: a letter and its accent are one', async () => {
    expect(await faults(roster, `Aa1${'e\u0301'.repeat(4)}`)).toEqual(password('too_short'))
    expect(await faults(roster, `Aa1${'e\u0301'.repeat(125)}`)).toEqual([])
  })

  test('refuses what is longer than any password before it is looked at', async () => {
    expect(await faults(roster, `Aa1${'x'.repeat(2000)}`)).toEqual(password('too_long'))
  })

  test('does not take the user’s own name, username or address', async () => {
    const own = {
      email: 'Margarethe1@example.com',
      username: 'margarethe.huber2',
      full_name: 'Margarethe Huber 3',
    }
    for (const text of [
      'Margarethe1',
      'Margarethe1@Example.com',
      'Margarethe.Huber2',
      'Margarethe Huber 3',
      'MargaretheHuber3',
    ]) {
      expect([text, await faults(roster, text, own)]).toEqual([text, password('own_name')])
    }
  })

  test('nothing of a refused registration is stored', async () => {
    await faults(roster, 'abc', { email: 'refused@example.com' })
    expect(await roster.sql(`select id from users where email_key = 'refused@example.com'`)).toEqual([])
  })
})

describe('NIST’s policy', () => {
  test.each([
    ['fifteen letters', []],
    ['correct horse battery staple', []],
    ['SecurePass123', ['too_short']],
    ['passwordpassword', ['common']],
    ['x'.repeat(129), ['too_long']],
  ])('of %j says %j', async (text, codes) => {
    expect(await faults(nist, text)).toEqual(password(...codes))
  })

  test('takes 8 characters from whom a role demands a second factor, and from nobody else', async () => {
    const admin = await nist.signUpAdmin()
    const { body } = await nist.post('/api/v1/auth/register', {
      email: 'long@example.com',
      password: 'quite a long one',
    })
    const plain = await nist.signIn({ ...body, password: 'quite a long one' })
    const change = async (token: string, current_password: string, new_password: string) => {
      const input = { current_password, new_password }
      const reply = await nist.post('/api/v1/auth/change-password', input, { token })
      return [reply.status, reply.body?.errors?.[0]?.message]
    }
    expect(body.role).toBe('user')
    expect(await change(plain.token, 'quite a long one', 'ubxq ydz')).toEqual([
      400,
      'takes at least 15 characters',
    ])
    expect(await change(admin.token, admin.password, 'ubxq yd')).toEqual([400, 'takes at least 8 characters'])
    expect((await change(admin.token, admin.password, 'ubxq ydz'))[0]).toBe(204)
  })
})

describe('a change of password', () => {
  const change = (token: string, current_password: string, new_password: string) =>
    roster.post('/api/v1/auth/change-password', { current_password, new_password }, { token })

  test('ends the other sessions at once and keeps this one', async () => {
    const user = await roster.signUp()
    const other = await roster.signIn(user)
    await roster.get('/api/v1/auth/me', { token: other.token })
    expect((await change(user.token, user.password, 'BrandNewPass456')).status).toBe(204)
    expect((await roster.get('/api/v1/auth/me', { token: other.token })).status).toBe(401)
    const refreshed = await roster.post('/api/v1/auth/refresh', { refresh_token: other.refresh })
    expect([refreshed.status, refreshed.body.code]).toEqual([401, 'invalid_refresh_token'])
    expect((await roster.get('/api/v1/auth/me', { token: user.token })).status).toBe(200)
    expect((await roster.post('/api/v1/auth/refresh', { refresh_token: user.refresh })).status).toBe(200)
    await expect(roster.signIn(user)).rejects.toThrow('sign-in failed')
    await roster.signIn({ ...user, password: 'BrandNewPass456' })
  })

  test('moves password_changed_at and nothing else, with audit and events', async () => {
    const user = await roster.signUp()
    const other = await roster.signIn(user)
    const before = (await roster.get('/api/v1/users/me', { token: user.token })).body
    roster.clock.advance(60_000)
    await change(user.token, user.password, 'BrandNewPass456')
    const after = (await roster.get('/api/v1/users/me', { token: user.token })).body
    expect(after).toEqual({ ...before, password_changed_at: roster.clock.now().toISOString() })
    const audit = await roster.sql(
      `select action, outcome, changed_fields, details from audit_log
       where subject_id = $1 and occurred_at = $2 order by id`,
      [user.id, roster.clock.now()],
    )
    expect(audit).toEqual([
      { action: 'user.password_changed', outcome: 'success', changed_fields: ['password'], details: {} },
      {
        action: 'session.revoked',
        outcome: 'success',
        changed_fields: [],
        details: { session_id: other.session, reason: 'password_changed' },
      },
    ])
    const events = await roster.sql(
      'select type, data from events where user_id = $1 and occurred_at = $2 order by id',
      [user.id, roster.clock.now()],
    )
    expect(events.map(({ type }) => type)).toEqual(['user.password_changed', 'session.revoked'])
  })

  test('wants the present password, and audits where it was wrong', async () => {
    const user = await roster.signUp()
    const other = await roster.signIn(user)
    for (const wrong of ['WrongPass123', `Aa1${'x'.repeat(500)}`]) {
      const reply = await change(user.token, wrong, 'BrandNewPass456')
      expect([reply.status, reply.body.code]).toEqual([400, 'invalid_current_password'])
    }
    expect((await roster.get('/api/v1/auth/me', { token: other.token })).status).toBe(200)
    const rows = await roster.sql(`select outcome from audit_log
      where action = 'user.password_changed' and subject_id = '${user.id}'`)
    expect(rows).toEqual([{ outcome: 'failure' }, { outcome: 'failure' }])
  })

  test('holds the new password to the policy, and to being new', async () => {
    const user = await roster.signUp({ full_name: 'Margarethe Huber 3' })
    for (const [text, code] of [
      ['short1A', 'too_short'],
      ['Password123', 'common'],
      ['MargaretheHuber3', 'own_name'],
      ['SecurePass123', 'unchanged'],
    ]) {
      const reply = await change(user.token, user.password, text ?? '')
      expect([reply.status, reply.body.errors]).toEqual([
        400,
        [expect.objectContaining({ path: '/new_password', code })],
      ])
    }
  })

  test('20 at once: one wins, and its password is the one that counts', async () => {
    const user = await roster.signUp()
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, n) => change(user.token, user.password, `BrandNewPass${n}`)),
    )
    const won = replies.flatMap(({ status }, n) => (status === 204 ? [n] : []))
    expect(won).toHaveLength(1)
    for (const { status, body } of replies.filter(({ status }) => status !== 204)) {
      expect(['conflict', 'invalid_current_password', 'too_many_attempts']).toContain(body.code)
      expect([400, 409, 429]).toContain(status)
    }
    await roster.signIn({ ...user, password: `BrandNewPass${won[0]}` })
    expect(
      await roster.sql('select password_version from user_credentials where user_id = $1', [user.id]),
    ).toEqual([{ password_version: 2 }])
  })

  test('needs a token', async () => {
    const reply = await roster.post('/api/v1/auth/change-password', {
      current_password: 'a',
      new_password: 'b',
    })
    expect([reply.status, reply.body.code]).toEqual([401, 'unauthorized'])
  })

  test('tells the other process, whose sessions end too', async () => {
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    const user = await roster.signUp()
    const other = await second.signIn(user)
    expect((await second.get('/api/v1/auth/me', { token: other.token })).status).toBe(200)
    await change(user.token, user.password, 'BrandNewPass456')
    await expect
      .poll(async () => (await second.get('/api/v1/auth/me', { token: other.token })).status)
      .toBe(401)
    await second.stop()
  })
})
