import { describe, expect, test } from 'vitest'
import { days, hours, minutes } from '../../lib/clock.ts'
import { type Reply, useTestApp } from '../../testing/harness.ts'
import { sessionJobs } from './jobs.ts'

const roster = await useTestApp()

const meStatus = async (token: string) => (await roster.get('/api/v1/auth/me', { token })).status

describe('logout', () => {
  test('ends this session for the very next request, its refresh token too, and no other', async () => {
    const user = await roster.signUp()
    const other = await roster.signIn(user)
    expect(await meStatus(user.token)).toBe(200)
    expect((await roster.post('/api/v1/auth/logout', undefined, { token: user.token })).status).toBe(204)
    const after = await roster.get('/api/v1/auth/me', { token: user.token })
    expect([after.status, after.body.code]).toEqual([401, 'invalid_token'])
    expect((await roster.post('/api/v1/auth/refresh', { refresh_token: user.refresh })).status).toBe(401)
    expect(await meStatus(other.token)).toBe(200)
    const [row] = await roster.sql('select revoked_at, revoked_reason from sessions where id = $1', [
      user.session,
    ])
    expect(row).toEqual({ revoked_at: roster.clock.now(), revoked_reason: 'logout' })
    const audit = await roster.sql(`select actor_id, session_id, details from audit_log
      where action = 'session.revoked' and subject_id = '${user.id}'`)
    expect(audit).toEqual([
      {
        actor_id: user.id,
        session_id: user.session,
        details: { session_id: user.session, reason: 'logout' },
      },
    ])
    const events = await roster.sql(`select data from events
      where type = 'session.revoked' and user_id = '${user.id}'`)
    expect(events).toEqual([{ data: expect.objectContaining({ sessionId: user.session, reason: 'logout' }) }])
  })

  describe('with an access token that has expired', () => {
    const logout = (body?: unknown, more: Parameters<typeof roster.post>[2] = {}) =>
      roster.post('/api/v1/auth/logout', body, more)
    const refreshStatus = async (refresh_token: string) =>
      (await roster.post('/api/v1/auth/refresh', { refresh_token })).status
    const expired = async () => {
      const user = await roster.signUp()
      roster.clock.advance(minutes(31))
      expect(await meStatus(user.token)).toBe(401)
      return user
    }

    test('ends the session of the refresh token, by its owner, and no other', async () => {
      const user = await expired()
      const other = await roster.signIn(user)
      expect((await logout({ refresh_token: user.refresh }, { token: user.token })).status).toBe(204)
      expect([await refreshStatus(user.refresh), await refreshStatus(other.refresh)]).toEqual([401, 200])
      const audit = await roster.sql(
        `select actor_type, actor_id, session_id, details from audit_log
          where action = 'session.revoked' and subject_id = $1`,
        [user.id],
      )
      expect(audit).toEqual([
        {
          actor_type: 'user',
          actor_id: user.id,
          session_id: user.session,
          details: { session_id: user.session, reason: 'logout' },
        },
      ])
    })

    test.each([
      ['no header', {}],
      ['rubbish', { token: 'rubbish' }],
      ['another scheme', { headers: { authorization: 'Basic eDp5' } }],
    ])('and %s does so as well, also by a refresh token that was replaced', async (_what, more) => {
      const user = await roster.signUp()
      const { body } = await roster.post('/api/v1/auth/refresh', { refresh_token: user.refresh })
      roster.clock.advance(minutes(5))
      expect((await logout({ refresh_token: user.refresh }, more)).status).toBe(204)
      expect(await refreshStatus(body.refresh_token)).toBe(401)
      expect(await meStatus(body.access_token)).toBe(401)
    })

    test('alone ends nothing, and neither does a refresh token that is none, has ended or was forged', async () => {
      const user = await expired()
      const over = await roster.signUp()
      await logout({ refresh_token: over.refresh })
      const forged = `${user.refresh.slice(0, -2)}${user.refresh.endsWith('AA') ? 'BA' : 'AA'}`
      for (const [body, more, code] of [
        [undefined, { token: user.token }, 'invalid_token'],
        [{}, {}, 'unauthorized'],
        [{ refresh_token: 'rubbish' }, { token: user.token }, 'invalid_refresh_token'],
        [{ refresh_token: over.refresh }, {}, 'invalid_refresh_token'],
        [{ refresh_token: forged }, {}, 'invalid_refresh_token'],
      ] as const) {
        const reply = await logout(body, more)
        expect([reply.status, reply.body.code]).toEqual([401, code])
      }
      expect(await refreshStatus(user.refresh)).toBe(200)
    })

    test('and a token of each session ends both', async () => {
      const [one, two] = [await roster.signUp(), await roster.signUp()]
      expect((await logout({ refresh_token: two.refresh }, { token: one.token })).status).toBe(204)
      expect([await meStatus(one.token), await meStatus(two.token)]).toEqual([401, 401])
    })
  })

  test('20 times at once is one logout', async () => {
    const user = await roster.signUp()
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => roster.post('/api/v1/auth/logout', undefined, { token: user.token })),
    )
    for (const { status } of replies) expect([204, 401]).toContain(status)
    expect(replies.map(({ status }) => status)).toContain(204)
    const events = await roster.sql(`select 1 from events
      where type = 'session.revoked' and user_id = '${user.id}'`)
    expect(events).toHaveLength(1)
  })

  test('everywhere ends every session and says how many', async () => {
    const user = await roster.signUp()
    const others = [await roster.signIn(user), await roster.signIn(user)]
    const bystander = await roster.signUp()
    const reply = await roster.post('/api/v1/auth/logout-all', undefined, { token: user.token })
    expect([reply.status, reply.body]).toEqual([200, { revoked: 3 }])
    for (const { token } of [user, ...others]) expect(await meStatus(token)).toBe(401)
    expect(await meStatus(bystander.token)).toBe(200)
  })

  test('everywhere else keeps this session', async () => {
    const user = await roster.signUp()
    const other = await roster.signIn(user)
    const url = '/api/v1/auth/logout-all?keep_current=true'
    expect((await roster.post(url, undefined, { token: user.token })).body).toEqual({ revoked: 1 })
    expect([await meStatus(user.token), await meStatus(other.token)]).toEqual([200, 401])
    expect((await roster.post(url, undefined, { token: user.token })).body).toEqual({ revoked: 0 })
    const bad = await roster.post('/api/v1/auth/logout-all?keep_current=yes', undefined, {
      token: user.token,
    })
    expect(bad.status).toBe(400)
  })

  test('everywhere, while the same sessions are noted as used, blocks nobody', async () => {
    const user = await roster.signUp()
    const sessions = await Promise.all(Array.from({ length: 8 }, () => roster.signIn(user)))
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(sessions.map(({ token }) => meStatus(token)))
      const [reply] = await Promise.all([
        roster.post('/api/v1/auth/logout-all?keep_current=true', undefined, { token: user.token }),
        roster.services.activity.flush(),
      ])
      expect(reply.status).toBe(200)
    }
  })
})

describe('the list of sessions', () => {
  const agents = {
    firefox: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0',
    iphone:
      'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
    curl: 'curl/8.5.0',
    nonsense: '\u00ff\u00fe{{7*7}}<script>',
  }

  test('names devices, the last used first, and marks the present one', async () => {
    const user = await roster.signUp()
    for (const agent of Object.values(agents)) {
      roster.clock.advance(minutes(1))
      await roster.post('/api/v1/auth/login', user2login(user), { headers: { 'user-agent': agent } })
    }
    const { status, body } = await roster.get('/api/v1/auth/sessions', { token: user.token })
    expect(status).toBe(200)
    expect(body.items.map((item: { device_name: string }) => item.device_name)).toEqual([
      'Unknown device',
      'curl',
      'Safari on iPhone',
      'Firefox on Windows',
      expect.any(String),
    ])
    expect(body.items[3]).toEqual({
      id: expect.any(String),
      device_name: 'Firefox on Windows',
      browser: 'Firefox 130.0',
      os: 'Windows 10',
      ip: '127.0.0.1',
      created_at: expect.any(String),
      last_used_at: expect.any(String),
      expires_at: expect.any(String),
      current: false,
    })
    expect(body.items.map((item: { current: boolean }) => item.current)).toEqual([
      false,
      false,
      false,
      false,
      true,
    ])
  })

  test('holds living sessions alone: none that ended, expired or are another’s', async () => {
    const user = await roster.signUp()
    await roster.signUp()
    const ended = await roster.signIn(user)
    await roster.post('/api/v1/auth/logout', undefined, { token: ended.token })
    const list = await roster.get('/api/v1/auth/sessions', { token: user.token })
    expect(list.body.items.map(({ id }: { id: string }) => id)).toEqual([user.session])
    roster.clock.advance(days(7))
    const fresh = await roster.signIn(user)
    const later = await roster.get('/api/v1/auth/sessions', { token: fresh.token })
    expect(later.body.items.map(({ id }: { id: string }) => id)).toEqual([fresh.session])
  })

  test('is where one session is ended, and another’s is as unknown as any', async () => {
    const user = await roster.signUp()
    const phone = await roster.signIn(user)
    const stranger = await roster.signUp()
    const end = (id: string) => roster.delete(`/api/v1/auth/sessions/${id}`, { token: user.token })
    expect((await end(phone.session)).status).toBe(204)
    expect(await meStatus(phone.token)).toBe(401)
    const replies = [
      await end(phone.session),
      await end(stranger.session),
      await end('019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c'),
    ]
    for (const reply of replies) expect([reply.status, reply.body.code]).toEqual([404, 'not_found'])
    expect(await meStatus(stranger.token)).toBe(200)
    for (const id of ['1', 'not-a-uuid', `${user.session}x`, '%00']) expect((await end(id)).status).toBe(400)
  })
})

const user2login = ({ email, password }: { email: string; password: string }) => ({ email, password })

describe('browser mode', () => {
  const origin = 'http://localhost:8000'
  const browser = { 'x-roster-client': 'browser', origin }
  const credentials = { email: 'browser@example.com', password: 'SecurePass123' }

  const cookieOf = ({ headers }: Reply): string =>
    [headers['set-cookie']]
      .flat()
      .map(String)
      .find(cookie => cookie.includes('roster_refresh=')) ?? ''
  const send = (path: string, headers: Record<string, string>, body?: object) =>
    roster.post(`/api/v1/auth/${path}`, body, { headers })

  test('puts the refresh token into a cookie that no script reads, and nowhere else', async () => {
    await roster.signUp(credentials)
    const reply = await send('login', browser, credentials)
    expect(reply.status).toBe(200)
    expect(reply.body).not.toHaveProperty('refresh_token')
    expect(cookieOf(reply)).toMatch(
      /^roster_refresh=rrt_[\w-]+; Max-Age=604800; Path=\/; HttpOnly; SameSite=Strict$/,
    )
    const [, token = ''] = /=(rrt_[\w-]+)/.exec(cookieOf(reply)) ?? []
    expect(reply.text).not.toContain(token)
  })

  test('refreshes by the cookie, without a body, and rotates it', async () => {
    const login = await send('login', browser, credentials)
    const [cookie = ''] = cookieOf(login).split(';')
    for (const body of [undefined, {}]) {
      const reply = await send('refresh', { ...browser, cookie }, body)
      expect(reply.status).toBe(200)
      expect(reply.body).not.toHaveProperty('refresh_token')
      expect(cookieOf(reply)).toMatch(/^roster_refresh=rrt_/)
      expect(cookieOf(reply)).not.toContain(cookie)
    }
  })

  test('takes the cookie only with the header and an Origin of ours', async () => {
    const login = await send('login', browser, credentials)
    const [cookie = ''] = cookieOf(login).split(';')
    const refused: [Record<string, string>, number, string][] = [
      [{ cookie }, 401, 'invalid_refresh_token'],
      [{ cookie, origin }, 401, 'invalid_refresh_token'],
      [{ cookie, 'x-roster-client': 'browser' }, 403, 'csrf_failed'],
      [{ cookie, ...browser, origin: 'https://evil.example' }, 403, 'csrf_failed'],
      [{ cookie, ...browser, origin: 'null' }, 403, 'csrf_failed'],
      [{ cookie, ...browser, origin: 'http://localhost.evil.example' }, 403, 'csrf_failed'],
      [{ cookie, ...browser, origin: 'http://localhost:8000@evil.example' }, 403, 'csrf_failed'],
      [{ ...browser }, 401, 'invalid_refresh_token'],
      [{ ...browser, cookie: 'roster_refresh=rubbish' }, 401, 'invalid_refresh_token'],
    ]
    for (const [headers, status, code] of refused) {
      const reply = await send('refresh', headers, {})
      expect([headers, reply.status, reply.body.code]).toEqual([headers, status, code])
    }
    expect((await send('refresh', { ...browser, cookie }, {})).status).toBe(200)
  })

  test('steps up for an Origin of ours alone, and keeps the session for others', async () => {
    const user = await roster.signUp()
    const headers = { ...browser, authorization: `Bearer ${user.token}` }
    const { password } = user
    const refused = await send('step-up', { ...headers, origin: 'https://evil.example' }, { password })
    expect([refused.status, refused.body.code]).toEqual([403, 'csrf_failed'])
    expect(await meStatus(user.token)).toBe(200)
    const reply = await send('step-up', headers, { password })
    expect([reply.status, cookieOf(reply) !== '', 'refresh_token' in reply.body]).toEqual([200, true, false])
  })

  test('does not take a refresh token out of the body, where a script could have put it', async () => {
    const user = await roster.signUp()
    const reply = await send('refresh', browser, { refresh_token: user.refresh })
    expect(reply.status).toBe(401)
  })

  test('clears the cookie at logout', async () => {
    const login = await send('login', browser, credentials)
    const reply = await roster.post('/api/v1/auth/logout', undefined, { token: login.body.access_token })
    expect(cookieOf(reply)).toMatch(/^roster_refresh=; .*(Max-Age=0|Expires=Thu, 01 Jan 1970)/)
    const idle = await send('login', browser, credentials)
    const cookie = cookieOf(idle).split(';')[0] ?? ''
    roster.clock.advance(minutes(31))
    const token = idle.body.access_token
    const foreign = { ...browser, cookie, origin: 'https://evil.example', authorization: `Bearer ${token}` }
    expect((await send('logout', foreign, undefined)).body.code).toBe('csrf_failed')
    expect((await send('logout', { cookie }, undefined)).status).toBe(401)
    const late = await send('logout', { ...browser, cookie, authorization: `Bearer ${token}` }, undefined)
    expect([late.status, cookieOf(late)]).toEqual([204, expect.stringMatching(/^roster_refresh=;/)])
    expect((await send('refresh', { ...browser, cookie }, {})).status).toBe(401)
    const useless = await send('logout', { ...browser, cookie }, undefined)
    expect([useless.status, cookieOf(useless)]).toEqual([401, expect.stringMatching(/^roster_refresh=;/)])
    const again = await send('login', browser, credentials)
    const everywhere = await roster.post('/api/v1/auth/logout-all', undefined, {
      token: again.body.access_token,
    })
    expect(cookieOf(everywhere)).toMatch(/^roster_refresh=;/)
  })

  test.each([
    'http://localhost:3000',
    'http://127.0.0.1:5173',
    'http://[::1]:3000',
    'http://app.localhost:3000',
  ])('in development is for a page at %s as well, whatever origins are listed', async from => {
    const listed = await useTestApp({ config: { allowedOrigins: ['https://example.com'] } })
    await listed.signUp(credentials)
    const login = (sender: string) =>
      listed.post('/api/v1/auth/login', credentials, { headers: { ...browser, origin: sender } })
    expect(cookieOf(await login(from))).toMatch(/^roster_refresh=rrt_/)
    expect(cookieOf(await login('https://example.com'))).toMatch(/^roster_refresh=rrt_/)
    for (const other of ['https://evil.example', 'http://localhost.evil.example', 'http://192.168.1.7:3000'])
      expect((await login(other)).body.code).toBe('csrf_failed')
  })

  test('on https makes it a __Host- cookie, and takes only the origins of the configuration', async () => {
    const secure = await useTestApp({
      config: { publicUrl: 'https://id.example.com', allowedOrigins: ['https://app.example.com'] },
    })
    await secure.signUp(credentials)
    const login = (from: string) =>
      secure.post('/api/v1/auth/login', credentials, { headers: { ...browser, origin: from } })
    for (const from of ['https://id.example.com', 'https://app.example.com']) {
      const reply = await login(from)
      expect(cookieOf(reply)).toMatch(
        /^__Host-roster_refresh=rrt_[\w-]+; Max-Age=604800; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
      )
    }
    for (const from of ['http://id.example.com', 'https://evil.example', 'http://localhost:8000']) {
      expect((await login(from)).body.code).toBe('csrf_failed')
    }
  })
})

describe('the clean-up job', () => {
  test('deletes what expired or ended more than a day ago, and nothing else', async () => {
    const fresh = await useTestApp()
    const user = await fresh.signUp()
    await fresh.signIn(user) // expires in 7 days
    const ended = await fresh.signIn(user)
    await fresh.post('/api/v1/auth/logout', undefined, { token: ended.token })
    const ids = async () => (await fresh.sql('select id from sessions order by id')).map(({ id }) => id)
    const cleanUp = sessionJobs(fresh.services).find(({ name }) => name === 'sessions.delete_ended')
    await cleanUp?.run(undefined)
    expect(await ids()).toHaveLength(3)
    fresh.clock.advance(days(1) + hours(1))
    const { body } = await fresh.post('/api/v1/auth/refresh', { refresh_token: user.refresh })
    await cleanUp?.run(undefined)
    expect(await ids()).toHaveLength(2)
    expect(await ids()).not.toContain(ended.session)
    fresh.clock.advance(days(7) - hours(1) + minutes(1))
    await cleanUp?.run(undefined)
    expect(await ids()).toEqual([user.session])
    const again = await fresh.post('/api/v1/auth/refresh', { refresh_token: body.refresh_token })
    expect(again.status).toBe(200)
  })
})
