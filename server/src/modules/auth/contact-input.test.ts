import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent, tokenOf } from '../../testing/outbox.ts'

const roster = await useTestApp()
const other = await useTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })

const auth = '/api/v1/auth'
const newPassword = 'BrandNewPass456'

describe('a value of another type than text', () => {
  test.each([
    ['POST', '/password-reset-request', { email: 'a@example.com' }],
    ['POST', '/password-reset-confirm', { token: 'x', new_password: newPassword }],
    ['POST', '/accept-invitation', { token: 'x', new_password: newPassword }],
    ['POST', '/verify-email-request', { email: 'a@example.com' }],
    ['POST', '/verify-email', { token: 'x', code: '123456', email: 'a@example.com' }],
    ['POST', '/restore-account', { token: 'x' }],
    ['POST', '/step-up', { password: 'SecurePass123' }],
    ['PUT', '/profile/username', { username: 'somebody' }],
    ['POST', '/profile/email/initiate', { new_email: 'a@example.com' }],
    ['POST', '/profile/email/complete', { new_email: 'a@example.com', otp: '123456' }],
    ['POST', '/profile/email/undo', { token: 'x', new_password: newPassword }],
    ['POST', '/profile/phone/initiate', { phone_number: '+431234567' }],
    ['POST', '/profile/phone/complete', { phone_number: '+431234567', otp: '123456' }],
  ])('in %s %s is refused by its field', async (method, url, body: Record<string, string>) => {
    const { token } = await roster.signUp()
    const send = (changed: object) => roster.request(method, auth + url, { token, body: changed })
    for (const field of Object.keys(body)) {
      for (const value of [[body[field]], { $ne: '' }, 123456, true, null]) {
        const reply = await send({ ...body, [field]: value })
        expect([reply.status, reply.body.code, reply.body.errors[0].path]).toEqual([
          400,
          'validation_failed',
          `/${field}`,
        ])
      }
    }
    expect((await send({ ...body, role: 'admin' })).status).toBe(400)
    for (const text of ['\0', '\ud800', 'x'.repeat(3000), '\r\nBcc: a@example.com', '{{ 7 | times: 7 }}']) {
      for (const field of Object.keys(body)) {
        const { status } = await send({ ...body, [field]: text })
        expect({ field, text: text.slice(0, 30), status: status < 500 }).toMatchObject({ status: true })
      }
    }
  })
})

/** Whether a token is refused by the other process, before long. */
async function endsElsewhere(user: SignedUp): Promise<boolean> {
  const until = performance.now() + 60_000
  while (performance.now() < until) {
    if ((await other.get('/api/v1/users/me', { token: user.token })).status === 401) return true
    await sleep(20)
  }
  return false
}

async function signUpHere(): Promise<SignedUp> {
  const user = await roster.signUp()
  expect((await other.get('/api/v1/users/me', { token: user.token })).status).toBe(200)
  return user
}

async function completeChange(user: SignedUp): Promise<string> {
  const new_email = `moved-${user.email}`
  await roster.post(`${auth}/profile/email/initiate`, { new_email }, { token: user.token })
  const { code } = await lastSent(roster, new_email, 'email_change_code')
  const proof = { new_email, otp: code }
  expect((await roster.post(`${auth}/profile/email/complete`, proof, { token: user.token })).status).toBe(200)
  return new_email
}

describe('another process refuses a token within a second of', () => {
  test('a password reset', async () => {
    const user = await signUpHere()
    await roster.post(`${auth}/password-reset-request`, { email: user.email })
    await roster.runJobs()
    const token = tokenOf((await lastSent(roster, user.email, 'password_reset')).link)
    await roster.post(`${auth}/password-reset-confirm`, { token, new_password: newPassword })
    expect(await endsElsewhere(user)).toBe(true)
  })

  test('a change of e-mail address, for every session but the one that made it', async () => {
    const user = await signUpHere()
    const second = await roster.signIn(user)
    await completeChange(second)
    expect(await endsElsewhere(user)).toBe(true)
    const { status, body } = await other.get('/api/v1/users/me', { token: second.token })
    expect([status, body.email]).toEqual([200, `moved-${user.email}`])
  })

  test('its undoing', async () => {
    const user = await signUpHere()
    await completeChange(user)
    const token = tokenOf((await lastSent(roster, user.email, 'email_changed')).undo_link)
    await roster.post(`${auth}/profile/email/undo`, { token, new_password: newPassword })
    expect(await endsElsewhere(user)).toBe(true)
  })

  test('the deletion of the account', async () => {
    const user = await signUpHere()
    await roster.delete('/api/v1/users/me', { token: user.token })
    expect(await endsElsewhere(user)).toBe(true)
  })

  test('a step-up, which goes on in a new session', async () => {
    const user = await signUpHere()
    const { body } = await roster.post(`${auth}/step-up`, { password: user.password }, { token: user.token })
    expect(await endsElsewhere(user)).toBe(true)
    expect((await other.get('/api/v1/users/me', { token: body.access_token })).status).toBe(200)
  })
})

test('tokens of one kind open nothing of another: access, refresh and every link', async () => {
  const user = await roster.signUp()
  const verify = tokenOf((await lastSent(roster, user.email, 'verify_email')).link)
  await roster.post(`${auth}/password-reset-request`, { email: user.email })
  await roster.runJobs()
  const reset = tokenOf((await lastSent(roster, user.email, 'password_reset')).link)
  await completeChange(user)
  const undo = tokenOf((await lastSent(roster, user.email, 'email_changed')).undo_link)
  await roster.delete('/api/v1/users/me', { token: user.token })
  const mail = await lastSent(roster, `moved-${user.email}`, 'account_deleted')
  const restore = tokenOf(mail.restore_link)

  const doors: Record<string, (token: string) => Promise<number>> = {
    verify: async token => (await roster.post(`${auth}/verify-email`, { token })).status,
    reset: async token =>
      (await roster.post(`${auth}/password-reset-confirm`, { token, new_password: newPassword })).status,
    invitation: async token =>
      (await roster.post(`${auth}/accept-invitation`, { token, new_password: newPassword })).status,
    undo: async token =>
      (await roster.post(`${auth}/profile/email/undo`, { token, new_password: newPassword })).status,
    refresh: async token => (await roster.post(`${auth}/refresh`, { refresh_token: token })).status,
    access: async token => (await roster.get('/api/v1/users/me', { token })).status,
    restore: async token =>
      (await roster.post(`${auth}/restore-account`, { token: token.slice(0, 128) })).status,
  }
  const keys = { verify, reset, undo, restore, refresh: user.refresh, access: user.token }
  for (const [key, token] of Object.entries(keys)) {
    for (const [door, open] of Object.entries(doors)) {
      if (door === key) continue
      expect({ key, door, status: await open(token) }).toMatchObject({ status: expect.toBeOneOf([400, 401]) })
    }
  }
  expect(await doors.restore?.(restore)).toBe(204)
})
