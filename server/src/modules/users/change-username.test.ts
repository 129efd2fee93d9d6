import { describe, expect, test } from 'vitest'
import { days, hours, minutes } from '../../lib/clock.ts'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent } from '../../testing/outbox.ts'

const roster = await useTestApp({ config: { accessTokenMinutes: 60 * 24 * 60, refreshTokenDays: 60 } })

const rename = (user: SignedUp, username: string) =>
  roster.put('/api/v1/auth/profile/username', { username }, { token: user.token })

let names = 0
const fresh = () => `name${++names}`
const waitText = (n: number) => `Username can only be updated once every 15 days. Please wait ${n} more days.`

describe('a change of username', () => {
  test('changes the record, is audited and published, and told by mail', async () => {
    const user = await roster.signUp({ username: 'old_name', full_name: 'Ada' })
    const { status, body } = await rename(user, 'new_name')
    expect([status, body]).toEqual([
      200,
      { username: 'new_name', last_username_updated: '2026-01-31T10:00:00.000Z' },
    ])
    const me = await roster.get('/api/v1/users/me', { token: user.token })
    expect(me.body).toMatchObject({
      username: 'new_name',
      last_username_updated: '2026-01-31T10:00:00.000Z',
      updated_at: '2026-01-31T10:00:00.000Z',
      updated_by: user.id,
    })
    const [event] = await roster.sql(
      `select data from events where type = 'user.username_updated' and user_id = $1`,
      [user.id],
    )
    expect(event.data).toEqual({
      userId: user.id,
      email: user.email,
      oldUsername: 'old_name',
      newUsername: 'new_name',
      updatedAt: '2026-01-31T10:00:00.000Z',
    })
    const audit = await roster.sql(
      `select changed_fields from audit_log where action = 'user.username_updated' and subject_id = $1`,
      [user.id],
    )
    expect(audit).toEqual([{ changed_fields: ['username'] }])
    expect(await lastSent(roster, user.email, 'username_changed')).toEqual({
      name: 'Ada',
      new_username: 'new_name',
    })
  })

  test('to the present name is refused, and begins no waiting time', async () => {
    const name = fresh()
    const user = await roster.signUp({ username: name })
    expect((await rename(user, name)).body.code).toBe('username_unchanged')
    expect((await rename(user, name.toUpperCase())).status).toBe(200)
  })

  test.each(['ab', 'a'.repeat(31), 'has space', 'ünicode', 'a@b.example', 'ａｄｍｉｎ'])(
    'to %j is refused by the field',
    async name => {
      const user = await roster.signUp()
      const { status, body } = await rename(user, name)
      expect([status, body.code, body.errors[0].path]).toEqual([400, 'validation_failed', '/username'])
    },
  )

  test('to a name that somebody has, in any case, is refused and begins no waiting time', async () => {
    const name = fresh()
    await roster.signUp({ username: name })
    const user = await roster.signUp()
    expect((await rename(user, name.toUpperCase())).body.code).toBe('username_taken')
    expect((await rename(user, fresh())).status).toBe(200)
  })

  test('needs a token', async () => {
    expect((await roster.put('/api/v1/auth/profile/username', { username: fresh() })).status).toBe(401)
  })
})

describe('the next change', () => {
  // Moments of the first change. The rule counts days of 24 hours: clocks set forward or back, and a leap day,
  // change nothing.
  test.each([
    ['any day', '2026-01-31T10:00:00.000Z'],
    ['a day before Europe sets its clocks forward', '2027-03-27T10:00:00.000Z'],
    ['a day before America sets its clocks back', '2027-11-06T05:30:00.000Z'],
    ['days before a leap day', '2028-02-20T23:59:59.999Z'],
    ['a leap day', '2028-02-29T00:00:00.000Z'],
  ])('after one on %s waits for 15 days to the millisecond', async (_day, start) => {
    roster.clock.set(new Date(start))
    const user = await roster.signUp()
    expect((await rename(user, fresh())).status).toBe(200)
    const name = fresh()

    const early = await rename(user, name)
    expect([early.status, early.body.code, early.body.detail]).toEqual([
      400,
      'username_cooldown',
      waitText(15),
    ])
    expect(early.body.retry_after).toBe(15 * 86_400)
    expect(early.headers['retry-after']).toBe(String(15 * 86_400))

    roster.clock.advance(days(3))
    expect((await rename(user, name)).body.detail).toBe(waitText(12))
    roster.clock.advance(1)
    expect((await rename(user, name)).body.detail).toBe(waitText(12))
    roster.clock.advance(days(11) + hours(23) + minutes(59) - 1)
    const late = await rename(user, name)
    expect([late.body.detail, late.body.retry_after]).toEqual([waitText(1), 60])
    roster.clock.advance(minutes(1) - 1)
    expect((await rename(user, name)).body.retry_after).toBe(1)
    roster.clock.advance(1)
    expect((await rename(user, name)).status).toBe(200)
  })
})

describe('a released name', () => {
  test('is held for 15 days: against renames, registrations and made-up names', async () => {
    const name = fresh()
    const owner = await roster.signUp({ username: name })
    const other = await roster.signUp()
    await rename(owner, fresh())
    const register = (more: object) =>
      roster.post('/api/v1/auth/register', { password: 'SecurePass123', ...more })

    roster.clock.advance(days(15) - 1)
    expect((await rename(other, name.toUpperCase())).body.code).toBe('username_taken')
    expect((await register({ email: 'a@held.example', username: name })).body.code).toBe('username_taken')
    const derived = await register({ email: `${name}@held.example` })
    expect(derived.status).toBe(201)
    expect(derived.body.username).not.toBe(name)

    roster.clock.advance(1)
    expect((await rename(other, name)).status).toBe(200)
  })

  test('can be taken back by its owner', async () => {
    const name = fresh()
    const owner = await roster.signUp({ username: name })
    await rename(owner, fresh())
    roster.clock.advance(days(15))
    expect((await rename(owner, name)).status).toBe(200)
  })

  test('goes to nobody who asks in the moment of its release', async () => {
    const name = fresh()
    const owner = await roster.signUp({ username: name })
    const others = await Promise.all(Array.from({ length: 10 }, () => roster.signUp()))
    const [released, ...asked] = await Promise.all([
      rename(owner, fresh()),
      ...others.flatMap(other => [rename(other, name), rename(other, name)]),
    ])
    expect(released.status).toBe(200)
    expect(asked.map(({ body }) => body.code)).toEqual(Array(20).fill('username_taken'))
  })
})

describe('at the same moment', () => {
  test('30 renames of one user: one passes, the others wait 15 days', async () => {
    const user = await roster.signUp()
    const replies = await Promise.all(Array.from({ length: 30 }, () => rename(user, fresh())))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(replies.filter(({ body }) => body.code === 'username_cooldown')).toHaveLength(29)
    const events = await roster.sql(
      `select 1 from events where type = 'user.username_updated' and user_id = $1`,
      [user.id],
    )
    expect(events).toHaveLength(1)
  })

  test('two users who want each other’s name are told at once that it is taken', async () => {
    for (let n = 0; n < 10; n += 1) {
      const [left, right] = [fresh(), fresh()]
      const [one, two] = [await roster.signUp({ username: left }), await roster.signUp({ username: right })]
      const replies = await Promise.all([rename(one, right), rename(two, left)])
      expect(replies.map(({ body }) => body.code)).toEqual(['username_taken', 'username_taken'])
    }
  })

  test('20 users who want one name: one gets it, the others may try another', async () => {
    const users = await Promise.all(Array.from({ length: 20 }, () => roster.signUp()))
    const name = fresh()
    const replies = await Promise.all(users.map((user, n) => rename(user, n % 2 ? name : name.toUpperCase())))
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(replies.filter(({ body }) => body.code === 'username_taken')).toHaveLength(19)
    const loser = users[replies.findIndex(({ status }) => status === 409)]
    expect(loser && (await rename(loser, fresh())).status).toBe(200)
  })
})

test('changes, early ones and those to a taken name are counted', async () => {
  const text = await roster.resources.metrics.registry.metrics()
  for (const outcome of ['changed', 'cooldown', 'taken']) {
    expect(text).toMatch(new RegExp(`username_changes_total\\{outcome="${outcome}"\\} [1-9]`))
  }
})
