import { describe, expect, test } from 'vitest'
import { hours, minutes } from '../../lib/clock.ts'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent, sentTo, tokenOf } from '../../testing/outbox.ts'

const roster = await useTestApp()
const privately = await useTestApp({
  config: { registrationPrivacy: true },
  databaseUrl: roster.databaseUrl,
  clock: roster.clock,
})

let addresses = 0
const fresh = () => `new${++addresses}@example.com`
const path = '/api/v1/auth/profile/email'
const newPassword = 'BrandNewPass456'

const initiate = (user: SignedUp, new_email: string) =>
  roster.post(`${path}/initiate`, { new_email }, { token: user.token })
const complete = (user: SignedUp, new_email: string, otp: string | undefined) =>
  roster.post(`${path}/complete`, { new_email, otp }, { token: user.token })
const undo = (token: string, new_password = newPassword) =>
  roster.post(`${path}/undo`, { token, new_password })
const codeFor = async (email: string) => (await lastSent(roster, email, 'email_change_code')).code
const undoToken = async (email: string) => tokenOf((await lastSent(roster, email, 'email_changed')).undo_link)
const login = (email: string, password: string) => roster.post('/api/v1/auth/login', { email, password })
const me = (user: SignedUp) => roster.get('/api/v1/users/me', { token: user.token })

async function change(user: SignedUp, email = fresh()): Promise<string> {
  await initiate(user, email)
  const { status } = await complete(user, email, await codeFor(email))
  expect(status).toBe(200)
  return email
}

describe('a change of e-mail address', () => {
  test('sends a code to the new address alone, and changes nothing yet', async () => {
    const user = await roster.signUp()
    const email = fresh()
    const before = await me(user)
    const { status, body } = await initiate(user, email)
    expect([status, body]).toEqual([200, { new_email: email, next_step: 'verify_email_update_otp' }])
    expect(await sentTo(roster, email)).toMatchObject([{ template: 'email_change_code' }])
    expect((await sentTo(roster, user.email)).map(({ template }) => template)).toEqual(['verify_email'])
    expect((await me(user)).body).toEqual(before.body)
  })

  test('with the code sets it verified, ends other sessions, tells the old address and the world', async () => {
    const user = await roster.signUp()
    const elsewhere = await roster.signIn(user)
    const email = fresh()
    await initiate(user, email)
    const { status, body } = await complete(user, email, await codeFor(email))
    expect([status, body]).toEqual([
      200,
      { email, email_verified: true, email_verified_at: roster.clock.now().toISOString() },
    ])
    expect((await me(user)).body).toMatchObject({ email, email_verified: true, updated_by: user.id })
    expect((await me(elsewhere)).status).toBe(401)
    const notice = await lastSent(roster, user.email, 'email_changed')
    expect(notice.new_email_masked).toBe('n•••••@example.com')
    expect(notice.undo_link).toMatch(/^http:\/\/localhost:8000\/undo-email-change\?token=[\w-]{43}$/)
    const [event] = await roster.sql(
      `select data from events where type = 'user.email_updated' and user_id = $1`,
      [user.id],
    )
    expect(event.data).toMatchObject({ oldEmail: user.email, newEmail: email, emailVerified: true })
    expect((await login(user.email, user.password)).status).toBe(401)
    expect((await login(email, user.password)).status).toBe(200)
  })

  test('needs a sign-in from the last 10 minutes, or a step-up', async () => {
    const user = await roster.signUp()
    roster.clock.advance(minutes(10))
    expect((await initiate(user, fresh())).status).toBe(200)
    roster.clock.advance(1)
    const refused = await initiate(user, fresh())
    expect([refused.status, refused.body.code]).toEqual([403, 'step_up_required'])
    const stepUp = (password: string) =>
      roster.post('/api/v1/auth/step-up', { password }, { token: user.token })
    expect((await stepUp('WrongPass123')).body.code).toBe('invalid_current_password')
    const { body } = await stepUp(user.password)
    expect(body.session_id).not.toBe(user.session)
    expect((await me(user)).status).toBe(401)
    expect((await initiate({ ...user, token: body.access_token }, fresh())).status).toBe(200)
  })

  test('to the present address, in any spelling, or to a taken one is refused', async () => {
    const user = await roster.signUp()
    const other = await roster.signUp()
    expect((await initiate(user, user.email.toUpperCase())).body.code).toBe('email_unchanged')
    expect((await initiate(user, other.email.toUpperCase())).body.code).toBe('email_taken')
    expect((await initiate(user, 'a@b@example.com')).body.code).toBe('validation_failed')
  })

  test('with REGISTRATION_PRIVACY a taken address gets the same reply, and its owner a mail', async () => {
    const user = await roster.signUp()
    const other = await roster.signUp()
    const ask = (new_email: string) =>
      privately.post(`${path}/initiate`, { new_email }, { token: user.token })
    const email = fresh()
    const [free, taken] = [await ask(email), await ask(other.email)]
    expect(taken.status).toBe(free.status)
    expect(taken.body).toEqual({ ...free.body, new_email: other.email })
    await lastSent(roster, other.email, 'address_already_registered')
  })

  test('with REGISTRATION_PRIVACY is answered the same for a free, a taken and a held address, guesses too', async () => {
    const [owner, leaver] = [await roster.signUp(), await roster.signUp()]
    const held = leaver.email
    await change(leaver)
    const walk = async (new_email: string) => {
      let user = await roster.signUp()
      const replies: [number, string | undefined][] = []
      const send = async (step: string, body: object) => {
        const { status, body: reply } = await privately.post(`${path}/${step}`, body, { token: user.token })
        replies.push([status, reply.code])
      }
      const guess = () => send('complete', { new_email, otp: '000000' })
      await send('initiate', { new_email })
      for (let n = 0; n < 4; n += 1) await guess()
      await send('initiate', { new_email })
      roster.clock.advance(minutes(15))
      user = await roster.signIn(user)
      for (let n = 0; n < 20; n += 1) await send('initiate', { new_email })
      roster.clock.advance(hours(1))
      return replies
    }
    const free = await walk(fresh())
    expect(free.slice(0, 6).map(([status]) => status)).toEqual([200, 400, 400, 400, 429, 429])
    expect(free.at(-1)).toEqual([429, 'otp_quota_exceeded'])
    expect(await walk(owner.email)).toEqual(free)
    expect(await walk(held)).toEqual(free)
    expect((await sentTo(roster, held)).map(({ template }) => template)).not.toContain('email_change_code')
  })

  test('with REGISTRATION_PRIVACY closes a taken address to nothing that its owner needs', async () => {
    const [owner, stranger] = [await roster.signUp(), await roster.signUp()]
    const send = (step: string, more: object = {}) =>
      privately.post(`${path}/${step}`, { new_email: owner.email, ...more }, { token: stranger.token })
    await send('initiate')
    for (let n = 0; n < 3; n += 1) await send('complete', { otp: '000000' })
    expect((await send('initiate')).body.code).toBe('otp_cooldown')
    const setup = await privately.post('/api/v1/auth/mfa/email/setup', undefined, { token: owner.token })
    expect(setup.status).toBe(200)
  })

  test('to an address that is held for its old owner is refused before a code is sent', async () => {
    const [user, leaver] = [await roster.signUp(), await roster.signUp()]
    await change(leaver)
    expect((await initiate(user, leaver.email)).body.code).toBe('email_taken')
    expect((await initiate(leaver, leaver.email)).status).toBe(200)
    roster.clock.advance(hours(72))
    const again = await roster.signIn(user)
    expect((await initiate(again, leaver.email)).status).toBe(200)
  })

  test('to something that is no address names the field that holds it', async () => {
    const user = await roster.signUp()
    const { status, body } = await initiate(user, 'nope')
    expect([status, body.code, body.errors]).toEqual([
      400,
      'validation_failed',
      [
        {
          path: '/new_email',
          code: 'email',
          message: 'new_email takes one e-mail address of at most 254 characters',
        },
      ],
    ])
  })

  test('sets the address as it was spelled for the code, not as it is spelled with it', async () => {
    const user = await roster.signUp()
    const email = fresh()
    await initiate(user, email)
    const { body } = await complete(user, email.toUpperCase(), await codeFor(email))
    expect(body.email).toBe(email)
  })

  test('takes no code that was sent for another address or to another user', async () => {
    const [user, other] = [await roster.signUp(), await roster.signUp()]
    const [mine, theirs] = [fresh(), fresh()]
    await initiate(user, mine)
    await initiate(other, theirs)
    const code = await codeFor(mine)
    expect((await complete(user, fresh(), code)).body.code).toBe('invalid_code')
    expect((await complete(other, mine, code)).body.code).toBe('invalid_code')
    expect((await complete(user, mine, code)).status).toBe(200)
  })

  test('a reset link that went to the old address is worth nothing after it', async () => {
    const user = await roster.signUp()
    await roster.post('/api/v1/auth/password-reset-request', { email: user.email })
    await roster.runJobs()
    const token = tokenOf((await lastSent(roster, user.email, 'password_reset')).link)
    await change(user)
    const reset = await roster.post('/api/v1/auth/password-reset-confirm', {
      token,
      new_password: newPassword,
    })
    expect(reset.body.code).toBe('invalid_link')
  })

  test('three wrong codes close the address for 15 minutes, with Retry-After', async () => {
    const user = await roster.signUp()
    const email = fresh()
    await initiate(user, email)
    const code = await codeFor(email)
    const wrong = code === '000000' ? '000001' : '000000'
    for (let n = 0; n < 3; n += 1) expect((await complete(user, email, wrong)).body.code).toBe('invalid_code')
    const closed = await complete(user, email, code)
    expect([closed.status, closed.body.code, closed.headers['retry-after']]).toEqual([
      429,
      'otp_cooldown',
      '900',
    ])
    expect((await initiate(user, email)).body.code).toBe('otp_cooldown')
  })
})

describe('undoing it', () => {
  test('restores the address, ends all sessions and sets a new password', async () => {
    const user = await roster.signUp()
    const email = await change(user)
    const token = await undoToken(user.email)
    roster.clock.advance(hours(72) - 1)
    const { status, body } = await undo(token)
    expect([status, body]).toEqual([200, { email: user.email }])
    expect((await me(user)).status).toBe(401)
    expect((await login(user.email, user.password)).status).toBe(401)
    expect((await login(email, newPassword)).status).toBe(401)
    const { body: tokens } = await login(user.email, newPassword)
    expect(tokens.user).toMatchObject({ email: user.email, email_verified: true })
    await lastSent(roster, user.email, 'password_changed')
  })

  test('is over after 72 hours', async () => {
    const user = await roster.signUp()
    await change(user)
    const token = await undoToken(user.email)
    roster.clock.advance(hours(72))
    expect((await undo(token)).body.code).toBe('invalid_link')
  })

  test('a weak password leaves the link as it is', async () => {
    const user = await roster.signUp()
    await change(user)
    const token = await undoToken(user.email)
    expect((await undo(token, 'weak')).body.code).toBe('validation_failed')
    expect((await undo(token)).status).toBe(200)
  })

  test('works for the first address after two changes, and then no more for the second', async () => {
    const user = await roster.signUp()
    const second = await change(user)
    await change(user)
    const [first, later] = [await undoToken(user.email), await undoToken(second)]
    expect((await undo(first)).body).toEqual({ email: user.email })
    expect((await undo(later)).body.code).toBe('invalid_link')
  })

  test('survives a password reset by whoever has the new address', async () => {
    const user = await roster.signUp()
    const email = await change(user)
    await roster.post('/api/v1/auth/password-reset-request', { email })
    await roster.runJobs()
    const reset = tokenOf((await lastSent(roster, email, 'password_reset')).link)
    await roster.post('/api/v1/auth/password-reset-confirm', { token: reset, new_password: 'ThiefsPass789' })
    expect((await undo(await undoToken(user.email))).status).toBe(200)
  })

  test('can’t be blocked: nobody else takes the old address while it can be undone', async () => {
    const user = await roster.signUp()
    await change(user)
    const thief = { email: user.email.toUpperCase(), password: 'SecurePass123' }
    expect((await roster.post('/api/v1/auth/register', thief)).body.code).toBe('email_taken')
    roster.clock.advance(hours(72))
    expect((await roster.post('/api/v1/auth/register', thief)).status).toBe(201)
  })
})

describe('at the same moment', () => {
  test('a code sent 30 times changes the address once', async () => {
    const user = await roster.signUp()
    const email = fresh()
    await initiate(user, email)
    const code = await codeFor(email)
    const replies = await Promise.all(Array.from({ length: 30 }, () => complete(user, email, code)))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(replies.filter(({ body }) => body.code === 'invalid_code')).toHaveLength(29)
    expect(
      (await sentTo(roster, user.email)).filter(({ template }) => template === 'email_changed'),
    ).toHaveLength(1)
  })

  test('20 users with codes for one address: one gets it, the others are told', async () => {
    const users = await Promise.all(Array.from({ length: 20 }, () => roster.signUp()))
    const email = fresh()
    const codes = await Promise.all(
      users.map(async user => {
        await initiate(user, email)
        return user
      }),
    )
    const sent = (await sentTo(roster, email)).map(({ data }) => data.code)
    expect(sent).toHaveLength(20)
    const byUser = await roster.sql(
      'select user_id, id from messages where recipient = $1 order by id desc',
      [email],
    )
    const codeOf = (user: SignedUp) => sent[byUser.findIndex(({ user_id }) => user_id === user.id)]
    const replies = await Promise.all(codes.map(user => complete(user, email, codeOf(user))))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(replies.filter(({ body }) => body.code === 'email_taken')).toHaveLength(19)
  })

  test.each(['a registration', 'an invitation'])('%s of the address: one of the two has it', async what => {
    const admin = await roster.signUpAdmin()
    const create = (email: string) =>
      what === 'an invitation'
        ? roster.post('/api/v1/users', { email }, { token: admin.token })
        : roster.post('/api/v1/auth/register', { email, password: 'SecurePass123' })
    for (let n = 0; n < 20; n += 1) {
      const user = await roster.signUp()
      const email = fresh()
      await initiate(user, email)
      const code = await codeFor(email)
      const [changed, created] = await Promise.all([complete(user, email, code), create(email)])
      expect([changed.status, created.status]).toEqual(changed.status === 200 ? [200, 409] : [409, 201])
    }
  })

  test('completing and initiating anew: the change happened or its code is void, never both', async () => {
    for (let n = 0; n < 20; n += 1) {
      const user = await roster.signUp()
      const [email, next] = [fresh(), fresh()]
      await initiate(user, email)
      const code = await codeFor(email)
      const [done, again] = await Promise.all([complete(user, email, code), initiate(user, next)])
      expect(again.status).toBe(200)
      expect(['invalid_code', undefined]).toContain(done.body.code)
      expect((await me(user)).body.email).toBe(done.status === 200 ? email : user.email)
      const last = await complete(user, next, await codeFor(next))
      expect([200, 400]).toContain(last.status)
    }
  })

  test('undoing and completing the next change: the old address has the account, and nobody else', async () => {
    for (let n = 0; n < 20; n += 1) {
      const user = await roster.signUp()
      await change(user)
      const token = await undoToken(user.email)
      const next = fresh()
      await initiate(user, next)
      const code = await codeFor(next)
      const [undone, completed] = await Promise.all([undo(token), complete(user, next, code)])
      expect(undone.status).toBe(200)
      expect([200, 400, 401]).toContain(completed.status)
      expect((await login(user.email, newPassword)).status).toBe(200)
      expect((await me(user)).status).toBe(401)
    }
  })

  test('undoing 20 times works once', async () => {
    const user = await roster.signUp()
    await change(user)
    const token = await undoToken(user.email)
    const replies = await Promise.all(Array.from({ length: 20 }, () => undo(token)))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(replies.filter(({ body }) => body.code === 'invalid_link')).toHaveLength(19)
  })
})

test('changes of an address are counted by how they went', async () => {
  const text = await roster.resources.metrics.registry.metrics()
  for (const outcome of ['initiated', 'completed', 'failed', 'undone']) {
    expect(text).toMatch(new RegExp(`email_changes_total\\{outcome="${outcome}"\\} [1-9]`))
  }
})

test.each(['code', 'otp'])(
  'a change of the address is completed with the field %s, and not with both',
  async field => {
    const user = await roster.signUp()
    const new_email = `named-${field}@example.com`
    const send = (path: string, body: object) =>
      roster.post(`/api/v1/auth/profile/email/${path}`, body, { token: user.token })
    await send('initiate', { new_email })
    const mails = await roster.get(`/dev/mailbox.json?to=${new_email}`)
    const { code } = mails.body.items[0]
    expect((await send('complete', { new_email, code, otp: code })).status).toBe(400)
    expect((await send('complete', { new_email })).body.errors[0].path).toBe('/code')
    expect((await send('complete', { new_email, [field]: code })).body.email).toBe(new_email)
  },
)
