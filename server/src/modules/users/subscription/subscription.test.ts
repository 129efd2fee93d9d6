import { describe, expect, test } from 'vitest'
import { startTestApp, useTestApp } from '../../../testing/harness.ts'
import { addMonths, endExpired } from './change.ts'

const roster = await useTestApp()
const me = '/api/v1/users/me'

const eventsOf = async (id: string) =>
  (
    await roster.sql(
      `select data ->> 'oldTier' as before, data ->> 'newTier' as after from events
       where user_id = $1 and type = 'user.subscription_updated' order by id`,
      [id],
    )
  ).map(({ before, after }) => `${before} → ${after}`)

describe('premium', () => {
  test('is switched on and off by its user, with an event each', async () => {
    const { id, token } = await roster.signUp()
    const up = await roster.post(`${me}/upgrade`, undefined, { token })
    expect(up.status).toBe(200)
    expect(up.body).toMatchObject({
      is_premium: true,
      subscription: { tier: 'premium', since: roster.clock.now().toISOString(), expires_at: null },
    })
    expect((await roster.post(`${me}/upgrade`, {}, { token })).status).toBe(200)
    const down = await roster.post(`${me}/downgrade`, undefined, { token })
    expect(down.body).toMatchObject({ is_premium: false, subscription: { tier: 'free', expires_at: null } })
    expect(await eventsOf(id)).toEqual(['free → premium', 'premium → free'])
  })

  test('for some months is added to what is left, and ends by itself to the millisecond', async () => {
    const { id, token } = await roster.signUp()
    const start = roster.clock.now()
    await roster.post(`${me}/upgrade`, { months: 1 }, { token })
    const { body } = await roster.post(`${me}/upgrade`, { months: 2 }, { token })
    const end = addMonths(addMonths(start, 1), 2)
    expect(body.subscription.expires_at).toBe(end.toISOString())
    roster.clock.set(new Date(end.getTime() - 1))
    const renewed = await roster.post('/api/v1/auth/login', {
      email: `${(await userOf(id)).email}`,
      password: 'SecurePass123',
    })
    const access = { token: renewed.body.access_token }
    expect((await roster.get(me, access)).body.is_premium).toBe(true)
    expect((await roster.get('/api/v1/users/search', access)).status).toBe(200)
    roster.clock.advance(1)
    expect((await roster.get(me, access)).body.is_premium).toBe(false)
    expect((await roster.get('/api/v1/users/search', access)).status).toBe(403)
    await endExpired(roster.resources.store, roster.clock.now())
    await endExpired(roster.resources.store, roster.clock.now())
    expect((await eventsOf(id)).at(-1)).toBe('premium → free')
    expect(await eventsOf(id)).toHaveLength(3)
  })

  test.each([
    ['2026-01-31T10:00:00Z', 1, '2026-02-28T10:00:00Z'],
    ['2027-12-31T10:00:00Z', 2, '2028-02-29T10:00:00Z'],
    ['2026-03-15T23:59:59Z', 12, '2027-03-15T23:59:59Z'],
    ['9999-06-30T10:00:00Z', 120, '9999-12-31T23:59:59.999Z'],
  ])('%s and %d months make %s', (from, months, to) => {
    expect(addMonths(new Date(from), months)).toEqual(new Date(to))
  })

  test('that has run out is over for everybody before its end is noted, and its end comes before what follows', async () => {
    const { id, token } = await roster.signUp()
    const access = { token }
    const start = roster.clock.now()
    const admin = await roster.signUpAdmin()
    const end = new Date(start.getTime() + 60_000)
    const premium = { tier: 'premium', expires_at: end.toISOString() }
    const bill = (body: unknown) =>
      roster.put(`/api/v1/users/${id}/subscription`, body, { token: admin.token })
    await bill(premium)
    roster.clock.advance(90_000)
    const over = { tier: 'free', since: end.toISOString(), expires_at: null }
    expect((await roster.get(me, access)).body).toMatchObject({ is_premium: false, subscription: over })
    const listed = await roster.get(`/api/v1/users?q=${id}`, { token: admin.token })
    expect(listed.body.items[0]).toMatchObject({ is_premium: false, subscription: over })

    expect((await roster.post(`${me}/downgrade`, undefined, access)).body.subscription).toEqual(over)
    expect(await eventsOf(id)).toEqual(['free → premium', 'premium → free'])
    expect(await userOf(id)).toMatchObject({ subscription_tier: 'free', subscription_since: end })

    await bill({ ...premium, expires_at: new Date(roster.clock.now().getTime() + 60_000).toISOString() })
    roster.clock.advance(60_000)
    const renewed = await roster.post(`${me}/upgrade`, { months: 1 }, access)
    expect(renewed.body.subscription).toMatchObject({
      tier: 'premium',
      since: roster.clock.now().toISOString(),
      expires_at: addMonths(roster.clock.now(), 1).toISOString(),
    })
    expect((await eventsOf(id)).slice(2)).toEqual(['free → premium', 'premium → free', 'free → premium'])
  })

  test('takes no other months than 1 to 120', async () => {
    const { token } = await roster.signUp()
    for (const months of [0, 121, 1.5, '3', null]) {
      const { status, body } = await roster.post(`${me}/upgrade`, { months }, { token })
      expect(status).toBe(400)
      expect(body.errors).toMatchObject([{ path: '/months' }])
    }
  })
})

describe('SUBSCRIPTIONS=managed', () => {
  test('leaves it to holders of subscriptions:manage', async () => {
    const managed = await startTestApp({
      databaseUrl: roster.databaseUrl,
      clock: roster.clock,
      config: { subscriptions: 'managed' },
    })
    const admin = await roster.signUpAdmin()
    const { id, token } = await roster.signUp()
    for (const path of ['upgrade', 'downgrade']) {
      const { status, body } = await managed.post(`${me}/${path}`, undefined, { token })
      expect(status).toBe(403)
      expect(body.code).toBe('subscriptions_managed')
    }
    const expires_at = new Date(roster.clock.now().getTime() + 3_600_000).toISOString()
    const set = await managed.put(
      `/api/v1/users/${id}/subscription`,
      { tier: 'premium', expires_at },
      { token: admin.token },
    )
    expect(set.body).toMatchObject({ is_premium: true, subscription: { expires_at } })
    const [audit] = await roster.sql(
      `select actor_id from audit_log where subject_id = $1 and action = 'user.subscription_updated'`,
      [id],
    )
    expect(audit.actor_id).toBe(admin.id)
    await managed.stop()
  })

  test('by anybody else is 403, of nobody 404, into the past 400', async () => {
    const admin = await roster.signUpAdmin()
    const { id, token } = await roster.signUp()
    const put = (target: string, body: unknown, as = admin.token) =>
      roster.put(`/api/v1/users/${target}/subscription`, body, { token: as })
    expect((await put(id, { tier: 'premium' }, token)).status).toBe(403)
    expect((await put('019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c', { tier: 'premium' })).status).toBe(404)
    expect((await put(id, { tier: 'premium', expires_at: '2020-01-01T00:00:00.000Z' })).status).toBe(400)
    expect((await put(id, { tier: 'gold' })).status).toBe(400)
  })

  test.each([
    '2027-06-30T23:59:60Z',
    '2027-01-31T10:00:00+02',
    '9999-12-31T23:59:59-23:59',
    '2027-02-30T10:00:00Z',
    'tomorrow',
  ])('takes a date and time up to 9999 as the end of premium, and so not %s', async expires_at => {
    const admin = await roster.signUpAdmin()
    const { id } = await roster.signUp()
    const { status, body } = await roster.put(
      `/api/v1/users/${id}/subscription`,
      { tier: 'premium', expires_at },
      { token: admin.token },
    )
    expect(status).toBe(400)
    expect(body.errors).toMatchObject([{ path: '/expires_at', code: 'format' }])
    expect(body.errors[0].message).toContain('such as 2026-01-31T10:00:00.000Z')
  })

  test('takes no end with the tier free', async () => {
    const admin = await roster.signUpAdmin()
    const { id } = await roster.signUp()
    const put = (body: unknown) =>
      roster.put(`/api/v1/users/${id}/subscription`, body, { token: admin.token })
    const refused = await put({ tier: 'free', expires_at: '2030-01-01T00:00:00.000Z' })
    expect(refused.status).toBe(400)
    expect(refused.body.errors).toMatchObject([{ path: '/expires_at', code: 'not_allowed' }])
    expect((await put({ tier: 'free', expires_at: null })).status).toBe(200)
  })

  test('20 upgrades of one month at once are 20 months', async () => {
    const { token } = await roster.signUp()
    const start = roster.clock.now()
    await Promise.all(
      Array.from({ length: 20 }, () => roster.post(`${me}/upgrade`, { months: 1 }, { token })),
    )
    const { body } = await roster.get(me, { token })
    let end = start
    for (let n = 0; n < 20; n += 1) end = addMonths(end, 1)
    expect(body.subscription.expires_at).toBe(end.toISOString())
  })
})

const userOf = async (id: string) =>
  (await roster.sql('select email, subscription_tier, subscription_since from users where id = $1', [id]))[0]
