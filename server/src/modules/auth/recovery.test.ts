import { randomInt } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { days, hours, minutes } from '../../lib/clock.ts'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent, sentTo, tokenOf } from '../../testing/outbox.ts'

const roster = await useTestApp()
const same = { databaseUrl: roster.databaseUrl, clock: roster.clock }
const privately = await useTestApp({ ...same, config: { registrationPrivacy: true } })
const strictly = await useTestApp({ ...same, config: { requireVerifiedEmail: true } })

const auth = '/api/v1/auth'
const newPassword = 'BrandNewPass456'
const login = (email: string, password: string) => roster.post(`${auth}/login`, { email, password })
const isLiving = async (user: SignedUp) =>
  (await roster.get('/api/v1/users/me', { token: user.token })).status === 200

async function resetToken(email: string): Promise<string> {
  expect((await roster.post(`${auth}/password-reset-request`, { email })).status).toBe(202)
  await roster.runJobs()
  return tokenOf((await lastSent(roster, email, 'password_reset')).link)
}

const confirm = (token: string, new_password = newPassword) =>
  roster.post(`${auth}/password-reset-confirm`, { token, new_password })

/** How often the first of two requests was the slower one, over interleaved pairs. */
async function compare(pairs: number, first: () => Promise<unknown>, second: () => Promise<unknown>) {
  const time = async (run: () => Promise<unknown>) => {
    const start = performance.now()
    await run()
    return performance.now() - start
  }
  for (let n = 0; n < 5; n += 1) await Promise.all([first(), second()])
  let slower = 0
  for (let n = 0; n < pairs; n += 1) {
    const swap = randomInt(2) === 1
    const one = await time(swap ? second : first)
    const two = await time(swap ? first : second)
    if (swap ? two > one : one > two) slower += 1
  }
  return slower / pairs
}

describe('a password reset', () => {
  test('by the link of the mail sets the password, ends all sessions, begins none, and is told', async () => {
    const user = await roster.signUp()
    const other = await roster.signIn(user)
    const reply = await confirm(await resetToken(user.email))
    expect([reply.status, reply.text]).toEqual([204, ''])
    expect(await isLiving(user)).toBe(false)
    expect(await isLiving(other)).toBe(false)
    expect((await login(user.email, user.password)).status).toBe(401)
    const { body } = await login(user.email, newPassword)
    expect(body.user).toMatchObject({ email_verified: true, password_changed_at: '2026-01-31T10:00:00.000Z' })
    await lastSent(roster, user.email, 'password_changed')
    const [event] = await roster.sql(
      `select data from events where type = 'user.password_changed' and user_id = $1`,
      [user.id],
    )
    expect(event.data).toEqual({ userId: user.id, changedAt: '2026-01-31T10:00:00.000Z' })
  })

  test('is answered the same for known and unknown addresses, in status, headers and body', async () => {
    const user = await roster.signUp()
    const ask = (email: string) => roster.post(`${auth}/password-reset-request`, { email })
    const [known, unknown] = [await ask(user.email), await ask('nobody@example.com')]
    const shape = ({ status, body, headers }: typeof known) => {
      const { 'x-request-id': _, date: __, ...rest } = headers
      return { status, body, headers: rest }
    }
    expect(shape(unknown)).toEqual(shape(known))
    await roster.runJobs()
    expect(await sentTo(roster, 'nobody@example.com')).toEqual([])
  })

  test('takes as long for an unknown address as for a known one: 200 interleaved pairs', async () => {
    const user = await roster.signUp()
    const ask = (email: string) => () => roster.post(`${auth}/password-reset-request`, { email })
    const slower = await compare(200, ask(user.email), ask('nobody-timed@example.com'))
    expect(slower).toBeGreaterThan(0.3)
    expect(slower).toBeLessThan(0.7)
  })

  test('shows in the activity of whoever it was asked for, active or not, and in the log for anybody', async () => {
    const [user, inactive] = [await roster.signUp(), await roster.signUp()]
    await roster.sql('update users set is_active = false where id = $1', [inactive.id])
    const headers = { 'user-agent': 'Stranger/1.0', 'x-request-id': 'asked-1' }
    for (const email of [user.email, inactive.email, 'nobody-logged@example.com']) {
      await roster.post(`${auth}/password-reset-request`, { email }, { headers })
    }
    await roster.runJobs()
    const rows = await roster.sql(
      `select actor_type, subject_id from audit_log
       where action = 'password.reset_requested' and request_id = 'asked-1' order by subject_id`,
    )
    expect(rows.map(({ actor_type }) => actor_type)).toEqual(['anonymous', 'anonymous', 'anonymous'])
    expect(rows.map(({ subject_id }) => subject_id)).toEqual([user.id, inactive.id, null])
    const { body } = await roster.get('/api/v1/users/me/activity', { token: user.token })
    expect(body.items[0]).toMatchObject({
      action: 'password.reset_requested',
      by: 'anonymous',
      ip: '127.0.0.1',
      user_agent: 'Stranger/1.0',
    })
  })

  test('over the quota is answered the same, and no mail goes out', async () => {
    const user = await roster.signUp()
    for (let n = 0; n < 30; n += 1) {
      const { status } = await roster.post(`${auth}/password-reset-request`, { email: user.email })
      expect(status).toBe(202)
    }
    await roster.runJobs()
    // The mail of the registration was the first of 20.
    expect(await sentTo(roster, user.email)).toHaveLength(20)
  })

  test('link works once, of 20 at the same moment, and others of its kind end with it', async () => {
    const user = await roster.signUp()
    const [first, second] = [await resetToken(user.email), await resetToken(user.email)]
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, n) => confirm(second, `Parallel${n}Pass`)),
    )
    expect(replies.filter(({ status }) => status === 204)).toHaveLength(1)
    expect(replies.filter(({ body }) => body?.code === 'invalid_link')).toHaveLength(19)
    expect((await confirm(first)).body.code).toBe('invalid_link')
    const winner = replies.findIndex(({ status }) => status === 204)
    expect((await login(user.email, `Parallel${winner}Pass`)).status).toBe(200)
  })

  test('a password against the policy leaves the link as it is; an hour ends it', async () => {
    const user = await roster.signUp()
    const token = await resetToken(user.email)
    const weak = await confirm(token, 'short')
    expect([weak.body.code, weak.body.errors[0].path]).toEqual(['validation_failed', '/new_password'])
    roster.clock.advance(hours(1))
    expect((await confirm(token)).body.code).toBe('invalid_link')
  })

  test('no other token will do', async () => {
    const user = await roster.signUp()
    const verify = tokenOf((await lastSent(roster, user.email, 'verify_email')).link)
    for (const token of [verify, user.token, user.refresh, 'x', '%00', `${verify} `]) {
      expect([400, 401]).toContain((await confirm(token.slice(0, 128))).status)
    }
  })

  test('is nothing for the inactive and the deleted', async () => {
    const user = await roster.signUp()
    const token = await resetToken(user.email)
    await roster.delete('/api/v1/users/me', { token: user.token })
    expect((await confirm(token)).body.code).toBe('invalid_link')
    await roster.post(`${auth}/password-reset-request`, { email: user.email })
    await roster.runJobs()
    const resets = (await sentTo(roster, user.email)).filter(({ template }) => template === 'password_reset')
    expect(resets).toHaveLength(1)
  })

  test('links start with the configured address, whatever host a request names', async () => {
    const user = await roster.signUp()
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example;proto=https',
      'x-forwarded-proto': 'https',
    }
    await roster.post(`${auth}/password-reset-request`, { email: user.email }, { headers })
    await roster.runJobs()
    const { link } = await lastSent(roster, user.email, 'password_reset')
    expect(link).toMatch(/^http:\/\/localhost:8000\/reset-password\?token=/)
  })
})

describe('proving an address', () => {
  const verifyMail = (email: string) => lastSent(roster, email, 'verify_email')
  const verify = (body: object, token?: string) =>
    roster.post(`${auth}/verify-email`, body, token === undefined ? {} : { token })

  test('by the link of the registration mail, signed in or not, keeps password and sessions', async () => {
    const user = await roster.signUp()
    const { link } = await verifyMail(user.email)
    const { status, body } = await verify({ token: tokenOf(link) })
    expect([status, body.email_verified, body.updated_at]).toEqual([200, true, null])
    expect(await isLiving(user)).toBe(true)
    expect((await verify({ token: tokenOf(link) })).body.code).toBe('invalid_link')
    const events = await roster.sql(
      `select 1 from events where type = 'user.email_verified' and user_id = $1`,
      [user.id],
    )
    expect(events).toHaveLength(1)
  })

  test('by the code of that mail', async () => {
    const [user, other] = [await roster.signUp(), await roster.signUp()]
    const { code } = await verifyMail(user.email)
    expect((await verify({ code }, user.token)).body.email_verified).toBe(true)
    const mail = await verifyMail(other.email)
    expect((await verify({ email: other.email, code: mail.code })).body.email_verified).toBe(true)
  })

  test('a wrong code tells a stranger the same for every address, cool-down included', async () => {
    const user = await roster.signUp()
    const { code } = await verifyMail(user.email)
    const wrong = code === '000000' ? '000001' : '000000'
    for (const email of [user.email, 'nobody@example.com']) {
      for (let n = 0; n < 5; n += 1) {
        const { status, body } = await verify({ email, code: wrong })
        expect([status, body.code]).toEqual([400, 'invalid_code'])
      }
    }
    expect((await verify({ code }, user.token)).body.code).toBe('otp_cooldown')
    const { link } = await verifyMail(user.email)
    expect((await verify({ token: tokenOf(link) })).status).toBe(200)
  })

  test('names what is missing', async () => {
    const { token, email } = await roster.signUp()
    const missing = async (body: object, signedIn?: string) => {
      const reply = await verify(body, signedIn)
      expect([reply.status, reply.body.code]).toEqual([400, 'validation_failed'])
      return reply.body.errors.map(({ path }: { path: string }) => path)
    }
    expect(await missing({})).toEqual(['/code', '/email'])
    expect(await missing({ code: '123456' })).toEqual(['/email'])
    expect(await missing({ email })).toEqual(['/code'])
    expect(await missing({}, token)).toEqual(['/code'])
  })

  test('closed to codes by a stranger’s wrong ones still brings a mail with a link', async () => {
    const user = await roster.signUp()
    await roster.post(`${auth}/verify-email-request`, { email: user.email })
    await roster.runJobs()
    for (let n = 0; n < 3; n += 1) await verify({ email: user.email, code: '000000' })
    const { status } = await roster.post(`${auth}/verify-email-request`, {}, { token: user.token })
    expect(status).toBe(202)
    const mail = await verifyMail(user.email)
    expect(mail).not.toHaveProperty('code')
    expect((await verify({ token: tokenOf(mail.link) })).body.email_verified).toBe(true)
    expect(await isLiving(user)).toBe(true)
  })

  test('closed to codes, its mails are counted as ever', async () => {
    const user = await roster.signUp()
    for (let n = 0; n < 3; n += 1) await verify({ code: '000000' }, user.token)
    const ask = () => roster.post(`${auth}/verify-email-request`, {}, { token: user.token })
    // The mail of the registration was the first of 20.
    for (let n = 0; n < 19; n += 1) expect((await ask()).status).toBe(202)
    expect((await ask()).status).toBe(429)
  })

  test('a second mail can be asked for, with a token to the number of the quota', async () => {
    const user = await roster.signUp()
    const ask = () => roster.post(`${auth}/verify-email-request`, {}, { token: user.token })
    for (let n = 0; n < 19; n += 1) expect((await ask()).status).toBe(202)
    const { status, body, headers } = await ask()
    expect([status, body.code, headers['retry-after']]).toEqual([429, 'otp_quota_exceeded', '3600'])
    await verify({ token: tokenOf((await verifyMail(user.email)).link) })
    expect((await ask()).status).toBe(202)
    expect((await roster.post(`${auth}/verify-email-request`, {})).status).toBe(401)
  })

  test('asking by address takes as long for an unknown one: 200 interleaved pairs', async () => {
    const user = await roster.signUp()
    const ask = (email: string) => () => roster.post(`${auth}/verify-email-request`, { email })
    const slower = await compare(200, ask(user.email), ask('nobody-timed@example.com'))
    expect(slower).toBeGreaterThan(0.3)
    expect(slower).toBeLessThan(0.7)
  })

  test('that somebody else registered first ends their sessions and password', async () => {
    const thief = await roster.signUp({ email: 'victim@example.com' })
    await roster.post(`${auth}/verify-email-request`, { email: 'victim@example.com' })
    await roster.runJobs()
    const { link } = await verifyMail('victim@example.com')
    expect((await verify({ token: tokenOf(link) })).body.email_verified).toBe(true)
    expect(await isLiving(thief)).toBe(false)
    expect((await login(thief.email, thief.password)).status).toBe(401)
    const refreshed = await roster.post(`${auth}/refresh`, { refresh_token: thief.refresh })
    expect(refreshed.status).toBe(401)
    const { link: reset } = await lastSent(roster, 'victim@example.com', 'password_reset')
    expect((await confirm(tokenOf(reset))).status).toBe(204)
    expect((await login('victim@example.com', newPassword)).status).toBe(200)
  })

  test('by a mail that was asked for by address keeps everything for whoever is signed in', async () => {
    const user = await roster.signUp()
    await roster.post(`${auth}/verify-email-request`, { email: user.email })
    await roster.runJobs()
    const { link } = await verifyMail(user.email)
    expect((await verify({ token: tokenOf(link) }, user.token)).status).toBe(200)
    expect(await isLiving(user)).toBe(true)
    expect((await login(user.email, user.password)).status).toBe(200)
  })

  test('REQUIRE_VERIFIED_EMAIL: nobody signs in before, and a refused sign-in sends the mail again', async () => {
    const user = { email: 'strict@example.com', password: 'SecurePass123' }
    await strictly.post(`${auth}/register`, user)
    const refused = await strictly.post(`${auth}/login`, user)
    expect([refused.status, refused.body.code]).toEqual([403, 'email_not_verified'])
    const wrong = await strictly.post(`${auth}/login`, { ...user, password: 'WrongPass123' })
    expect([wrong.status, wrong.body.code]).toEqual([401, 'invalid_credentials'])
    expect(await sentTo(roster, user.email)).toHaveLength(2)
    await verify({ token: tokenOf((await verifyMail(user.email)).link) })
    expect((await strictly.post(`${auth}/login`, user)).status).toBe(200)
  })
})

describe('with REGISTRATION_PRIVACY', () => {
  const register = (email: string, more: object = {}) =>
    privately.post(`${auth}/register`, { email, password: 'SecurePass123', ...more })

  test('a free address gets an account, and the reply does not say so', async () => {
    const free = await register('private@example.com', { username: 'privately' })
    expect([free.status, free.body]).toEqual([202, { message: expect.any(String) }])
    await privately.runJobs()
    await lastSent(roster, 'private@example.com', 'verify_email')
    const { body } = await login('private@example.com', 'SecurePass123')
    expect(body.user.username).toBe('privately')
  })

  test('a taken address gets the same reply, and its owner a mail instead', async () => {
    const owner = await roster.signUp()
    const taken = await register(owner.email.toUpperCase())
    const free = await register('also-free@example.com')
    expect([taken.status, taken.body]).toEqual([free.status, free.body])
    await privately.runJobs()
    const { link } = await lastSent(roster, owner.email, 'address_already_registered')
    expect((await login(owner.email, owner.password)).status).toBe(200)
    expect((await confirm(tokenOf(link))).status).toBe(204)
  })

  test('a taken username or number tells nothing either: the account gets another, and none', async () => {
    await roster.signUp({ username: 'in-use', phone_number: '+43660555555' })
    const both = { username: 'in-use', phone_number: '+43660555555' }
    expect((await register('other@example.com', both)).status).toBe(202)
    await privately.runJobs()
    const { body } = await login('other@example.com', 'SecurePass123')
    expect(body.user).toMatchObject({ username: 'other', phone_number: null })
  })

  test('the waiting job holds nothing in clear', async () => {
    await register('sealed@example.com', { full_name: 'Sealed Name' })
    const jobs = await roster.sql('select payload::text as text from graphile_worker._private_jobs')
    expect(jobs.length).toBeGreaterThan(0)
    expect(jobs.some(({ text }) => /sealed@example|Sealed Name|argon2/.test(text))).toBe(false)
    await privately.runJobs()
  })

  test('takes as long for a taken address as for a free one: 100 interleaved pairs', async () => {
    const owner = await roster.signUp()
    let n = 0
    const slower = await compare(
      100,
      () => register(owner.email),
      () => register(`timed${++n}@example.com`),
    )
    expect(slower).toBeGreaterThan(0.25)
    expect(slower).toBeLessThan(0.75)
  })

  test('what breaks a rule is refused as ever', async () => {
    expect((await register('weak@example.com', { password: 'weak' })).status).toBe(400)
    expect((await register('role@example.com', { role: 'admin' })).status).toBe(403)
  })
})

describe('deleting one’s account', () => {
  const remove = (user: SignedUp) => roster.delete('/api/v1/users/me', { token: user.token })
  const restore = (token: string) => roster.post(`${auth}/restore-account`, { token })
  const restoreToken = async (email: string) =>
    tokenOf((await lastSent(roster, email, 'account_deleted')).restore_link)

  test('ends it at once: sessions, sign-in, refresh; and keeps its name from others', async () => {
    const user = await roster.signUp()
    expect((await remove(user)).status).toBe(204)
    expect(await isLiving(user)).toBe(false)
    expect((await login(user.email, user.password)).body.code).toBe('invalid_credentials')
    expect((await roster.post(`${auth}/refresh`, { refresh_token: user.refresh })).status).toBe(401)
    const again = { email: user.email, password: 'SecurePass123' }
    expect((await roster.post(`${auth}/register`, again)).status).toBe(409)
    const events = await roster.sql(`select data from events where type = 'user.deleted' and user_id = $1`, [
      user.id,
    ])
    expect(events).toHaveLength(1)
  })

  test('can be undone by the link of the mail for 30 days, once of 20 at the same moment', async () => {
    const user = await roster.signUp()
    await remove(user)
    const mail = await lastSent(roster, user.email, 'account_deleted')
    expect(mail.erase_at).toBe(new Date(roster.clock.now().getTime() + days(30)).toISOString())
    roster.clock.advance(days(30) - minutes(1))
    const token = await restoreToken(user.email)
    const replies = await Promise.all(Array.from({ length: 20 }, () => restore(token)))
    expect(replies.filter(({ status }) => status === 204)).toHaveLength(1)
    expect(await isLiving(user)).toBe(false)
    expect((await login(user.email, user.password)).status).toBe(200)
  })

  test('a link of an earlier deletion does not undo a later one', async () => {
    const user = await roster.signUp()
    await remove(user)
    const first = await restoreToken(user.email)
    await roster.sql(`update users set is_active = true, deleted_at = null where id = $1`, [user.id])
    roster.clock.advance(minutes(1))
    const again = await roster.signIn(user)
    await remove(again)
    expect((await restore(first)).body.code).toBe('invalid_link')
    expect((await restore(await restoreToken(user.email))).status).toBe(204)
  })

  test('is refused to the last administrator, also when two leave at the same moment', async () => {
    const [one, two] = [await roster.signUpAdmin(), await roster.signUpAdmin()]
    const replies = await Promise.all([remove(one), remove(two)])
    expect(replies.map(({ status }) => status).sort()).toEqual([204, 409])
  })
})

test('an invitation link sets the first password and proves the address', async () => {
  const user = await roster.signUp()
  const { store, verification } = roster.services
  const { token } = await store.transact(trx =>
    verification.issueLink(trx, roster.clock.now(), {
      purpose: 'INVITATION',
      userId: user.id,
      target: user.email,
    }),
  )
  expect((await confirm(token)).body.code).toBe('invalid_link')
  const accept = { token, new_password: newPassword }
  expect((await roster.post(`${auth}/accept-invitation`, accept)).status).toBe(204)
  const { body } = await login(user.email, newPassword)
  expect(body.user.email_verified).toBe(true)
})

test('erasing a user leaves no address or device of whoever asked to reset their password', async () => {
  const [user, admin] = [await roster.signUp(), await roster.signUpAdmin()]
  await roster.post(`${auth}/password-reset-request`, { email: user.email })
  await roster.runJobs()
  const kept = () =>
    roster.sql(
      `select 1 from audit_log a join audit_personal p on p.audit_id = a.id
       where a.action = 'password.reset_requested' and a.subject_id = $1`,
      [user.id],
    )
  expect(await kept()).toHaveLength(1)
  await roster.delete(`/api/v1/users/${user.id}?erase=true`, { token: admin.token })
  expect(await kept()).toHaveLength(0)
})
