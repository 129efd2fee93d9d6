import { describe, expect, test } from 'vitest'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent, sentTo, tokenOf } from '../../testing/outbox.ts'
import { enrolTotp } from '../../testing/second-factors.ts'
import { registerPasskey, signInWithPasskey } from '../../testing/software-authenticator.ts'

const roster = await useTestApp()
const same = { databaseUrl: roster.databaseUrl, clock: roster.clock }
const privately = await useTestApp({ ...same, config: { registrationPrivacy: true } })
const strictly = await useTestApp({ ...same, config: { requireVerifiedEmail: true } })

const auth = '/api/v1/auth'
const newPassword = 'BrandNewPass456'
const login = (email: string, password: string) => roster.post(`${auth}/login`, { email, password })
const isLiving = async (user: SignedUp) =>
  (await roster.get('/api/v1/users/me', { token: user.token })).status === 200

const askReset = async (email: string) => {
  await roster.post(`${auth}/password-reset-request`, { email })
  await roster.runJobs()
}

async function reset(email: string, template = 'password_reset'): Promise<number> {
  const token = tokenOf((await lastSent(roster, email, template)).link)
  return (await roster.post(`${auth}/password-reset-confirm`, { token, new_password: newPassword })).status
}

const askByAddress = async (email: string) => {
  await roster.post(`${auth}/verify-email-request`, { email })
  await roster.runJobs()
}

const verify = (body: object, token?: string) =>
  roster.post(`${auth}/verify-email`, body, token === undefined ? {} : { token })

const mailTo = (email: string) => lastSent(roster, email, 'verify_email')

describe('an account that somebody made with a stranger’s address', () => {
  test('is the stranger’s after a password reset, and no passkey of its maker opens it', async () => {
    const maker = await roster.signUp()
    const key = await registerPasskey(roster, maker)
    await askReset(maker.email)
    expect(await reset(maker.email)).toBe(204)
    expect((await signInWithPasskey(roster, key, true)).status).toBe(401)
    expect(await isLiving(maker)).toBe(false)
    const { status, body } = await login(maker.email, newPassword)
    expect([status, body.user.mfa_enabled, body.user.email_verified]).toEqual([200, false, true])
    expect(await lastSent(roster, maker.email, 'mfa_changed')).toMatchObject({ what: 'all_handed_over' })
  })

  test('asks them for no authenticator app of its maker, and no change that was begun goes on', async () => {
    const maker = await roster.signUp()
    const next = `next-${maker.email}`
    await roster.post(`${auth}/profile/email/initiate`, { new_email: next }, { token: maker.token })
    await enrolTotp(roster, maker)
    await askReset(maker.email)
    expect(await reset(maker.email)).toBe(204)
    expect((await login(maker.email, newPassword)).body).toHaveProperty('access_token')
    const left = await roster.sql('select purpose from verifications where user_id = $1', [maker.id])
    expect(left).toEqual([])
  })

  test('is theirs too by the link that a private registration with a taken address sends', async () => {
    const maker = await roster.signUp()
    const key = await registerPasskey(roster, maker)
    await privately.post(`${auth}/register`, { email: maker.email, password: 'SecurePass123' })
    await privately.runJobs()
    expect(await reset(maker.email, 'address_already_registered')).toBe(204)
    expect((await signInWithPasskey(roster, key, true)).status).toBe(401)
  })

  test('keeps its factors where the address was proved before', async () => {
    const user = await roster.signUp()
    await verify({ token: tokenOf((await mailTo(user.email)).link) })
    const key = await registerPasskey(roster, user)
    await askReset(user.email)
    expect(await reset(user.email)).toBe(204)
    expect((await login(user.email, newPassword)).body).toMatchObject({ mfa_required: true })
    expect((await signInWithPasskey(roster, key, true)).status).toBe(200)
  })

  test('sends the mail to choose a password also when the quota of the address is used up', async () => {
    const maker = await roster.signUp()
    await askByAddress(maker.email)
    const { link } = await mailTo(maker.email)
    for (let n = 0; n < 20; n += 1)
      await roster.post(`${auth}/password-reset-request`, { email: maker.email })
    await roster.runJobs()
    const resets = async () =>
      (await sentTo(roster, maker.email)).filter(({ template }) => template === 'password_reset').length
    const before = await resets()
    expect((await verify({ token: tokenOf(link) })).status).toBe(200)
    expect(await resets()).toBe(before + 1)
    expect(await reset(maker.email)).toBe(204)
  })
})

describe('a code that whoever is signed in had sent', () => {
  const askSignedIn = (user: SignedUp) =>
    roster.post(`${auth}/verify-email-request`, {}, { token: user.token })

  test('hands the account over to whoever types it without being signed in', async () => {
    const maker = await roster.signUp()
    await askByAddress(maker.email)
    await askSignedIn(maker)
    const { code } = await mailTo(maker.email)
    expect((await verify({ email: maker.email, code })).body.email_verified).toBe(true)
    expect(await isLiving(maker)).toBe(false)
    expect((await login(maker.email, maker.password)).status).toBe(401)
    expect(await reset(maker.email)).toBe(204)
  })

  test('proves the address and nothing else when they type it themselves', async () => {
    const user = await roster.signUp()
    await askSignedIn(user)
    const { code } = await mailTo(user.email)
    expect((await verify({ code }, user.token)).body.email_verified).toBe(true)
    expect(await isLiving(user)).toBe(true)
  })

  test('comes with a link that leaves everything else as it is', async () => {
    const user = await roster.signUp()
    await askSignedIn(user)
    expect((await verify({ token: tokenOf((await mailTo(user.email)).link) })).status).toBe(200)
    expect(await isLiving(user)).toBe(true)
  })
})

describe('factors that were enrolled before anybody had proved the address', () => {
  test('end when it is proved without a session, with a word to the owner and the sessions', async () => {
    const maker = await roster.signUp()
    const key = await registerPasskey(roster, maker)
    expect((await verify({ token: tokenOf((await mailTo(maker.email)).link) })).status).toBe(200)
    expect((await signInWithPasskey(roster, key, true)).status).toBe(401)
    expect(await isLiving(maker)).toBe(false)
    expect(await lastSent(roster, maker.email, 'mfa_changed')).toMatchObject({ what: 'all_handed_over' })
    expect((await login(maker.email, maker.password)).body).toHaveProperty('access_token')
  })

  test('end also where they were only begun', async () => {
    const maker = await roster.signUp()
    await roster.post(`${auth}/mfa/totp/setup`, undefined, { token: maker.token })
    await verify({ token: tokenOf((await mailTo(maker.email)).link) })
    expect(await roster.sql('select from second_factors where user_id = $1', [maker.id])).toEqual([])
    expect(await isLiving(maker)).toBe(true)
  })

  test.each(['code', 'link'])(
    'stay when their session proves it by %s, and a reset leaves them whole',
    async by => {
      const user = await roster.signUp()
      const key = await registerPasskey(roster, user)
      const { code, link } = await mailTo(user.email)
      await verify(by === 'code' ? { code } : { token: tokenOf(link) }, user.token)
      expect(await isLiving(user)).toBe(true)
      await askReset(user.email)
      expect(await reset(user.email)).toBe(204)
      expect((await signInWithPasskey(roster, key, true)).body).toHaveProperty('access_token')
    },
  )

  test('stay where an administrator vouches for the address', async () => {
    const admin = await roster.signUpAdmin()
    const user = await roster.signUp()
    const key = await registerPasskey(roster, user)
    await roster.patch(`/api/v1/users/${user.id}`, { email_verified: true }, { token: admin.token })
    expect((await signInWithPasskey(roster, key, true)).body).toHaveProperty('access_token')
  })
})

describe('a passkey from before its user chose a password by mail, where the address was proved apart', () => {
  async function doubted() {
    const user = await roster.signUp()
    await verify({ token: tokenOf((await mailTo(user.email)).link) })
    const key = await registerPasskey(roster, user)
    await askReset(user.email)
    expect(await reset(user.email)).toBe(204)
    return { user, key }
  }

  const give = (mfa_token: string, proof: object) =>
    roster.post(`${auth}/mfa/verify`, { mfa_token, ...proof })

  test('opens the account with that password, and alone from then on', async () => {
    const { user, key } = await doubted()
    const { body } = await signInWithPasskey(roster, key, true)
    expect(body).toMatchObject({ mfa_required: true, methods: ['password'] })
    expect((await give(body.mfa_token, { method: 'password', password: user.password })).status).toBe(401)
    const done = await give(body.mfa_token, { method: 'password', password: newPassword })
    expect(done.body).toHaveProperty('access_token')
    expect((await signInWithPasskey(roster, key, true)).body).toHaveProperty('access_token')
  })

  test('is still the second factor that a sign-in with the password needs', async () => {
    const { user, key } = await doubted()
    const { body } = await login(user.email, newPassword)
    expect(body).toMatchObject({ mfa_required: true, methods: ['passkey'] })
    const { mfa_token } = body
    const asked = await roster.post(`${auth}/mfa/challenge`, { mfa_token, method: 'passkey' })
    const done = await give(mfa_token, {
      method: 'passkey',
      credential: key.sign(asked.body.options, true),
    })
    expect(done.body).toHaveProperty('access_token')
  })

  test('is asked for the password only the first time that this happens', async () => {
    const { user, key } = await doubted()
    const { body } = await signInWithPasskey(roster, key, true)
    await give(body.mfa_token, { method: 'password', password: newPassword })
    await askReset(user.email)
    expect(await reset(user.email)).toBe(204)
    expect((await signInWithPasskey(roster, key, true)).body).toHaveProperty('access_token')
  })
})

describe('of the links that an account was ever sent, its new owner finds none alive', () => {
  const purposes = ['EMAIL_UNDO', 'PASSWORD_RESET', 'INVITATION', 'ACCOUNT_RESTORE'] as const

  /** One link of each kind, to an address that the maker has. */
  const issueAll = ({ id }: SignedUp) => {
    const { store, verification } = roster.services
    const at = roster.clock.now()
    const link = { userId: id, target: 'elsewhere@example.com', counted: false } as const
    return store.transact(async trx => {
      for (const purpose of purposes) await verification.issueLink(trx, at, { ...link, purpose })
    })
  }

  const purposesLeft = async ({ id }: SignedUp): Promise<string[]> =>
    (await roster.sql('select purpose from verifications where user_id = $1', [id])).map(row => row.purpose)

  test('who resets the password of an address that nobody had proved', async () => {
    const maker = await roster.signUp()
    await issueAll(maker)
    await askReset(maker.email)
    expect(await reset(maker.email)).toBe(204)
    expect(await purposesLeft(maker)).toEqual([])
  })

  test.each(['link', 'code'])('who asked for the mail by address, and proves it by %s', async by => {
    const maker = await roster.signUp()
    await issueAll(maker)
    await askByAddress(maker.email)
    const { code, link } = await mailTo(maker.email)
    await verify(by === 'code' ? { email: maker.email, code } : { token: tokenOf(link) })
    // The one that lets the owner choose a password.
    expect(await purposesLeft(maker)).toEqual(['PASSWORD_RESET'])
  })

  test('who undoes a change of an address that nobody had proved', async () => {
    const maker = await roster.signUp()
    await issueAll(maker)
    roster.clock.advance(60_000)
    const new_email = `elsewhere-${maker.email}`
    await roster.post(`${auth}/profile/email/initiate`, { new_email }, { token: maker.token })
    const { code } = await lastSent(roster, new_email, 'email_change_code')
    await roster.post(`${auth}/profile/email/complete`, { new_email, otp: code }, { token: maker.token })
    const token = tokenOf((await lastSent(roster, maker.email, 'email_changed')).undo_link)
    const undone = await roster.post(`${auth}/profile/email/undo`, { token, new_password: newPassword })
    expect(undone.status).toBe(200)
    expect(await purposesLeft(maker)).toEqual([])
  })
})

test('a code that a refused sign-in sent hands over what somebody else asked for by address', async () => {
  const maker = { email: 'refused@example.com', password: 'SecurePass123' }
  await strictly.post(`${auth}/register`, maker)
  await askByAddress(maker.email)
  expect((await strictly.post(`${auth}/login`, maker)).status).toBe(403)
  const { code } = await mailTo(maker.email)
  expect((await verify({ email: maker.email, code })).body.email_verified).toBe(true)
  expect((await strictly.post(`${auth}/login`, maker)).status).toBe(401)
})
