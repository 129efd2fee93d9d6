import { describe, expect, test } from 'vitest'
import { days, hours } from '../../lib/clock.ts'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent, sentTo, tokenOf } from '../../testing/outbox.ts'
import { registerPasskey, signInWithPasskey } from '../../testing/software-authenticator.ts'

/* The way back for whoever deleted their account, and registers with its address or wants a new password. */

const roster = await useTestApp()
const same = { databaseUrl: roster.databaseUrl, clock: roster.clock }
const privately = await useTestApp({ ...same, config: { registrationPrivacy: true } })

const auth = '/api/v1/auth'
const password = 'AnotherPass123'
const login = (user: SignedUp) => roster.post(`${auth}/login`, { email: user.email, password: user.password })

const restoreLinks = async (email: string) =>
  (await sentTo(roster, email))
    .filter(({ template }) => template === 'account_deleted')
    .map(({ data }) => data)

const restore = (link: string | undefined) => roster.post(`${auth}/restore-account`, { token: tokenOf(link) })

const prove = async ({ email, token }: SignedUp) => {
  const link = tokenOf((await lastSent(roster, email, 'verify_email')).link)
  expect((await roster.post(`${auth}/verify-email`, { token: link }, { token })).status).toBe(200)
}

async function deleted(): Promise<SignedUp> {
  const user = await roster.signUp()
  await prove(user)
  expect((await roster.delete('/api/v1/users/me', { token: user.token })).status).toBe(204)
  return user
}

const asks: Record<string, (email: string) => Promise<unknown>> = {
  async 'registers again'(email) {
    const reply = await roster.post(`${auth}/register`, { email, password })
    expect([reply.status, reply.body.code]).toEqual([409, 'email_taken'])
  },
  async 'registers again, the address written another way'(email) {
    await roster.post(`${auth}/register`, { email: ` ${email.toUpperCase()} `, password })
  },
  async 'registers again, privately'(email) {
    const reply = await privately.post(`${auth}/register`, { email, password })
    expect(reply.status).toBe(202)
  },
  async 'wants a new password'(email) {
    expect((await roster.post(`${auth}/password-reset-request`, { email })).status).toBe(202)
  },
  async 'is invited by an administrator'(email) {
    const { token } = await roster.signUpAdmin()
    const reply = await roster.post('/api/v1/users', { email }, { token })
    expect([reply.status, reply.body.code]).toEqual([409, 'email_taken'])
  },
  async 'is wanted as somebody’s new address, privately'(email) {
    const { token } = await roster.signUp()
    await privately.post(`${auth}/profile/email/initiate`, { new_email: email }, { token })
  },
}

describe('somebody who deleted their account', () => {
  test.each(Object.keys(asks))('and %s gets a new mail that restores it', async way => {
    const user = await deleted()
    await asks[way]?.(user.email)
    await roster.runJobs()
    const links = await restoreLinks(user.email)
    expect(links).toHaveLength(2)
    expect(links[0]?.restore_link).not.toBe(links[1]?.restore_link)
    expect(links[0]?.erase_at).toBe(links[1]?.erase_at)
    expect((await login(user)).status).toBe(401)
    expect((await restore(links[0]?.restore_link)).status).toBe(204)
    expect((await login(user)).body.user.id).toBe(user.id)
    // The first one is of the same deletion, which is over.
    expect((await restore(links[1]?.restore_link)).status).toBe(400)
  })

  test('can have it back until it is erased, and by no mail for longer', async () => {
    const user = await deleted()
    roster.clock.advance(days(29))
    await asks['wants a new password']?.(user.email)
    await roster.runJobs()
    const [{ restore_link } = {}] = await restoreLinks(user.email)
    roster.clock.advance(days(1) - 1)
    expect((await restore(restore_link)).status).toBe(204)
    await roster.delete('/api/v1/users/me', { token: (await roster.signIn(user)).token })
    roster.clock.advance(days(29))
    await asks['wants a new password']?.(user.email)
    await roster.runJobs()
    const [again] = await restoreLinks(user.email)
    roster.clock.advance(days(1))
    expect((await restore(again?.restore_link)).status).toBe(400)
    await asks['wants a new password']?.(user.email)
    expect(await restoreLinks(user.email)).toHaveLength(4)
  })

  test('is not flooded: these mails count in the quota of the address', async () => {
    const user = await deleted()
    for (let n = 0; n < 25; n += 1) await asks['registers again']?.(user.email)
    await roster.runJobs()
    // 20 an hour, of which the mail of the registration was one; and the notice of the deletion, which is not counted.
    expect(await restoreLinks(user.email)).toHaveLength(20)
    roster.clock.advance(hours(1) + 1)
    await asks['registers again']?.(user.email)
    await roster.runJobs()
    expect(await restoreLinks(user.email)).toHaveLength(21)
  })
})

test('what an administrator deleted or closed is offered to nobody', async () => {
  const admin = await roster.signUpAdmin()
  for (const close of ['delete', 'deactivate'] as const) {
    const user = await roster.signUp()
    const url = `/api/v1/users/${user.id}`
    if (close === 'delete') await roster.delete(url, { token: admin.token })
    else await roster.post(`${url}/deactivate`, undefined, { token: admin.token })
    for (const way of ['registers again', 'registers again, privately', 'wants a new password'])
      await asks[way]?.(user.email)
    await roster.runJobs()
    expect((await sentTo(roster, user.email)).map(({ template }) => template)).toEqual(['verify_email'])
  }
})

test('the reply says the same of addresses that are in use, deleted, closed and held', async () => {
  const admin = await roster.signUpAdmin()
  const [living, gone, closed, moved] = [
    await roster.signUp(),
    await deleted(),
    await roster.signUp(),
    await roster.signUp(),
  ]
  await roster.post(`/api/v1/users/${closed.id}/deactivate`, undefined, { token: admin.token })
  const new_email = `moved-${moved.email}`
  await roster.post(`${auth}/profile/email/initiate`, { new_email }, { token: moved.token })
  const { code } = await lastSent(roster, new_email, 'email_change_code')
  await roster.post(`${auth}/profile/email/complete`, { new_email, otp: code }, { token: moved.token })
  const replies = []
  for (const { email } of [living, gone, closed, moved]) {
    const { status, body } = await roster.post(`${auth}/register`, { email, password })
    replies.push({ status, ...body, instance: undefined, request_id: undefined })
  }
  expect(replies[0]).toMatchObject({ status: 409, code: 'email_taken' })
  expect(String(replies[0]?.detail)).toMatch(/deleted.*mail/)
  for (const reply of replies) expect(reply).toEqual(replies[0])
})

describe('an account that somebody made with a stranger’s address, and deleted', () => {
  async function trap() {
    const maker = await roster.signUp()
    const key = await registerPasskey(roster, maker)
    await roster.delete('/api/v1/users/me', { token: maker.token })
    return { maker, key }
  }

  test.each(['registers again', 'registers again, privately', 'wants a new password'])(
    'is the stranger’s when they restore it because they %s',
    async way => {
      const { maker, key } = await trap()
      await asks[way]?.(maker.email)
      await roster.runJobs()
      const [mail] = await restoreLinks(maker.email)
      expect((await restore(mail?.restore_link)).status).toBe(204)
      expect((await login(maker)).status).toBe(401)
      expect((await signInWithPasskey(roster, key, true)).body).not.toHaveProperty('access_token')
      const token = tokenOf((await lastSent(roster, maker.email, 'password_reset')).link)
      const chosen = await roster.post(`${auth}/password-reset-confirm`, { token, new_password: password })
      expect(chosen.status).toBe(204)
      const { body } = await login({ ...maker, password })
      expect(body.user).toMatchObject({ id: maker.id, email_verified: true, mfa_enabled: false })
    },
  )

  test('is as it was by the link of its deletion, and the stranger’s by a reset after that', async () => {
    const { maker, key } = await trap()
    const [mail] = await restoreLinks(maker.email)
    expect((await restore(mail?.restore_link)).status).toBe(204)
    expect((await signInWithPasskey(roster, key, true)).body).toHaveProperty('access_token')
    await asks['wants a new password']?.(maker.email)
    await roster.runJobs()
    const token = tokenOf((await lastSent(roster, maker.email, 'password_reset')).link)
    await roster.post(`${auth}/password-reset-confirm`, { token, new_password: password })
    expect((await signInWithPasskey(roster, key, true)).body).not.toHaveProperty('access_token')
  })
})
