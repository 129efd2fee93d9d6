import { describe, expect, test } from 'vitest'
import { hours, minutes, seconds } from '../../lib/clock.ts'
import { startTestApp, type TestApp, useTestApp } from '../../testing/harness.ts'
import type { CodePurpose } from './index.ts'

const roster = await useTestApp()
const other = await useTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
const user = await roster.signUp()

const purpose = 'EMAIL_UPDATE'
let targets = 0
/** An address that no other test counts for. */
const fresh = () => `target${++targets}@example.com`

const issue = (target: string, app: TestApp = roster, of: CodePurpose = purpose) =>
  app.services.store.transact(trx =>
    app.services.verification.issueCode(trx, app.clock.now(), { purpose: of, userId: user.id, target }),
  )

const consume = (target: string, code: string, app: TestApp = roster, of: CodePurpose = purpose) =>
  app.services.store.transact(trx =>
    app.services.verification.consumeCode(trx, app.clock.now(), {
      purpose: of,
      userId: user.id,
      target,
      code,
    }),
  )

const wrong = (code: string) => (code === '000000' ? '000001' : '000000')

const codes = (results: PromiseSettledResult<unknown>[]) =>
  Object.groupBy(
    results,
    result => (result.status === 'fulfilled' ? 'done' : String((result.reason as { code?: string }).code)), // thrown by the service
  )

describe('a one-time code', () => {
  test('works once, for its purpose, user and target alone', async () => {
    const target = fresh()
    const code = await issue(target)
    expect(code).toMatch(/^\d{6}$/)
    expect(await consume(target, code, roster, 'EMAIL_VERIFICATION')).toEqual({ valid: false })
    expect(await consume(fresh(), code)).toEqual({ valid: false })
    expect(await consume(target, code)).toMatchObject({ valid: true })
    expect(await consume(target, code)).toEqual({ valid: false })
  })

  test.each(['  %', '%\u00a0', '% ', '\u200b%', '%\ufeff', '-%', 'split'])(
    'is read as mail and phone programs paste it: %j',
    async form => {
      const target = fresh()
      const code = await issue(target)
      const pasted = form === 'split' ? `${code.slice(0, 3)}\u2011${code.slice(3)}` : form.replace('%', code)
      expect(await consume(target, pasted)).toMatchObject({ valid: true })
    },
  )

  test('is not guessed at by what can’t be one: that counts as nothing', async () => {
    const target = fresh()
    const code = await issue(target)
    for (const slip of ['', '12345', '1234567', 'abcdef', '12345x', '１２３４５６']) {
      expect(await consume(target, slip)).toEqual({ valid: false })
    }
    expect(await consume(target, code)).toMatchObject({ valid: true })
  })

  test('is used by one of 50 who send it at the same moment to two processes', async () => {
    const target = fresh()
    const code = await issue(target)
    const guesses = Array.from({ length: 50 }, (_, n) => consume(target, code, n % 2 ? other : roster))
    const outcomes = await Promise.all(guesses)
    expect(outcomes.filter(({ valid }) => valid)).toHaveLength(1)
  })

  test('lives for 10 minutes to the millisecond', async () => {
    const [early, late] = [fresh(), fresh()]
    const code = await issue(early)
    roster.clock.advance(minutes(10) - 1)
    expect(await consume(early, code)).toMatchObject({ valid: true })
    const next = await issue(late)
    roster.clock.advance(minutes(10))
    expect(await consume(late, next)).toEqual({ valid: false })
  })

  test('is replaced by the next one of its purpose', async () => {
    const target = fresh()
    const first = await issue(target)
    const second = await issue(target)
    if (first !== second) expect(await consume(target, first)).toEqual({ valid: false })
    expect(await consume(target, second)).toMatchObject({ valid: true })
  })

  test('is worth nothing after 5 wrong tries, whatever cleared the count of its address between them', async () => {
    const target = fresh()
    const code = await issue(target)
    for (const tries of [2, 2, 1]) {
      for (let n = 0; n < tries; n += 1) await consume(target, wrong(code))
      const cleared = await issue(target, roster, 'MFA_EMAIL')
      expect(await consume(target, cleared, roster, 'MFA_EMAIL')).toMatchObject({ valid: true })
    }
    expect(await consume(target, code)).toEqual({ valid: false })
  })

  test('stands in the database only as a hash under a key that is not there', async () => {
    const target = fresh()
    const code = await issue(target)
    const rows = await roster.sql('select v::text as text from verifications v')
    expect(rows.some(({ text }) => text.includes(code))).toBe(false)
    const quotas = await roster.sql('select q::text as text from code_quotas q')
    expect(quotas.some(({ text }) => text.includes(target))).toBe(false)
  })
})

describe('three wrong codes for an address', () => {
  test('close it for 15 minutes, to codes and to guesses, right ones included', async () => {
    const target = fresh()
    const code = await issue(target)
    for (let n = 0; n < 3; n += 1) expect(await consume(target, wrong(code))).toEqual({ valid: false })
    await expect(consume(target, code)).rejects.toMatchObject({ code: 'otp_cooldown', retryAfter: 900 })
    await expect(issue(target)).rejects.toMatchObject({ code: 'otp_cooldown', retryAfter: 900 })
    await expect(issue(target, other, 'MFA_EMAIL')).rejects.toMatchObject({ code: 'otp_cooldown' })
    roster.clock.advance(minutes(15) - 1)
    await expect(issue(target)).rejects.toMatchObject({ code: 'otp_cooldown', retryAfter: 1 })
    roster.clock.advance(1)
    const next = await issue(target)
    expect(await consume(target, next)).toMatchObject({ valid: true })
  })

  test('are counted over new codes, which never reset the count', async () => {
    const target = fresh()
    for (let n = 0; n < 3; n += 1)
      expect(await consume(target, wrong(await issue(target)))).toEqual({ valid: false })
    await expect(issue(target)).rejects.toMatchObject({ code: 'otp_cooldown' })
  })

  test('are evaluated at most, of 50 guesses at the same moment in two processes', async () => {
    const target = fresh()
    const code = await issue(target)
    const guesses = Array.from({ length: 50 }, (_, n) => consume(target, wrong(code), n % 2 ? other : roster))
    const { done = [], otp_cooldown = [] } = codes(await Promise.allSettled(guesses))
    expect([done.length, otp_cooldown.length]).toEqual([3, 47])
  })

  test('are not three when 15 minutes lie between two of them', async () => {
    const target = fresh()
    for (let n = 0; n < 4; n += 1) {
      const code = await issue(target)
      await consume(target, wrong(code))
      roster.clock.advance(minutes(15))
    }
    await expect(issue(target)).resolves.toMatch(/^\d{6}$/)
  })

  test('do not count where no code was sent: nobody closes an address with guesses at nothing', async () => {
    const target = fresh()
    for (let n = 0; n < 10; n += 1) expect(await consume(target, '123456')).toEqual({ valid: false })
    await expect(issue(target)).resolves.toMatch(/^\d{6}$/)
  })
})

describe('the quota of an address', () => {
  test.each([
    ['development', 20, 100],
    ['production', 10, 50],
  ] as const)('in %s is %i an hour and %i a day, to the number', async (_environment, hourly, daily) => {
    const config = { otpHourlyLimit: hourly, otpDailyLimit: daily }
    const app = await startTestApp({ config, databaseUrl: roster.databaseUrl, clock: roster.clock })
    const target = fresh()
    for (let sent = 0; sent < daily; sent += 1) {
      if (sent > 0 && sent % hourly === 0) {
        await expect(issue(target, app)).rejects.toMatchObject({
          code: 'otp_quota_exceeded',
          retryAfter: 3600,
        })
        roster.clock.advance(hours(1) - 1)
        await expect(issue(target, app)).rejects.toMatchObject({ code: 'otp_quota_exceeded', retryAfter: 1 })
        roster.clock.advance(1)
      }
      await issue(target, app)
    }
    roster.clock.advance(hours(1))
    const left = 24 * 3600 - (daily / hourly) * 3600
    await expect(issue(target, app)).rejects.toMatchObject({ code: 'otp_quota_exceeded', retryAfter: left })
    roster.clock.advance(seconds(left) - 1)
    await expect(issue(target, app)).rejects.toMatchObject({ code: 'otp_quota_exceeded', retryAfter: 1 })
    roster.clock.advance(1)
    await issue(target, app)
    await app.stop()
  })

  test('gives its last slot to one of 40 in two processes', async () => {
    const target = fresh()
    for (let n = 0; n < 19; n += 1) await issue(target)
    const asked = Array.from({ length: 40 }, (_, n) => issue(target, n % 2 ? other : roster))
    const { done = [], otp_quota_exceeded = [] } = codes(await Promise.allSettled(asked))
    expect([done.length, otp_quota_exceeded.length]).toEqual([1, 39])
  })

  test('is exact for an address that two processes see first at the same moment', async () => {
    const target = fresh()
    const asked = Array.from({ length: 40 }, (_, n) => issue(target, n % 2 ? other : roster))
    const { done = [], otp_quota_exceeded = [] } = codes(await Promise.allSettled(asked))
    expect([done.length, otp_quota_exceeded.length]).toEqual([20, 20])
  })

  test('counts every purpose, links included, and no notice', async () => {
    const target = fresh()
    const link = (of: 'PASSWORD_RESET' | 'EMAIL_UNDO') =>
      roster.services.store.transact(trx =>
        roster.services.verification.issueLink(trx, roster.clock.now(), {
          purpose: of,
          userId: user.id,
          target,
        }),
      )
    for (let n = 0; n < 19; n += 1) await issue(target, roster, n % 2 ? 'MFA_EMAIL' : 'EMAIL_UPDATE')
    await link('PASSWORD_RESET')
    await expect(link('PASSWORD_RESET')).rejects.toMatchObject({ code: 'otp_quota_exceeded' })
    await expect(link('EMAIL_UNDO')).resolves.toMatchObject({
      url: expect.stringContaining('/undo-email-change?'),
    })
  })

  test('a refused code leaves the last one as it is', async () => {
    const target = fresh()
    let last = ''
    for (let n = 0; n < 20; n += 1) last = await issue(target)
    await expect(issue(target)).rejects.toMatchObject({ code: 'otp_quota_exceeded' })
    expect(await consume(target, last)).toMatchObject({ valid: true })
  })
})

describe('a link', () => {
  const make = (target = fresh()) =>
    roster.services.store.transact(trx =>
      roster.services.verification.issueLink(trx, roster.clock.now(), {
        purpose: 'PASSWORD_RESET',
        userId: user.id,
        target,
      }),
    )
  const take = (
    token: string,
    of: 'PASSWORD_RESET' | 'INVITATION' = 'PASSWORD_RESET',
    app: TestApp = roster,
  ) =>
    app.services.store.transact(trx =>
      app.services.verification.consumeLink(trx, app.clock.now(), { purpose: of, token }),
    )

  test('carries 256 bits below the configured address, and stands in the database as a hash', async () => {
    const { token, url } = await make()
    expect(Buffer.from(token, 'base64url')).toHaveLength(32)
    expect(url).toBe(`http://localhost:8000/reset-password?token=${token}`)
    const rows = await roster.sql('select v::text as text from verifications v')
    const hex = Buffer.from(token, 'base64url').toString('hex')
    expect(rows.some(({ text }) => text.includes(token) || text.includes(hex))).toBe(false)
  })

  test('is useless for another purpose, and is used by one of 50 at the same moment', async () => {
    const { token } = await make()
    await expect(take(token, 'INVITATION')).rejects.toMatchObject({ code: 'invalid_link' })
    const taken = Array.from({ length: 50 }, (_, n) => take(token, 'PASSWORD_RESET', n % 2 ? other : roster))
    const { done = [], invalid_link = [] } = codes(await Promise.allSettled(taken))
    expect([done.length, invalid_link.length]).toEqual([1, 49])
  })

  test('lives for its hour to the millisecond', async () => {
    const [early, late] = [await make(), await make()]
    roster.clock.advance(hours(1) - 1)
    await take(early.token)
    roster.clock.advance(1)
    await expect(take(late.token)).rejects.toMatchObject({ code: 'invalid_link' })
  })

  test('whose transaction fails is as good as before', async () => {
    const { token } = await make()
    const failing = roster.services.store.transact(async trx => {
      await roster.services.verification.consumeLink(trx, roster.clock.now(), {
        purpose: 'PASSWORD_RESET',
        token,
      })
      throw new Error('later')
    })
    await expect(failing).rejects.toThrow('later')
    await take(token)
  })
})

test('the clean-up deletes what expired and nothing that counts', async () => {
  const target = fresh()
  for (let n = 0; n < 20; n += 1) await issue(target)
  roster.clock.advance(minutes(11))
  expect(await roster.services.verification.cleanUp()).toBeGreaterThan(0)
  expect(await roster.sql('select 1 from verifications where expires_at < $1', [roster.clock.now()])).toEqual(
    [],
  )
  await expect(issue(target)).rejects.toMatchObject({ code: 'otp_quota_exceeded' })
  roster.clock.advance(hours(25))
  await roster.services.verification.cleanUp()
  expect(await roster.sql('select 1 from code_quotas')).toEqual([])
})

test('codes sent, failed and limited are counted by purpose', async () => {
  const target = fresh()
  const code = await issue(target, roster, 'MFA_SMS')
  for (let n = 0; n < 3; n += 1) await consume(target, wrong(code), roster, 'MFA_SMS')
  await expect(issue(target, roster, 'MFA_SMS')).rejects.toThrow()
  const text = await roster.resources.metrics.registry.metrics()
  expect(text).toContain('otp_total{result="sent",purpose="MFA_SMS"} 1')
  expect(text).toContain('otp_total{result="failed",purpose="MFA_SMS"} 3')
  expect(text).toContain('otp_total{result="limited",purpose="MFA_SMS"} 1')
})
