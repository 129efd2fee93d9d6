import { afterAll, describe, expect, test } from 'vitest'
import { minutes, seconds } from '../../lib/clock.ts'
import { hasBrowser } from '../../testing/chromium.ts'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent } from '../../testing/outbox.ts'
import { startPasskeyBrowser } from '../../testing/passkey-browser.ts'
import { beginSignIn, enrolTotp } from '../../testing/second-factors.ts'

if (!hasBrowser) console.warn('SKIPPED: passkeys in a browser, since there is no Chromium')

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

describe.runIf(hasBrowser)('passkeys, in Chromium', async () => {
  const browser = hasBrowser ? await startPasskeyBrowser() : undefined
  if (!browser) return
  afterAll(() => browser.stop())
  const roster = await useTestApp({ config: { publicUrl: browser.origin } })

  const post = (path: string, body?: unknown, token?: string) =>
    roster.post(`/api/v1/auth/passkeys/${path}`, body, token === undefined ? {} : { token })

  async function register({ token }: Pick<SignedUp, 'token'>, name?: string) {
    const options = await post('register/options', undefined, token)
    const credential = await browser?.register(options.body)
    return post('register/verify', { credential, ...(name !== undefined && { name }) }, token)
  }

  async function signIn(more: object = {}) {
    const options = await post('login/options')
    const credential = await browser?.sign({ ...options.body, ...more })
    return post('login/verify', { credential })
  }

  test('are registered, named, listed, and sign in without a username, with two factors', async () => {
    await browser.plugIn({ verifiesUser: true })
    const user = await roster.signUp()
    const kept = await register(user, 'Laptop')
    expect(kept).toMatchObject({ status: 201, body: { name: 'Laptop', last_used_at: null } })
    expect(await lastSent(roster, user.email, 'mfa_changed')).toMatchObject({ what: 'passkey_added' })
    roster.clock.advance(minutes(1))
    const { status, body } = await signIn()
    expect(status).toBe(200)
    expect(body.user.id).toBe(user.id)
    expect(claimsOf(body.access_token)).toMatchObject({ amr: ['pop', 'user', 'mfa'], aal: 'aal2' })
    const list = await roster.get('/api/v1/auth/passkeys', { token: user.token })
    expect(list.body.items).toMatchObject([
      { name: 'Laptop', last_used_at: roster.clock.now().toISOString() },
    ])
    const renamed = await roster.patch(
      `/api/v1/auth/passkeys/${kept.body.id}`,
      { name: 'Desk' },
      { token: user.token },
    )
    expect(renamed.body.name).toBe('Desk')
  })

  test('of a user can’t be registered twice in one authenticator, nor be seen or changed by another', async () => {
    await browser.plugIn({ verifiesUser: true })
    const [user, other] = [await roster.signUp(), await roster.signUp()]
    const { body } = await register(user)
    const options = await post('register/options', undefined, user.token)
    await expect(browser.register(options.body)).rejects.toThrow(/previously registered|InvalidState/)
    expect(
      (await roster.patch(`/api/v1/auth/passkeys/${body.id}`, { name: 'x' }, { token: other.token })).status,
    ).toBe(404)
    expect((await roster.delete(`/api/v1/auth/passkeys/${body.id}`, { token: other.token })).status).toBe(404)
    expect((await roster.get('/api/v1/auth/passkeys', { token: other.token })).body.items).toEqual([])
  })

  test('are the second factor after a password', async () => {
    await browser.plugIn({ verifiesUser: false })
    const user = await roster.signUp()
    await register(user)
    const mfa_token = await beginSignIn(roster, user)
    const challenge = await roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method: 'passkey' })
    const credential = await browser.sign(challenge.body.options)
    const verify = () => roster.post('/api/v1/auth/mfa/verify', { mfa_token, method: 'passkey', credential })
    const reply = await verify()
    expect(claimsOf(reply.body.access_token)).toMatchObject({ amr: ['pwd', 'pop', 'mfa'], aal: 'aal2' })
    expect((await verify()).status).toBe(401)
    roster.clock.advance(minutes(11))
    const token = reply.body.access_token
    const options = await roster.post('/api/v1/auth/step-up/challenge', { method: 'passkey' }, { token })
    const proof = { method: 'passkey', credential: await browser.sign(options.body.options) }
    expect((await roster.post('/api/v1/auth/step-up', proof, { token })).status).toBe(200)
  })

  test('without user verification are one factor: the password, or any other that is enrolled, is asked for', async () => {
    const unverified = { userVerification: 'discouraged' }
    await browser.plugIn({ verifiesUser: true })
    const user = await roster.signUp()
    await register(user)
    const alone = await signIn(unverified)
    expect(alone.body).toMatchObject({ mfa_required: true, methods: ['password'] })
    const app = await enrolTotp(roster, user)
    const { body } = await signIn(unverified)
    expect(body).toMatchObject({ mfa_required: true, methods: ['totp', 'password'] })
    expect(body).not.toHaveProperty('access_token')
    const challenge = await roster.post('/api/v1/auth/mfa/challenge', {
      mfa_token: body.mfa_token,
      method: 'passkey',
    })
    const credential = await browser.sign({ ...challenge.body.options, ...unverified })
    const same = { mfa_token: body.mfa_token, method: 'passkey', credential }
    expect((await roster.post('/api/v1/auth/mfa/verify', same)).status).toBe(401)
    const code = app.code(roster.clock.now())
    const done = await roster.post('/api/v1/auth/mfa/verify', {
      mfa_token: body.mfa_token,
      method: 'totp',
      code,
    })
    expect(claimsOf(done.body.access_token)).toMatchObject({ amr: ['pop', 'otp', 'mfa'], aal: 'aal2' })
  })

  test('let the owner in whom others locked out, but nobody who is deactivated', async () => {
    await browser.plugIn({ verifiesUser: true })
    const user = await roster.signUp()
    await register(user)
    for (let n = 0; n < 6; n++)
      await roster.post('/api/v1/auth/login', { email: user.email, password: 'WrongPass123' })
    const { email, password } = user
    expect((await roster.post('/api/v1/auth/login', { email, password })).status).toBe(429)
    expect((await signIn()).status).toBe(200)
    await roster.sql('update users set is_active = false where id = $1', [user.id])
    expect((await signIn()).body.code).toBe('invalid_credentials')
  })

  test('signed for another origin are refused, to register and to sign in', async () => {
    await browser.plugIn({ verifiesUser: true })
    const user = await roster.signUp()
    const options = await post('register/options', undefined, user.token)
    const foreign = await browser.register(options.body, browser.otherOrigin)
    const refused = await post('register/verify', { credential: foreign }, user.token)
    expect([refused.status, refused.body.code]).toEqual([400, 'invalid_passkey'])
    await browser.plugIn({ verifiesUser: true })
    await register(user)
    const challenge = await post('login/options')
    const credential = await browser.sign(challenge.body, browser.otherOrigin)
    expect((await post('login/verify', { credential })).body.code).toBe('invalid_credentials')
    expect((await signIn()).status).toBe(200)
  })

  test('answers work once, in time, and for what they were asked for', async () => {
    await browser.plugIn({ verifiesUser: true })
    const user = await roster.signUp()
    await register(user)
    const once = await browser.sign((await post('login/options')).body)
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => post('login/verify', { credential: once })),
    )
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    const late = await browser.sign((await post('login/options')).body)
    roster.clock.advance(minutes(5) + seconds(1))
    expect((await post('login/verify', { credential: late })).status).toBe(401)
    const mfa_token = await beginSignIn(roster, user)
    const challenge = await roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method: 'passkey' })
    const credential = await browser.sign(challenge.body.options)
    expect((await post('login/verify', { credential })).status).toBe(401)
    const invented = await browser.sign({ challenge: 'AAAAAAAAAAAAAAAAAAAAAA', rpId: 'localhost' })
    expect((await post('login/verify', { credential: invented })).status).toBe(401)
  })

  test('of another user are no second factor, nor is a forged signature or handle', async () => {
    await browser.plugIn({ verifiesUser: true })
    const victim = await roster.signUp()
    await register(victim)
    await browser.plugIn({ verifiesUser: true })
    const thief = await roster.signUp()
    await register(thief)
    const mfa_token = await beginSignIn(roster, victim)
    const challenge = await roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method: 'passkey' })
    const options = { ...challenge.body.options, allowCredentials: [] }
    const credential = await browser.sign(options)
    const reply = await roster.post('/api/v1/auth/mfa/verify', { mfa_token, method: 'passkey', credential })
    expect([reply.status, reply.body.code]).toEqual([401, 'invalid_mfa_code'])
    const signed = (await browser.sign((await post('login/options')).body)) as { response: object }
    const handle = Buffer.from(victim.id.replaceAll('-', ''), 'hex').toString('base64url')
    const forged = { ...signed, response: { ...signed.response, userHandle: handle } }
    expect((await post('login/verify', { credential: forged })).status).toBe(401)
  })

  test('whose counter goes back are copies: refused, audited, and told to other services', async () => {
    const authenticator = await browser.plugIn({ verifiesUser: true })
    const user = await roster.signUp()
    await register(user)
    const [copy] = await authenticator.credentials()
    if (!copy) throw new Error('no credential')
    expect((await signIn()).status).toBe(200)
    expect((await signIn()).status).toBe(200)
    await authenticator.replace({ ...copy, signCount: copy.signCount })
    expect((await signIn()).body.code).toBe('invalid_credentials')
    const [audit] = await roster.sql(
      `select outcome from audit_log where action = 'passkey.clone_suspected' and subject_id = $1`,
      [user.id],
    )
    expect(audit).toEqual({ outcome: 'denied' })
    const events = await roster.sql(
      `select 1 from events where type = 'user.passkey_clone_suspected' and user_id = $1`,
      [user.id],
    )
    expect(events).toHaveLength(1)
  })

  test('that were removed sign nobody in, and a removed one is the last factor to go', async () => {
    await browser.plugIn({ verifiesUser: true })
    const user = await roster.signUp()
    const { body } = await register(user)
    expect((await roster.get('/api/v1/auth/me', { token: user.token })).body.mfa_enabled).toBe(true)
    expect((await roster.delete(`/api/v1/auth/passkeys/${body.id}`, { token: user.token })).status).toBe(204)
    expect((await signIn()).body.code).toBe('unknown_passkey')
    expect((await roster.get('/api/v1/auth/me', { token: user.token })).body.mfa_enabled).toBe(false)
    expect(await lastSent(roster, user.email, 'mfa_changed')).toMatchObject({ what: 'passkey_removed' })
  })
})
