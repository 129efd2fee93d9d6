import { describe, expect, test } from 'vitest'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent, sentTo, tokenOf } from '../../testing/outbox.ts'
import { type Authenticator, enrolTotp } from '../../testing/second-factors.ts'
import {
  registerPasskey,
  type SoftwareAuthenticator,
  signInWithPasskey,
} from '../../testing/software-authenticator.ts'

/*
 * Whoever proves an address ends up alone in the account: over all orders in which somebody who registered with
 * a foreign address (the maker) prepares ways in for later, and the owner of the address proves it. The owner
 * never signs in before, and at the end chooses a password by mail; from then on nothing that the maker holds opens
 * the account.
 */

const roster = await useTestApp()

const auth = '/api/v1/auth'
const ownersPassword = 'BrandNewPass456'

/** One account, and what its maker has kept. */
class Story {
  readonly maker: SignedUp
  readonly keys: SoftwareAuthenticator[] = []
  readonly refreshTokens: string[] = []
  app: Authenticator | undefined
  isMoved = false
  /** Enrolled when the owner first proved the address; undefined until then. */
  enrolledAtProof: number | undefined

  constructor(maker: SignedUp) {
    this.maker = maker
    this.refreshTokens.push(maker.refresh)
  }

  get enrolled(): number {
    return this.keys.length + (this.app ? 1 : 0)
  }

  async canAct(): Promise<boolean> {
    return (await roster.get(`${auth}/me`, { token: this.maker.token })).status === 200
  }

  noteProof(isDone: boolean): void {
    if (isDone) this.enrolledAtProof ??= this.enrolled
  }
}

/** What the maker does, as far as their session still lives. */
const makerSteps = {
  async passkey(story: Story) {
    if (await story.canAct()) story.keys.push(await registerPasskey(roster, story.maker))
  },
  async app(story: Story) {
    if (await story.canAct()) story.app = await enrolTotp(roster, story.maker)
  },
  async move(story: Story) {
    const { token, email } = story.maker
    const new_email = `moved-${email}`
    const begun = await roster.post(`${auth}/profile/email/initiate`, { new_email }, { token })
    if (begun.status !== 200) return
    const { code } = await lastSent(roster, new_email, 'email_change_code')
    await roster.post(`${auth}/profile/email/complete`, { new_email, otp: code }, { token })
    story.isMoved = true
  },
}

const linkOf = async ({ maker }: Story) => tokenOf((await lastSent(roster, maker.email, 'verify_email')).link)

const askByAddress = async ({ maker }: Story) => {
  await roster.post(`${auth}/verify-email-request`, { email: maker.email })
  await roster.runJobs()
}

const verify = async (body: object) => (await roster.post(`${auth}/verify-email`, body)).status === 200

/** The ways in which the owner proves the address, without being signed in. */
const proofs: Record<string, (story: Story) => Promise<boolean>> = {
  async press(story) {
    const reply = await roster.app.inject({
      method: 'POST',
      url: '/verify-email',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ token: await linkOf(story) }).toString(),
    })
    return reply.statusCode < 400
  },
  link: async story => verify({ token: await linkOf(story) }),
  async code(story) {
    const { code } = await lastSent(roster, story.maker.email, 'verify_email')
    return verify({ email: story.maker.email, code })
  },
  async askedLink(story) {
    await askByAddress(story)
    return verify({ token: await linkOf(story) })
  },
  async askedCode(story) {
    await askByAddress(story)
    const { code } = await lastSent(roster, story.maker.email, 'verify_email')
    return verify({ email: story.maker.email, code })
  },
}

/** The owner gets in: by undoing the move, or by a reset. */
async function takeIn(story: Story): Promise<void> {
  const { email } = story.maker
  const choose = { new_password: ownersPassword }
  if (story.isMoved) {
    const token = tokenOf((await lastSent(roster, email, 'email_changed')).undo_link)
    expect((await roster.post(`${auth}/profile/email/undo`, { token, ...choose })).status).toBe(200)
  } else {
    await roster.post(`${auth}/password-reset-request`, { email })
    await roster.runJobs()
    const token = tokenOf((await lastSent(roster, email, 'password_reset')).link)
    expect((await roster.post(`${auth}/password-reset-confirm`, { token, ...choose })).status).toBe(204)
  }
}

async function expectNoWayIn({ maker, keys, app, refreshTokens }: Story): Promise<void> {
  expect((await roster.get(`${auth}/me`, { token: maker.token })).status).toBe(401)
  for (const refresh_token of refreshTokens)
    expect((await roster.post(`${auth}/refresh`, { refresh_token })).status).toBe(401)
  const { email, password } = maker
  expect((await roster.post(`${auth}/login`, { email, password })).status).toBe(401)
  for (const key of keys) {
    const { body } = await signInWithPasskey(roster, key, true)
    expect(body).not.toHaveProperty('access_token')
    if (body.mfa_token === undefined) continue
    expect(body.methods).toEqual(['password'])
    const { mfa_token } = body
    const give = (proof: object) => roster.post(`${auth}/mfa/verify`, { mfa_token, ...proof })
    expect((await give({ method: 'password', password })).status).toBe(401)
    const more = await roster.post(`${auth}/mfa/challenge`, { mfa_token, method: 'passkey' })
    if (more.status === 200) {
      const again = await give({ method: 'passkey', credential: key.sign(more.body.options, true) })
      expect(again.body).not.toHaveProperty('access_token')
    }
    const codes = app ? [app.code(roster.clock.now())] : []
    for (const code of codes) {
      const fresh = (await signInWithPasskey(roster, key, true)).body.mfa_token
      const reply = await roster.post(`${auth}/mfa/verify`, { mfa_token: fresh, method: 'totp', code })
      expect(reply.body).not.toHaveProperty('access_token')
    }
  }
  const links = (await sentTo(roster, `moved-${email}`)).flatMap(({ data }) => Object.values(data))
  for (const link of links.filter(value => String(value).includes('?token='))) {
    const body = { token: tokenOf(String(link)), new_password: 'MakersPass789' }
    expect((await roster.post(`${auth}/profile/email/undo`, body)).status).toBe(400)
    expect((await roster.post(`${auth}/password-reset-confirm`, body)).status).toBe(400)
  }
}

/** With everything that was enrolled before the first proof gone, the password alone lets the owner in. */
async function expectOwnerIn({ maker, enrolled, enrolledAtProof }: Story): Promise<void> {
  const { status, body } = await roster.post(`${auth}/login`, {
    email: maker.email,
    password: ownersPassword,
  })
  expect(status).toBe(200)
  if (enrolledAtProof === undefined || enrolledAtProof === enrolled)
    expect(body.user).toMatchObject({ id: maker.id, email_verified: true, mfa_enabled: false })
}

function orders<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]]
  return items.flatMap((first, at) => orders(items.toSpliced(at, 1)).map(rest => [first, ...rest]))
}

const prepared: (keyof typeof makerSteps)[][] = [['passkey'], ['passkey', 'app'], ['passkey', 'move']]

describe.each(Object.keys(proofs))('an address that its owner proves by %s', way => {
  const prove = async (story: Story) => {
    const isDone = await proofs[way]?.(story)
    story.noteProof(isDone === true)
  }
  const cases = prepared
    .flatMap(steps => orders(['prove', ...steps] as const))
    .map(order => ({ order, name: order.join(', ') }))

  test.each(cases)('$name: the maker is out', async ({ order }) => {
    const story = new Story(await roster.signUp())
    for (const step of order) await (step === 'prove' ? prove(story) : makerSteps[step](story))
    await takeIn(story)
    await expectNoWayIn(story)
    await expectOwnerIn(story)
  })
})
