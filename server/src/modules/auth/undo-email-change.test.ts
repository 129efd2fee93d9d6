import { describe, expect, test } from 'vitest'
import { minutes } from '../../lib/clock.ts'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent, sentTo, tokenOf } from '../../testing/outbox.ts'
import { enrolTotp, recoveryCodes } from '../../testing/second-factors.ts'
import { registerPasskey, signInWithPasskey } from '../../testing/software-authenticator.ts'

const roster = await useTestApp()
const other = await useTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })

let addresses = 0
const fresh = () => `undone${++addresses}@example.com`
const path = '/api/v1/auth/profile/email'
const newPassword = 'BrandNewPass456'

const undo = (token: string) => roster.post(`${path}/undo`, { token, new_password: newPassword })
const undoToken = async (email: string) => tokenOf((await lastSent(roster, email, 'email_changed')).undo_link)
const login = (email: string, password: string) => roster.post('/api/v1/auth/login', { email, password })

/** Changes the address, and moves on a minute. */
async function change({ token }: Pick<SignedUp, 'token'>, new_email = fresh()): Promise<string> {
  await roster.post(`${path}/initiate`, { new_email }, { token })
  const { code } = await lastSent(roster, new_email, 'email_change_code')
  expect((await roster.post(`${path}/complete`, { new_email, otp: code }, { token })).status).toBe(200)
  roster.clock.advance(minutes(1))
  return new_email
}

async function proveAddress({ email }: SignedUp): Promise<void> {
  const token = tokenOf((await lastSent(roster, email, 'verify_email')).link)
  expect((await roster.post('/api/v1/auth/verify-email', { token })).status).toBe(200)
}

const stepUp = async (user: SignedUp, proof: object) => {
  const { body } = await roster.post('/api/v1/auth/step-up', proof, { token: user.token })
  return { ...user, token: body.access_token }
}

describe('after two changes', () => {
  test('the link of the later address, used first, leaves the owner’s as it is', async () => {
    const owner = await roster.signUp()
    const second = await change(owner)
    await change(owner)
    expect((await undo(await undoToken(second))).body).toEqual({ email: second })
    expect((await undo(await undoToken(owner.email))).body).toEqual({ email: owner.email })
    expect((await login(owner.email, newPassword)).status).toBe(200)
  })

  test('the owner’s link, used first, ends that of the later address', async () => {
    const owner = await roster.signUp()
    const second = await change(owner)
    await change(owner)
    expect((await undo(await undoToken(owner.email))).body).toEqual({ email: owner.email })
    expect((await undo(await undoToken(second))).body.code).toBe('invalid_link')
  })
})

describe('undoing a change', () => {
  test('of an address that nobody had proved drops every factor: its owner did not make the account', async () => {
    const maker = await roster.signUp()
    const key = await registerPasskey(roster, maker)
    roster.clock.advance(minutes(1))
    await change(maker)
    expect((await undo(await undoToken(maker.email))).status).toBe(200)
    expect((await signInWithPasskey(roster, key, true)).status).toBe(401)
    const { body } = await login(maker.email, newPassword)
    expect(body.user).toMatchObject({ id: maker.id, mfa_enabled: false })
    expect(await lastSent(roster, maker.email, 'mfa_changed')).toMatchObject({ what: 'all_handed_over' })
  })

  test('drops the factors, passkeys and recovery codes that were added after it, and says so', async () => {
    const owner = await roster.signUp()
    await proveAddress(owner)
    await change(owner)
    const key = await registerPasskey(roster, owner)
    await enrolTotp(roster, owner)
    await recoveryCodes(roster, owner)
    expect((await undo(await undoToken(owner.email))).status).toBe(200)
    const { body } = await login(owner.email, newPassword)
    expect(body.user).toMatchObject({ id: owner.id, mfa_enabled: false })
    expect((await signInWithPasskey(roster, key, true)).status).toBe(401)
    const { body: mfa } = await roster.get('/api/v1/auth/mfa', { token: body.access_token })
    expect(JSON.stringify(mfa)).not.toMatch(/totp|passkey|recovery_code/)
    expect(await lastSent(roster, owner.email, 'mfa_changed')).toMatchObject({ what: 'newer_removed' })
    const events = await roster.sql(
      `select data from events where user_id = $1 and type = 'user.mfa_disabled'`,
      [owner.id],
    )
    expect(events).toHaveLength(1)
  })

  test('keeps the factors from before it', async () => {
    const owner = await roster.signUp()
    await proveAddress(owner)
    const app = await enrolTotp(roster, owner)
    const codes = await recoveryCodes(roster, owner)
    roster.clock.advance(minutes(1))
    await change(owner)
    const key = await registerPasskey(roster, owner)
    expect((await undo(await undoToken(owner.email))).status).toBe(200)
    const { body } = await login(owner.email, newPassword)
    expect(body).toMatchObject({ mfa_required: true, methods: ['totp', 'recovery_code'] })
    const verify = (method: string, code: string | undefined) =>
      roster.post('/api/v1/auth/mfa/verify', { mfa_token: body.mfa_token, method, code })
    expect((await verify('totp', app.code(roster.clock.now()))).status).toBe(200)
    expect(codes).toHaveLength(10)
    expect((await signInWithPasskey(roster, key, true)).status).toBe(401)
  })

  test('that added nothing sends no mail about factors', async () => {
    const owner = await roster.signUp()
    await change(owner)
    await undo(await undoToken(owner.email))
    expect((await sentTo(roster, owner.email)).map(({ template }) => template)).not.toContain('mfa_changed')
  })

  test('brings back an account that was deleted by its holder after it', async () => {
    const owner = await roster.signUp()
    const email = await change(owner)
    expect((await roster.delete('/api/v1/users/me', { token: owner.token })).status).toBe(204)
    const restore = tokenOf((await lastSent(roster, email, 'account_deleted')).restore_link)
    expect((await undo(await undoToken(owner.email))).body).toEqual({ email: owner.email })
    const { body } = await login(owner.email, newPassword)
    expect(body.user).toMatchObject({ is_active: true, deleted_at: null, email: owner.email })
    expect((await roster.post('/api/v1/auth/restore-account', { token: restore })).status).toBe(400)
    const events = await roster.sql(`select 1 from events where user_id = $1 and type = 'user.restored'`, [
      owner.id,
    ])
    expect(events).toHaveLength(1)
  })

  test.each(['deactivated', 'deleted'])('does not open what an administrator %s', async what => {
    const admin = await roster.signUpAdmin()
    const owner = await roster.signUp()
    await change(owner)
    const url = `/api/v1/users/${owner.id}`
    const { status } = await (what === 'deleted'
      ? roster.delete(url, { token: admin.token })
      : roster.post(`${url}/deactivate`, undefined, { token: admin.token }))
    expect(status).toBe(204)
    const token = await undoToken(owner.email)
    expect((await undo(token)).body.code).toBe('invalid_link')
    await roster.post(`${url}/restore`, undefined, { token: admin.token })
    expect((await undo(token)).status).toBe(200)
  })

  test('does not open what an administrator deleted after its holder had done so and come back', async () => {
    const admin = await roster.signUpAdmin()
    const owner = await roster.signUp()
    await change(owner)
    await roster.delete('/api/v1/users/me', { token: owner.token })
    const url = `/api/v1/users/${owner.id}`
    await roster.post(`${url}/restore`, undefined, { token: admin.token })
    roster.clock.advance(minutes(1))
    await roster.delete(url, { token: admin.token })
    expect((await undo(await undoToken(owner.email))).body.code).toBe('invalid_link')
  })
})

describe('a change of address by somebody with factors', () => {
  test('needs the second factor from the last 10 minutes; a password will not do', async () => {
    const user = await roster.signUp()
    const app = await enrolTotp(roster, user)
    roster.clock.advance(minutes(20))
    const again = await stepUp(user, { password: user.password })
    const ask = (token: string, at = '/api/v1') =>
      other.post(
        `${at}/auth/profile/email/initiate`,
        at === '' ? { newEmail: fresh() } : { new_email: fresh() },
        {
          token,
        },
      )
    const refused = await ask(again.token)
    expect([refused.status, refused.body.code]).toEqual([403, 'step_up_required'])
    const dialect = await ask(again.token, '')
    expect([dialect.status, dialect.body]).toEqual([
      403,
      { success: false, error: 'The route needs a second factor from the last 10 minutes.' },
    ])
    const proved = await stepUp(again, { method: 'totp', code: app.code(roster.clock.now()) })
    expect((await ask(proved.token)).status).toBe(200)
    expect((await ask(proved.token, '')).status).toBe(200)
  })
})
