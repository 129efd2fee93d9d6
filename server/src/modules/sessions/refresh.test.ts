import { randomBytes } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { days, seconds } from '../../lib/clock.ts'
import { deactivate } from '../../testing/deactivate.ts'
import { type Reply, type SignedUp, startTestApp, useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()
const grace = seconds(10)
const lostReplyGrace = seconds(60)

const refresh = (refresh_token: string, app = roster): Promise<Reply> =>
  app.post('/api/v1/auth/refresh', { refresh_token })

const outcome = ({ status, body }: Reply) => (status === 200 ? 'refreshed' : body.code)

const stored = async ({ session }: SignedUp) => {
  const [row] = await roster.sql('select * from sessions where id = $1', [session])
  return row
}

describe('a refresh', () => {
  test('gives new tokens of the same session and moves its end', async () => {
    const user = await roster.signUp()
    roster.clock.advance(days(6))
    const { status, body } = await refresh(user.refresh)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      session_id: user.session,
      token_type: 'Bearer',
      refresh_expires_in: 604_800,
    })
    expect(body.refresh_token).not.toBe(user.refresh)
    expect(body.user).toMatchObject({ id: user.id, updated_at: null })
    expect(body.user.last_login_at).not.toBe(roster.clock.now().toISOString())
    roster.clock.advance(days(6))
    expect(outcome(await refresh(body.refresh_token))).toBe('refreshed')
  })

  test('of 500 at once with one token: every answer holds one and the same successor', async () => {
    const user = await roster.signUp()
    const replies = await Promise.all(Array.from({ length: 500 }, () => refresh(user.refresh)))
    expect(new Set(replies.map(outcome))).toEqual(new Set(['refreshed']))
    const successors = new Set<string>(replies.map(({ body }) => body.refresh_token))
    expect(successors.size).toBe(1)
    expect(await stored(user)).toMatchObject({ refresh_generation: 1, revoked_at: null })
    const [successor = ''] = successors
    expect(outcome(await refresh(successor))).toBe('refreshed')
  })

  test('stores no token, only its hash', async () => {
    const user = await roster.signUp()
    const { body } = await refresh(user.refresh)
    const bytes = Buffer.from(body.refresh_token.slice(4), 'base64url')
    const row = JSON.stringify(await stored(user))
    expect(row).not.toContain(body.refresh_token)
    expect(row).not.toContain(JSON.stringify([...bytes]).slice(1, -1))
  })

  test.each([
    ['nothing', {}],
    ['an empty token', { refresh_token: '' }],
    ['rubbish', { refresh_token: 'rrt_rubbish' }],
    ['no base64url', { refresh_token: `rrt_${'*'.repeat(91)}` }],
  ])('with %s is refused', async (_what, body) => {
    const reply = await roster.post('/api/v1/auth/refresh', body)
    expect([reply.status, reply.body.code]).toEqual([401, 'invalid_refresh_token'])
  })

  test.each([[['rrt_x']], [1], [null], [{}]])(
    'with a token of a wrong type (%j) is a bad request',
    async value => {
      const reply = await roster.post('/api/v1/auth/refresh', { refresh_token: value })
      expect([reply.status, reply.body.errors[0].path]).toEqual([400, '/refresh_token'])
    },
  )

  test('with forged tokens ends nothing', async () => {
    const user = await roster.signUp()
    const bytes = Buffer.from(user.refresh.slice(4), 'base64url')
    const forgeries = Array.from(bytes, (_, at) => {
      const forged = Buffer.from(bytes)
      forged[at] = (forged[at] ?? 0) ^ 1
      return `rrt_${forged.toString('base64url')}`
    })
    forgeries.push(
      `rrt_${randomBytes(68).toString('base64url')}`,
      `${user.refresh}A`,
      user.refresh.slice(0, -1),
    )
    const replies = await Promise.all(forgeries.map(forged => refresh(forged)))
    expect(new Set(replies.map(outcome))).toEqual(new Set(['invalid_refresh_token']))
    expect(outcome(await refresh(user.refresh))).toBe('refreshed')
  })
})

describe('a token that was used already', () => {
  test('gets the same successor up to a minute later while that is unused, and ends the session after that', async () => {
    const user = await roster.signUp()
    const first = await refresh(user.refresh)
    roster.clock.advance(lostReplyGrace)
    const repeated = await refresh(user.refresh)
    expect([outcome(repeated), repeated.body.refresh_token]).toEqual(['refreshed', first.body.refresh_token])
    expect(await stored(user)).toMatchObject({ refresh_generation: 1 })
    roster.clock.advance(1)
    expect(outcome(await refresh(user.refresh))).toBe('refresh_token_reused')
    for (const token of [user.refresh, first.body.refresh_token]) {
      expect(outcome(await refresh(token))).toBe('invalid_refresh_token')
    }
    for (const token of [user.token, first.body.access_token, repeated.body.access_token]) {
      expect((await roster.get('/api/v1/auth/me', { token })).status).toBe(401)
    }
  })

  test('gets it for ten seconds alone once the successor was used, however unused the next one is', async () => {
    const user = await roster.signUp()
    const first = await refresh(user.refresh)
    roster.clock.advance(seconds(5))
    const second = await refresh(first.body.refresh_token)
    roster.clock.advance(seconds(5))
    expect((await refresh(user.refresh)).body.refresh_token).toBe(first.body.refresh_token)
    roster.clock.advance(1)
    expect((await refresh(first.body.refresh_token)).body.refresh_token).toBe(second.body.refresh_token)
    expect(outcome(await refresh(user.refresh))).toBe('refresh_token_reused')
    expect(outcome(await refresh(second.body.refresh_token))).toBe('invalid_refresh_token')
  })

  test.each([seconds(11), seconds(25), seconds(59)])(
    'whose reply was lost works on when it is repeated %d ms later, by another process as well',
    async wait => {
      const user = await roster.signUp()
      const lost = await refresh(user.refresh)
      const other = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
      onTestFinished(() => other.stop())
      roster.clock.advance(wait)
      const apps = [roster, other]
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, n) => refresh(user.refresh, apps[n % 2])),
      )
      expect(new Set(replies.map(({ body }) => body.refresh_token))).toEqual(
        new Set([lost.body.refresh_token]),
      )
      expect(await stored(user)).toMatchObject({ refresh_generation: 1, revoked_at: null })
      expect(outcome(await refresh(lost.body.refresh_token, other))).toBe('refreshed')
      expect(outcome(await refresh(user.refresh))).toBe('refresh_token_reused')
    },
  )

  test('races its successor: it gets that one, or ends the session, and nothing between', async () => {
    const other = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    onTestFinished(() => other.stop())
    for (let round = 0; round < 10; round += 1) {
      const user = await roster.signUp()
      const { refresh_token: successor } = (await refresh(user.refresh)).body
      roster.clock.advance(seconds(30))
      const [old, next] = await Promise.all([refresh(user.refresh), refresh(successor, other)])
      if (outcome(old) === 'refreshed') {
        expect([old.body.refresh_token, outcome(next)]).toEqual([successor, 'refreshed'])
        expect(await stored(user)).toMatchObject({ refresh_generation: 1 + 1, revoked_at: null })
      } else {
        expect(outcome(old)).toMatch(/^(refresh_token_reused|invalid_refresh_token)$/)
        expect(await stored(user)).toMatchObject({ revoked_reason: 'refresh_token_reused' })
      }
    }
  })

  test('ends its session alone, with audit row and event', async () => {
    const user = await roster.signUp()
    const other = await roster.signIn(user)
    await refresh(user.refresh)
    roster.clock.advance(lostReplyGrace + 1)
    await refresh(user.refresh)
    const audit = await roster.sql(`select outcome, actor_type, subject_id, details from audit_log
      where action = 'session.refresh_token_reused' and subject_id = '${user.id}'`)
    expect(audit).toEqual([
      {
        outcome: 'denied',
        actor_type: 'anonymous',
        subject_id: user.id,
        details: { session_id: user.session, reason: 'refresh_token_reused' },
      },
    ])
    const events = await roster.sql(`select data from events
      where type = 'session.revoked' and user_id = '${user.id}'`)
    expect(events).toEqual([
      { data: expect.objectContaining({ sessionId: user.session, reason: 'refresh_token_reused' }) },
    ])
    expect(await stored(user)).toMatchObject({ revoked_reason: 'refresh_token_reused' })
    expect(outcome(await refresh(other.refresh))).toBe('refreshed')
  })

  test('is recognised after a restart, and by another process', async () => {
    const user = await roster.signUp()
    await refresh(user.refresh)
    const restarted = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    expect(outcome(await refresh(user.refresh, restarted))).toBe('refreshed')
    roster.clock.advance(lostReplyGrace + 1)
    expect(outcome(await refresh(user.refresh, restarted))).toBe('refresh_token_reused')
    await restarted.stop()
  })

  test('is recognised however many generations and days lie between', async () => {
    const user = await roster.signUp()
    let token = user.refresh
    for (let n = 0; n < 12; n += 1) {
      roster.clock.advance(days(3))
      token = (await refresh(token)).body.refresh_token
    }
    expect(outcome(await refresh(user.refresh))).toBe('refresh_token_reused')
    expect(outcome(await refresh(token))).toBe('invalid_refresh_token')
  })

  test('and its successors, each within its own ten seconds, lead along one chain', async () => {
    const user = await roster.signUp()
    const chain = [user.refresh]
    for (let n = 0; n < 30; n += 1) {
      chain.push((await refresh(chain.at(-1) ?? '')).body.refresh_token)
      roster.clock.advance(300)
    }
    expect(new Set(chain).size).toBe(31)
    const again = await Promise.all(chain.slice(0, -1).map(token => refresh(token)))
    expect(again.map(({ body }) => body.refresh_token)).toEqual(chain.slice(1))
    expect(await stored(user)).toMatchObject({ refresh_generation: 30 })
    roster.clock.advance(grace - 30 * 300 + 1) // the first is out of its grace, the second not
    expect(outcome(await refresh(chain[1] ?? ''))).toBe('refreshed')
    expect(outcome(await refresh(chain[0] ?? ''))).toBe('refresh_token_reused')
  })

  test('20 times at once after its grace ends the session once', async () => {
    const user = await roster.signUp()
    await refresh(user.refresh)
    roster.clock.advance(lostReplyGrace + 1)
    const replies = await Promise.all(Array.from({ length: 20 }, () => refresh(user.refresh)))
    for (const reply of replies) expect(reply.status).toBe(401)
    const events = await roster.sql(`select 1 from events
      where type = 'session.revoked' and user_id = '${user.id}'`)
    expect(events).toHaveLength(1)
  })
})

describe('no refresh', () => {
  test('for a session that has expired, to the millisecond', async () => {
    const [late, early] = [await roster.signUp(), await roster.signUp()]
    roster.clock.advance(days(7) - 1)
    expect(outcome(await refresh(early.refresh))).toBe('refreshed')
    roster.clock.advance(1)
    expect(outcome(await refresh(late.refresh))).toBe('invalid_refresh_token')
  })

  test('for a user who is not active, even where the sessions were left', async () => {
    const user = await roster.signUp()
    await roster.sql('update users set is_active = false where id = $1', [user.id])
    expect(outcome(await refresh(user.refresh))).toBe('invalid_refresh_token')
    expect(await stored(user)).toMatchObject({ refresh_generation: 0 })
  })

  test('after logout or deactivation, within the grace too', async () => {
    const user = await roster.signUp()
    await refresh(user.refresh)
    await roster.post('/api/v1/auth/logout', undefined, { token: user.token })
    expect(outcome(await refresh(user.refresh))).toBe('invalid_refresh_token')
    const other = await roster.signUp()
    await refresh(other.refresh)
    await deactivate(roster, other.id)
    expect(outcome(await refresh(other.refresh))).toBe('invalid_refresh_token')
  })

  test('survives a logout at the same moment', async () => {
    const user = await roster.signUp()
    const [, ...replies] = await Promise.all([
      roster.post('/api/v1/auth/logout', undefined, { token: user.token }),
      ...Array.from({ length: 20 }, () => refresh(user.refresh)),
    ])
    for (const { status, body } of replies) {
      expect([200, 401]).toContain(status)
      if (status !== 200) continue
      expect((await roster.get('/api/v1/auth/me', { token: body.access_token })).status).toBe(401)
    }
    expect(await stored(user)).toMatchObject({ revoked_reason: 'logout' })
  })
})
