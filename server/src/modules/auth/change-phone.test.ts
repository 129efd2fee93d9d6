import { describe, expect, test } from 'vitest'
import { minutes } from '../../lib/clock.ts'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent, sentTo } from '../../testing/outbox.ts'

const roster = await useTestApp()

let numbers = 0
const fresh = () => `+43660${String(1_000_000 + ++numbers)}`
const path = '/api/v1/auth/profile/phone'
const initiate = (user: SignedUp, phone_number: string) =>
  roster.post(`${path}/initiate`, { phone_number }, { token: user.token })
const complete = (user: SignedUp, phone_number: string, otp: string | undefined) =>
  roster.post(`${path}/complete`, { phone_number, otp }, { token: user.token })
const codeFor = async (number: string) => (await lastSent(roster, number, 'phone_code')).code

describe('a change of phone number', () => {
  test('sends a code by SMS and sets the number verified, which then signs in', async () => {
    const user = await roster.signUp()
    const elsewhere = await roster.signIn(user)
    const number = fresh()
    const started = await initiate(user, number)
    expect([started.status, started.body]).toEqual([
      200,
      { phone_number: number, next_step: 'verify_phone_update_otp' },
    ])
    const { status, body } = await complete(user, number, await codeFor(number))
    expect([status, body]).toEqual([
      200,
      { phone_number: number, phone_verified: true, phone_verified_at: roster.clock.now().toISOString() },
    ])
    expect((await roster.get('/api/v1/users/me', { token: elsewhere.token })).status).toBe(401)
    const [event] = await roster.sql(
      `select data from events where type = 'user.phone_updated' and user_id = $1`,
      [user.id],
    )
    expect(event.data).toMatchObject({ oldPhoneNumber: null, newPhoneNumber: number, phoneVerified: true })
    const login = { phone_number: number, password: user.password }
    expect((await roster.post('/api/v1/auth/login', login)).status).toBe(200)
  })

  test('is told by mail; proving the number that was there is not', async () => {
    const [known, number] = [fresh(), fresh()]
    const user = await roster.signUp({ phone_number: known })
    await initiate(user, known)
    await complete(user, known, await codeFor(known))
    expect((await sentTo(roster, user.email)).map(({ template }) => template)).not.toContain('phone_changed')
    await initiate(user, number)
    expect((await complete(user, number, await codeFor(number))).status).toBe(200)
    expect(await lastSent(roster, user.email, 'phone_changed')).toMatchObject({
      new_phone_masked: `•••••${number.slice(-2)}`,
      at: roster.clock.now().toISOString(),
    })
  })

  test('verifies the number given at registration, once', async () => {
    const number = fresh()
    const user = await roster.signUp({ phone_number: number })
    await initiate(user, number)
    expect((await complete(user, number, await codeFor(number))).status).toBe(200)
    expect((await initiate(user, number)).body.code).toBe('phone_unchanged')
  })

  test('is refused for a taken number, a number that is none, and after 10 minutes without step-up', async () => {
    const number = fresh()
    const owner = await roster.signUp({ phone_number: number })
    await initiate(owner, number)
    await complete(owner, number, await codeFor(number))
    const user = await roster.signUp()
    expect((await initiate(user, number)).body.code).toBe('phone_taken')
    expect((await initiate(user, '0660 123')).body.code).toBe('validation_failed')
    roster.clock.advance(minutes(11))
    expect((await initiate(user, fresh())).body.code).toBe('step_up_required')
  })

  test('takes a number from somebody who registered it first and never proved it', async () => {
    const number = fresh()
    const squatter = await roster.signUp({ phone_number: number })
    const user = await roster.signUp()
    await initiate(user, number)
    expect((await complete(user, number, await codeFor(number))).status).toBe(200)
    const { body } = await roster.get('/api/v1/users/me', { token: squatter.token })
    expect([body.phone_number, body.phone_verified]).toEqual([null, false])
  })

  test('two users prove each other’s number at once', async () => {
    for (let n = 0; n < 5; n++) {
      const numbers = [fresh(), fresh()] as const
      const [one, other] = [
        await roster.signUp({ phone_number: numbers[0] }),
        await roster.signUp({ phone_number: numbers[1] }),
      ]
      await initiate(one, numbers[1])
      await initiate(other, numbers[0])
      const codes = [await codeFor(numbers[1]), await codeFor(numbers[0])]
      const replies = await Promise.all([
        complete(one, numbers[1], codes[0]),
        complete(other, numbers[0], codes[1]),
      ])
      expect(replies.map(({ status }) => status)).toEqual([200, 200])
    }
  })

  test('of 20 users with codes for one number, one gets it', async () => {
    const users = await Promise.all(Array.from({ length: 20 }, () => roster.signUp()))
    const number = fresh()
    const withCodes: [SignedUp, string | undefined][] = []
    for (const user of users) {
      await initiate(user, number)
      withCodes.push([user, await codeFor(number)])
    }
    const replies = await Promise.all(withCodes.map(([user, code]) => complete(user, number, code)))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(replies.filter(({ body }) => body.code === 'phone_taken')).toHaveLength(19)
  })
})
