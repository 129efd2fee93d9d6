import { randomInt } from 'node:crypto'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { createPasswordHasher, type PasswordHasher } from '../../hashing/pool.ts'
import { hours, minutes, seconds } from '../../lib/clock.ts'
import { type Reply, startTestApp, type TestApp, useTestApp } from '../../testing/harness.ts'
import { lastSent, tokenOf } from '../../testing/outbox.ts'

const wrong = 'WrongPass123'
const browser = (device?: string) => ({
  'x-roster-client': 'browser',
  origin: 'http://localhost:8000',
  ...(device !== undefined && { cookie: device }),
})

const login = (app: TestApp, email: string, password: string, headers: Record<string, string> = {}) =>
  app.post('/api/v1/auth/login', { email, password }, { headers })

async function fail(app: TestApp, email: string, times: number): Promise<Reply[]> {
  const replies: Reply[] = []
  for (let n = 0; n < times; n++) replies.push(await login(app, email, wrong))
  return replies
}

/** A hasher that counts the passwords that it verifies. */
function countingHasher(): PasswordHasher & { verified(): number } {
  const hasher = createPasswordHasher()
  let count = 0
  return {
    ...hasher,
    verify(hash, password) {
      count += 1
      return hasher.verify(hash, password)
    },
    verified: () => count,
  }
}

const statuses = (replies: readonly Reply[]) => replies.map(({ status }) => status)

describe('after failures in a row', async () => {
  const roster = await useTestApp()

  test('the sixth attempt waits 30 seconds, also with the right password', async () => {
    const { email, password } = await roster.signUp()
    expect(statuses(await fail(roster, email, 5))).toEqual([401, 401, 401, 401, 401])
    const refused = await login(roster, email, password)
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_attempts', retry_after: 30 } })
    expect(refused.headers['retry-after']).toBe('30')
    roster.clock.advance(seconds(30) - 1)
    expect((await login(roster, email, password)).status).toBe(429)
    roster.clock.advance(1)
    expect((await login(roster, email, password)).status).toBe(200)
  })

  test('each further failure doubles the delay, to an hour at most, and success ends it', async () => {
    const { email, password } = await roster.signUp()
    await fail(roster, email, 5)
    const delays: number[] = []
    for (let n = 0; n < 9; n++) {
      const wait = (await login(roster, email, wrong)).body.retry_after
      delays.push(wait)
      roster.clock.advance(seconds(wait))
      expect((await login(roster, email, wrong)).status).toBe(401)
    }
    expect(delays).toEqual([30, 60, 120, 240, 480, 960, 1920, 3600, 3600])
    roster.clock.advance(hours(1))
    expect((await login(roster, email, password)).status).toBe(200)
    expect(statuses(await fail(roster, email, 5))).toEqual([401, 401, 401, 401, 401])
  })

  test('whose outcome could not be written, the next attempt is let in', async () => {
    const { email, password } = await roster.signUp()
    const { store } = roster.services
    const { transact } = store
    store.transact = async () => {
      throw Object.assign(new Error('gone'), { code: '08006' })
    }
    const replies = await fail(roster, email, 5)
    store.transact = transact
    expect(statuses(replies)).toEqual([503, 503, 503, 503, 503])
    roster.clock.advance(minutes(1))
    expect((await login(roster, email, password)).status).toBe(200)
  })

  test('a name counts under all its forms, and with the phone number and username of the same account', async () => {
    const { email } = await roster.signUp({
      email: 'forms@example.com',
      username: 'forms',
      phone_number: '+4312345670',
    })
    const names = [{ email: 'FORMS@Example.com' }, { email }, { username: 'Forms' }, { username: 'forms' }]
    for (const name of [...names, { phone_number: '+43 1234 5670' }])
      await roster.post('/api/v1/auth/login', { ...name, password: wrong })
    for (const name of [...names, { phone_number: '+4312345670' }])
      expect((await roster.post('/api/v1/auth/login', { ...name, password: wrong })).status).toBe(429)
  })

  test('they are forgotten after a day without any', async () => {
    const { email } = await roster.signUp()
    await fail(roster, email, 4)
    roster.clock.advance(hours(24) + 1)
    expect(statuses(await fail(roster, email, 5))).toEqual([401, 401, 401, 401, 401])
  })

  test('a signed-in user can still use their password, and strangers can’t use up those attempts', async () => {
    const user = await roster.signUp()
    await fail(roster, user.email, 6)
    const reply = await roster.post(
      '/api/v1/auth/step-up',
      { password: user.password },
      { token: user.token },
    )
    expect(reply.status).toBe(200)
  })

  test('wrong passwords to step up or to change it are counted as well', async () => {
    const user = await roster.signUp()
    const stepUp = () => roster.post('/api/v1/auth/step-up', { password: wrong }, { token: user.token })
    const change = () =>
      roster.post(
        '/api/v1/auth/change-password',
        { current_password: wrong, new_password: 'AnotherPass123' },
        { token: user.token },
      )
    const replies = [await stepUp(), await change(), await stepUp(), await change(), await stepUp()]
    expect(statuses(replies)).toEqual([400, 400, 400, 400, 400])
    expect(statuses([await stepUp(), await change()])).toEqual([429, 429])
  })

  test('wrong set-up codes are counted by address', async () => {
    const app = await startTestApp()
    const setUp = (headers = {}) =>
      app.post(
        '/api/v1/auth/setup',
        { code: 'x', email: 'a@example.com', password: 'AdminPass123' },
        { headers },
      )
    expect((await setUp()).body.code).toBe('invalid_setup_code')
    const rows = await app.sql('select failures from attempt_limits')
    expect(rows).toEqual([{ failures: 1 }])
    await app.stop()
  })

  test('the mail of a reset lets the owner in', async () => {
    const { email } = await roster.signUp()
    await fail(roster, email, 8)
    await roster.post('/api/v1/auth/password-reset-request', { email })
    const { sendRequestedReset } = await import('../auth/reset-password.ts')
    await sendRequestedReset(roster.services, { email_key: email })
    const { link } = await lastSent(roster, email, 'password_reset')
    const body = { token: tokenOf(link), new_password: 'AnotherPass123' }
    expect((await roster.post('/api/v1/auth/password-reset-confirm', body)).status).toBe(204)
    expect((await login(roster, email, 'AnotherPass123')).status).toBe(200)
  })

  test('an administrator unlocks', async () => {
    const admin = await roster.signUpAdmin()
    const { id, email, password } = await roster.signUp()
    await fail(roster, email, 8)
    const reply = await roster.post(`/api/v1/users/${id}/unlock`, undefined, { token: admin.token })
    expect([200, 204]).toContain(reply.status)
    expect((await login(roster, email, password)).status).toBe(200)
  })

  test('a browser that its owner signed in from before still works, and counts on its own', async () => {
    const { email, password } = await roster.signUp()
    const first = await login(roster, email, password, browser())
    const cookies = [first.headers['set-cookie']].flat().map(String)
    const device = cookies.find(cookie => cookie.startsWith('roster_device='))?.split(';')[0] ?? ''
    await fail(roster, email, 8)
    expect(
      (await login(roster, email, password, browser('roster_device=AAAAAAAAAAAAAAAAAAAAAA'))).status,
    ).toBe(429)
    expect((await login(roster, email, password, browser(device))).status).toBe(200)
    for (let n = 0; n < 5; n++) await login(roster, email, wrong, browser(device))
    expect((await login(roster, email, password, browser(device))).status).toBe(429)
  })

  test('a success with the password forgets failures with the password alone', async () => {
    const { id, email, password } = await roster.signUp()
    const { lockout, store } = roster.services
    const attempt = await lockout.reserve(id, 'totp', { address: '127.0.0.1' })
    await store.transact(attempt.failed)
    await fail(roster, email, 3)
    await login(roster, email, password)
    const rows = await roster.sql(
      `select convert_from(substring(key from 17), 'utf8') as factor, failures from attempt_limits
       where substring(key from 1 for 16) = uuid_send($1::uuid) order by 1`,
      [id],
    )
    expect(rows).toEqual([
      { factor: 'password', failures: 0 },
      { factor: 'totp', failures: 1 },
    ])
  })

  test('old counts are deleted, present ones are not', async () => {
    const app = await startTestApp()
    await fail(app, 'old@example.com', 1)
    app.clock.advance(hours(49))
    await fail(app, 'new@example.com', 1)
    await app.services.lockout.cleanUp()
    expect(await app.sql('select failures from attempt_limits')).toHaveLength(2) // the name and the address
    await app.stop()
  })
})

describe('50 guesses at once', async () => {
  const hasher = countingHasher()
  const roster = await useTestApp({ hasher, config: { trustedProxies: [] } })
  const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock, hasher })

  test('are not evaluated more often than 5 times, from two processes, forged addresses or not', async () => {
    const { email, password } = await roster.signUp()
    const before = hasher.verified()
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        login(n % 2 ? roster : second, email, `${wrong}${n}`, { 'x-forwarded-for': `203.0.113.${n}, junk` }),
      ),
    )
    expect(hasher.verified() - before).toBe(5)
    expect(statuses(replies).filter(status => status === 401)).toHaveLength(5)
    expect(statuses(replies).filter(status => status === 429)).toHaveLength(45)
    for (const { status, headers } of replies)
      if (status === 429) expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    expect((await login(second, email, password)).status).toBe(429)
  })

  test('after the delay are evaluated once', async () => {
    const { email } = await roster.signUp()
    await fail(roster, email, 5)
    roster.clock.advance(seconds(30))
    const before = hasher.verified()
    await Promise.all(Array.from({ length: 50 }, (_, n) => login(n % 2 ? roster : second, email, wrong)))
    expect(hasher.verified() - before).toBe(1)
  })

  test('at an account that does not exist are counted just so', async () => {
    const before = hasher.verified()
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, n) => login(n % 2 ? roster : second, 'nobody@example.com', wrong)),
    )
    expect(hasher.verified() - before).toBe(5)
    expect(statuses(replies).filter(status => status === 401)).toHaveLength(5)
  })

  test('with the right password all get in: they wait for each other', async () => {
    const { email, password } = await roster.signUp()
    const replies = await Promise.all(
      Array.from({ length: 40 }, (_, n) => login(n % 2 ? roster : second, email, password)),
    )
    expect(new Set(statuses(replies))).toEqual(new Set([200]))
  })

  test('what a process that died took and never settled counts as failed, half a minute later', async () => {
    const { id, email, password } = await roster.signUp()
    const { lockout } = roster.services
    for (let n = 0; n < 5; n++) void (await lockout.reserve(id, 'password', { address: '127.0.0.1' }))
    roster.clock.advance(seconds(31))
    expect((await login(second, email, wrong)).status).toBe(401)
    expect((await login(second, email, password)).status).toBe(429)
    await second.stop()
    await hasher.stop()
  })
})

test('an attempt is settled account first, then address: so two never wait for each other', async () => {
  const roster = await startTestApp()
  const { id } = await roster.signUp()
  const attempt = await roster.services.lockout.reserve(id, 'totp', { address: '198.51.100.7' })
  const taken = await roster.sql(`
    select key, substring(key for 16) = uuid_send('${id}') as "isAccount" from attempt_limits where reserved > 0`)
  const account = taken.find(({ isAccount }) => isAccount).key
  const address = taken.find(({ isAccount }) => !isAccount).key
  const lock = 'select from attempt_limits where key = $1 for update nowait'
  const another = new pg.Client({ connectionString: roster.databaseUrl })
  await another.connect()
  await another.query('begin')
  await another.query(lock, [address])
  const settled = roster.resources.store.transact(trx => attempt.failed(trx))
  const isLocked = () => roster.sql(lock, [account]).catch(({ code }) => code)
  await expect.poll(isLocked).toBe('55P03')
  await another.query('commit')
  await settled
  const counts = 'select failures, reserved from attempt_limits where key in ($1, $2)'
  expect(await roster.sql(counts, [account, address])).toEqual([
    { failures: 1, reserved: 0 },
    { failures: 1, reserved: 0 },
  ])
  await another.end()
  await roster.stop()
})

describe('a client address', async () => {
  const roster = await useTestApp({ config: { environment: 'production', trustedProxies: ['127.0.0.1'] } })
  const from = (address: string) => ({ 'x-forwarded-for': address })
  const guess = (n: number, address: string) => login(roster, `guess${n}@example.com`, wrong, from(address))

  test('that failed 100 times, at whatever names, waits; others don’t', async () => {
    const { email, password } = await roster.signUp()
    for (let n = 0; n < 20; n++) await Promise.all([0, 1, 2, 3, 4].map(k => guess(n * 5 + k, '198.51.100.7')))
    expect((await login(roster, email, password, from('198.51.100.7'))).body).toMatchObject({
      code: 'too_many_attempts',
      retry_after: 30,
    })
    expect((await login(roster, email, password, from('198.51.100.8'))).status).toBe(200)
    roster.clock.advance(minutes(30))
    expect((await login(roster, email, password, from('198.51.100.7'))).status).toBe(200)
  })

  test('of IPv6 counts with its /64, and what a client prepends changes nothing', async () => {
    await guess(1000, '2001:db8::1')
    await guess(1001, '198.51.100.99, 2001:db8::ffff')
    await guess(1002, 'garbage, 2001:db8:0:0:1::')
    const rows = await roster.sql('select failures from attempt_limits where failures between 2.5 and 3.5')
    expect(rows).toHaveLength(1)
  })
})

describe('known and unknown accounts', async () => {
  const roster = await useTestApp()

  test('can’t be told apart over 200 interleaved pairs, locked ones neither', async () => {
    const known = await roster.signUp()
    const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] }
    const shapes = new Set<string>()
    for (let n = 0; n < 200; n++) {
      // Pairs 0–4 of each ten fail, 5–9 are locked.
      if (n % 10 === 0) roster.clock.advance(hours(25))
      const order = randomInt(2) ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const)
      const pair: string[] = []
      for (const kind of order) {
        const email = kind === 'known' ? known.email : 'nobody-at-all@example.com'
        const started = performance.now()
        const reply = await login(roster, email, wrong)
        times[kind].push(performance.now() - started)
        const { 'x-request-id': _id, date: _date, ...headers } = reply.headers
        const { request_id: _request, ...body } = reply.body
        pair.push(JSON.stringify([reply.status, headers, body]))
      }
      expect(pair[0]).toBe(pair[1])
      shapes.add(`${n % 10 < 5} ${JSON.parse(pair[0] ?? '')[0]}`)
    }
    expect(shapes).toEqual(new Set(['true 401', 'false 429']))
    for (const locked of [false, true]) {
      const part = (kind: 'known' | 'unknown') => times[kind].filter((_, n) => n % 10 >= 5 === locked)
      // A random guess would be right in half of the pairs.
      expect(share(part('known'), part('unknown'))).toBeGreaterThan(0.35)
      expect(share(part('known'), part('unknown'))).toBeLessThan(0.65)
    }
  })
})

/** In which share of the pairs the first took longer. */
const share = (a: readonly number[], b: readonly number[]): number =>
  a.filter((time, n) => time > (b[n] ?? 0)).length / a.length
