import { describe, expect, test } from 'vitest'
import { days } from '../lib/clock.ts'
import { curl } from '../testing/curl.ts'
import { type SignedUp, useTestApp } from '../testing/harness.ts'
import { listen } from '../testing/http-server.ts'

const roster = await useTestApp({ config: { accessTokenMinutes: 60 * 24 * 60, refreshTokenDays: 60 } })
const host = `localhost:${await listen(roster.app)}`

/* The commands of the document, with nothing changed but host, token and code. */
const run = (command: string, user: SignedUp, otp = '') =>
  curl(command, { 'localhost:4001': host, YOUR_TOKEN: user.token, '"otp": "123456"': `"otp": "${otp}"` })

const updateUsername = `curl -X PUT http://localhost:4001/auth/profile/username \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{"username": "test_user_123"}'`

const initiateEmail = `curl -X POST http://localhost:4001/auth/profile/email/initiate \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{"newEmail": "test@example.com"}'`

const completeEmail = `curl -X POST http://localhost:4001/auth/profile/email/complete \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{"newEmail": "test@example.com", "otp": "123456"}'`

describe('the documented commands', () => {
  test('change a username, and say how long to wait for the next time', async () => {
    const user = await roster.signUp()
    expect(await run(updateUsername, user)).toMatchObject({
      status: 200,
      body: {
        success: true,
        message: 'Username updated successfully',
        data: { username: 'test_user_123', lastUsernameUpdated: '2026-01-31T10:00:00.000Z' },
      },
    })
    roster.clock.advance(days(3))
    const early = await run(updateUsername.replace('test_user_123', 'test_user_124'), user)
    expect([early.status, early.body]).toEqual([
      400,
      {
        success: false,
        error: 'Username can only be updated once every 15 days. Please wait 12 more days.',
      },
    ])
  })

  test('change an e-mail address with the code from the mail', async () => {
    const user = await roster.signUp()
    expect(await run(initiateEmail, user)).toMatchObject({
      status: 200,
      body: {
        success: true,
        message: 'OTP sent to new email address. Please verify to complete email update.',
        data: { newEmail: 'test@example.com', nextStep: 'verify_email_update_otp' },
      },
    })
    const mailbox = await roster.get('/dev/mailbox.json?to=test@example.com')
    const { code } = mailbox.body.items[0]
    const completed = await run(completeEmail, user, code)
    expect([completed.status, completed.body]).toEqual([
      200,
      {
        success: true,
        message: 'Email updated successfully',
        data: {
          email: 'test@example.com',
          emailVerified: true,
          emailVerifiedAt: roster.clock.now().toISOString(),
        },
      },
    ])
    const [event] = await roster.sql(
      `select data from events where type = 'user.email_updated' and user_id = $1`,
      [user.id],
    )
    expect(event.data).toEqual({
      userId: user.id,
      oldEmail: user.email,
      newEmail: 'test@example.com',
      emailVerified: true,
      updatedAt: roster.clock.now().toISOString(),
    })
  })
})

describe('an error', () => {
  test.each([
    ['without a token', 'PUT', '/auth/profile/username', { username: 'x_y_z' }, 401],
    ['with a body that is no object', 'PUT', '/auth/profile/username', ['x'], 400],
    ['with another field', 'PUT', '/auth/profile/username', { username: 'x_y_z', role: 'admin' }, 400],
    ['with an address that is none', 'POST', '/auth/profile/email/initiate', { newEmail: 'nobody' }, 400],
    [
      'with a wrong code',
      'POST',
      '/auth/profile/email/complete',
      { newEmail: 'x@example.com', otp: '000000' },
      400,
    ],
  ])('%s has the envelope', async (_what, method, url, body, status) => {
    const user = await roster.signUp()
    const reply = await roster.request(method, url, { body, ...(status !== 401 && { token: user.token }) })
    expect([reply.status, reply.body]).toEqual([status, { success: false, error: expect.any(String) }])
    expect(reply.headers['content-type']).toContain('application/json')
  })

  test('about an address names the field as this dialect does', async () => {
    const { token } = await roster.signUp()
    const { body } = await roster.post('/auth/profile/email/initiate', { newEmail: 'nobody' }, { token })
    expect(body.error).toBe('newEmail takes one e-mail address of at most 254 characters')
  })

  test('for a taken name or address is a conflict, and one about limits says when to come again', async () => {
    const taken = await roster.signUp({ username: 'taken_name' })
    const user = await roster.signUp()
    const token = { token: user.token }
    const name = await roster.put('/auth/profile/username', { username: 'TAKEN_NAME' }, token)
    const email = await roster.post('/auth/profile/email/initiate', { newEmail: taken.email }, token)
    expect([name.status, email.status]).toEqual([409, 409])
    for (let n = 0; n < 20; n += 1) {
      await roster.post('/auth/profile/email/initiate', { newEmail: 'often@example.com' }, token)
    }
    const limited = await roster.post(
      '/auth/profile/email/initiate',
      { newEmail: 'often@example.com' },
      token,
    )
    expect([limited.status, limited.body.success, limited.headers['retry-after']]).toEqual([
      429,
      false,
      '3600',
    ])
  })
})
