import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { deactivate } from '../../testing/deactivate.ts'
import { type Reply, useTestApp } from '../../testing/harness.ts'
import { lockUser } from '../users/index.ts'

const roster = await useTestApp()
const password = 'SecurePass123'

const login = (body: object, headers: Record<string, string> = {}) =>
  roster.post('/api/v1/auth/login', { password, ...body }, { headers })

async function person(username: string, more: object = {}): Promise<{ id: string; email: string }> {
  const input = { email: `${username}@example.com`, username, password, ...more }
  const { body } = await roster.post('/api/v1/auth/register', input)
  return { id: body.id, email: input.email }
}

const livingSessions = (userId: string) =>
  roster.sql('select id from sessions where user_id = $1 and revoked_at is null', [userId])

describe('a login', () => {
  test('answers with tokens and the user, which open /auth/me', async () => {
    const { id } = await person('first-login')
    const { status, body, headers } = await login({ email: 'First-Login@Example.com' })
    expect(status).toBe(200)
    expect(body).toEqual({
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      token_type: 'Bearer',
      expires_in: 1800,
      refresh_token: expect.stringMatching(/^rrt_/),
      refresh_expires_in: 604_800,
      session_id: expect.any(String),
      user: expect.objectContaining({ id, last_login_at: '2026-01-31T10:00:00.000Z', updated_at: null }),
    })
    expect(headers['cache-control']).toContain('no-store')
    const me = await roster.get('/api/v1/auth/me', { token: body.access_token })
    expect([me.status, me.body]).toEqual([200, body.user])
  })

  test('leaves a session, an audit row and an event, and counts', async () => {
    const { id, email } = await person('leaves-traces')
    const { body } = await login({ email }, { 'user-agent': 'curl/8.5.0' })
    const [session] = await roster.sql('select * from sessions where id = $1', [body.session_id])
    expect(session).toMatchObject({
      user_id: id,
      ip: '127.0.0.1',
      user_agent: 'curl/8.5.0',
      assurance_level: 'aal1',
      authentication_methods: ['pwd'],
      revoked_at: null,
    })
    const [audit] = await roster.sql(`select * from audit_log where action = 'login' and subject_id = $1`, [
      id,
    ])
    expect(audit).toMatchObject({
      outcome: 'success',
      actor_type: 'user',
      actor_id: id,
      session_id: body.session_id,
      details: { method: 'password' },
    })
    const [event] = await roster.sql(
      `select data from events where type = 'user.logged_in' and user_id = $1`,
      [id],
    )
    expect(event.data).toMatchObject({ userId: id, sessionId: body.session_id, method: 'password' })
    expect(await roster.sql('select login_count from user_activity where user_id = $1', [id])).toEqual([
      { login_count: 1 },
    ])
  })

  test('takes e-mail address, username or phone number, in any of their forms', async () => {
    await person('Many.Names', { phone_number: '+4312345678' })
    for (const name of [
      { email: 'MANY.NAMES@EXAMPLE.COM' },
      { username: 'many.names' },
      { username: 'ＭＡＮＹ.names' },
      { phone_number: '+43 1 234-5678' },
    ]) {
      expect([name, (await login(name)).status]).toEqual([name, 200])
    }
  })

  test('takes one name, neither none nor two', async () => {
    for (const names of [{}, { email: 'a@example.com', username: 'abc' }]) {
      const reply = await login(names)
      expect([reply.status, reply.body.errors[0].code]).toEqual([400, 'one_name'])
    }
  })

  test.each([
    ['email', ['a@example.com']],
    ['username', { $gt: '' }],
    ['phone_number', 43],
    ['password', ['SecurePass123']],
    ['password', 12_345_678],
    ['password', null],
  ])('does not take %s as %j', async (field, value) => {
    const reply = await login({ email: 'a@example.com', [field]: value })
    expect([reply.status, reply.body.errors[0].path]).toEqual([400, `/${field}`])
  })

  test('of a password in another Unicode form, even a longer one, is the same', async () => {
    const composed = `Aa1${'é'.repeat(120)}`
    const { email } = await person('unicode-form', { password: composed.normalize('NFD') })
    for (const form of ['NFC', 'NFD']) {
      expect((await login({ email, password: composed.normalize(form) })).status).toBe(200)
    }
  })
})

describe('a failed login', () => {
  /** All that a client can see, without what differs between any two requests. */
  function visible({ status, headers, body }: Reply) {
    const { 'x-request-id': _id, date: _date, ...same } = headers
    const length = Number(headers['content-length']) - body.request_id.length
    return { status, headers: { ...same, 'content-length': length }, body: { ...body, request_id: '' } }
  }

  test('is one and the same reply, whatever was wrong', async () => {
    const active = await person('is-active')
    const inactive = await person('is-inactive')
    const deleted = await person('is-deleted')
    const invited = await person('has-no-password')
    await deactivate(roster, inactive.id)
    await roster.sql('update users set is_active = false, deleted_at = now() where id = $1', [deleted.id])
    await roster.sql('delete from user_credentials where user_id = $1', [invited.id])
    const attempts = {
      wrong: { email: active.email, password: 'WrongPass123' },
      'wrong case': { email: active.email, password: 'securepass123' },
      truncated: { email: active.email, password: 'SecurePass12' },
      'too long': { email: active.email, password: `Aa1${'x'.repeat(500)}` },
      unknown: { email: 'nobody@example.com' },
      'unknown username': { username: 'nobody-at-all' },
      'no possible name': { email: 'not an address' },
      'e-mail address as username': { username: active.email },
      'unknown phone': { phone_number: '+4399999999' },
      inactive: { email: inactive.email },
      deleted: { email: deleted.email },
      'no password': { email: invited.email },
    }
    const replies = await Promise.all(
      Object.entries(attempts).map(async ([what, body]) => [what, visible(await login(body))] as const),
    )
    const [[, reference]] = replies as [(typeof replies)[number]]
    expect(reference).toMatchObject({ status: 401, body: { code: 'invalid_credentials' } })
    for (const [what, reply] of replies) expect([what, reply]).toEqual([what, reference])
  })

  test('is audited, with the user where there is one, and leaves no session', async () => {
    const { id, email } = await person('failing')
    await login({ email, password: 'WrongPass123' })
    const rows = await roster.sql(`select outcome, actor_type, actor_id from audit_log
      where action = 'login' and subject_id = '${id}'`)
    expect(rows).toEqual([{ outcome: 'failure', actor_type: 'anonymous', actor_id: null }])
    expect(await livingSessions(id)).toEqual([])
    expect(await roster.sql('select last_login_at from user_activity where user_id = $1', [id])).toEqual([
      { last_login_at: null },
    ])
  })

  test('takes as long for an unknown account as for a known one: 110 interleaved pairs', async () => {
    const { email } = await person('timed')
    const known = { email, password: 'WrongPass123' }
    const unknown = { email: 'timed-not@example.com', password: 'WrongPass123' }
    const measure = async (body: object) => {
      const start = performance.now()
      await login(body)
      return performance.now() - start
    }
    for (let n = 0; n < 5; n += 1) await measure(n % 2 ? known : unknown)
    const pairs: { known: number; unknown: number }[] = []
    while (pairs.length < 110) {
      if (randomInt(2) === 0) pairs.push({ known: await measure(known), unknown: await measure(unknown) })
      else {
        const second = await measure(unknown)
        pairs.push({ unknown: second, known: await measure(known) })
      }
    }
    // The sign test is deaf to outliers: without a hash for nobody, one side wins all pairs. By chance more
    // than three quarters go to one side once in ten million runs.
    const slower = pairs.filter(pair => pair.known > pair.unknown).length / pairs.length
    expect(slower).toBeGreaterThan(0.25)
    expect(slower).toBeLessThan(0.75)
    const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
    const ratio = median(pairs.map(pair => pair.known)) / median(pairs.map(pair => pair.unknown))
    expect(ratio).toBeGreaterThan(0.75)
    expect(ratio).toBeLessThan(1.33)
  })
})

describe('a login at the same moment as', () => {
  test('a password change never leaves a session of the old password', async () => {
    const user = await roster.signUp()
    const body = { current_password: password, new_password: 'BrandNewPass456' }
    const change = sleep(randomInt(40)).then(() =>
      roster.post('/api/v1/auth/change-password', body, { token: user.token }),
    )
    const logins = Array.from({ length: 20 }, () => login({ email: user.email }))
    const [changed, ...replies] = await Promise.all([change, ...logins])
    expect(changed.status).toBe(204)
    expect(await livingSessions(user.id)).toEqual([{ id: user.session }])
    for (const reply of replies) {
      expect([200, 401, 429]).toContain(reply.status)
      if (reply.status !== 200) continue
      const me = await roster.get('/api/v1/auth/me', { token: reply.body.access_token })
      expect(me.status).toBe(401)
    }
  })

  test('a deactivation never leaves a session', async () => {
    const user = await roster.signUp()
    const stop = sleep(randomInt(40)).then(() => deactivate(roster, user.id))
    const replies = await Promise.all(Array.from({ length: 20 }, () => login({ email: user.email })))
    await stop
    expect(await livingSessions(user.id)).toEqual([])
    for (const { body } of replies.filter(({ status }) => status === 200)) {
      expect((await roster.get('/api/v1/auth/me', { token: body.access_token })).status).toBe(401)
      const refreshed = await roster.post('/api/v1/auth/refresh', { refresh_token: body.refresh_token })
      expect(refreshed.status).toBe(401)
    }
  })

  // The race above hits the moment between check and commit now and then; this one always does.
  test.each(['a password change', 'a deactivation'])(
    'the commit of %s is refused, after the password was found right',
    async what => {
      const user = await roster.signUp()
      const { store } = roster.services
      const { promise: committed, resolve: commit } = Promise.withResolvers<void>()
      const change = store.transact(async trx => {
        if (what === 'a deactivation') {
          await trx.updateTable('users').set({ is_active: false }).where('id', '=', user.id).execute()
        } else {
          await trx
            .updateTable('user_credentials')
            .set({ password_version: 2 })
            .where('user_id', '=', user.id)
            .execute()
        }
        await committed
      })
      const attempt = login({ email: user.email })
      await waitForLock()
      commit()
      await change
      expect((await attempt).status).toBe(401)
      expect(await livingSessions(user.id)).toEqual([{ id: user.session }])
      const rows = await roster.sql(`select outcome from audit_log
        where action = 'login' and subject_id = '${user.id}' order by id desc limit 1`)
      expect(rows).toEqual([{ outcome: 'failure' }])
    },
  )

  test('a password change waits for it, and holds nothing that the change needs', async () => {
    const user = await roster.signUp()
    const [attempt] = await roster.services.store.transact(async trx => {
      await lockUser(trx, user.id)
      const attempt = login({ email: user.email })
      await waitForLock()
      // Where the login had locked the password before the user, the two would wait for each other.
      await sql`set local lock_timeout = '500ms'`.execute(trx)
      await sql`update user_credentials set password_version = 2 where user_id = ${user.id}`.execute(trx)
      return [attempt] as const
    })
    expect((await attempt).status).toBe(401)
  })

  async function waitForLock(): Promise<void> {
    for (let n = 0; n < 500; n += 1) {
      const [row] = await roster.sql(`select count(*)::int as n from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`)
      if (row.n > 0) return
      await sleep(10)
    }
    throw new Error('nobody waits for a lock')
  }
})

describe('people who are gone', () => {
  test('a deleted user can’t log in, refresh or use a token, and gives their name to nobody', async () => {
    const user = await roster.signUp({ username: 'gone-user' })
    await deactivate(roster, user.id)
    await roster.sql('update users set deleted_at = now() where id = $1', [user.id])
    expect((await login({ email: user.email })).status).toBe(401)
    expect((await roster.post('/api/v1/auth/refresh', { refresh_token: user.refresh })).status).toBe(401)
    expect((await roster.get('/api/v1/auth/me', { token: user.token })).status).toBe(401)
    const heir = await roster.post('/api/v1/auth/register', {
      email: 'heir@example.com',
      username: 'Gone-User',
      password,
    })
    expect([heir.status, heir.body.code]).toEqual([409, 'username_taken'])
  })

  test('a new account under a name that became free inherits no role, session or history', async () => {
    const before = await roster.signUpAdmin()
    const [{ username }] = await roster.sql('select username from users where id = $1', [before.id])
    await roster.sql('delete from users where id = $1', [before.id])
    const heir = await roster.signUp({ username, email: before.email })
    const me = await roster.get('/api/v1/auth/me', { token: heir.token })
    expect(me.body).toMatchObject({ username, roles: ['user'] })
    const sessions = await roster.get('/api/v1/auth/sessions', { token: heir.token })
    expect(sessions.body.items).toHaveLength(1)
    expect((await roster.post('/api/v1/auth/refresh', { refresh_token: before.refresh })).status).toBe(401)
  })
})
