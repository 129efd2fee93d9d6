import { createServer } from 'node:http'
import { afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { useTestApp } from '../../../server/src/testing/harness.ts'
import { listen } from '../../../server/src/testing/http-server.ts'
import { enrolTotp } from '../../../server/src/testing/second-factors.ts'
import {
  createRoster,
  isRosterError,
  type Roster,
  RosterError,
  type RosterEvent,
  type Session,
} from '../index.ts'

const service = await useTestApp()
let url: string
beforeAll(async () => {
  url = `http://127.0.0.1:${await listen(service.app)}`
})
beforeEach(() => service.clock.set(new Date()))
afterEach(() => vi.restoreAllMocks())

const password = 'SecurePass123'

/** A fetch that counts what it sends, by path. */
function countingFetch(): typeof fetch & { sent: Record<string, number> } {
  const sent: Record<string, number> = {}
  const counting = (input: string | URL | Request, init?: RequestInit) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input)
    sent[pathname] = (sent[pathname] ?? 0) + 1
    return fetch(input, init)
  }
  return Object.assign(counting, { sent })
}

const clientOf = (options: object = {}): Roster => createRoster({ url, mode: 'token', ...options })

async function signedIn(options: object = {}): Promise<Roster> {
  const { email } = await service.signUp()
  const roster = clientOf(options)
  expect((await roster.signIn({ email, password })).status).toBe('signed_in')
  return roster
}

/** So many seconds since now, here and at the service. */
function passed(seconds: number): void {
  const now = Date.now()
  vi.spyOn(Date, 'now').mockReturnValue(now + seconds * 1000)
  service.clock.set(new Date(now + seconds * 1000))
}

describe('a call', () => {
  test('answers its data, typed by the service’s own document', async () => {
    const roster = await signedIn()
    const me = await roster.get('/api/v1/users/me')
    expect(me.id).toBe(roster.session?.user.id)
    const renamed = await roster.patch('/api/v1/users/me', { body: { full_name: 'Ada Lovelace' } })
    expect(renamed.full_name).toBe('Ada Lovelace')
    expect(await roster.get('/api/v1/users/{id}', { params: { path: { id: me.id } } })).toMatchObject({
      id: me.id,
    })
    // @ts-expect-error no such route
    await expect(roster.get('/api/v1/nowhere')).rejects.toMatchObject({ code: 'not_found' })
    // @ts-expect-error a number is no name
    await expect(roster.patch('/api/v1/users/me', { body: { full_name: 7 } })).rejects.toThrow(RosterError)
  })

  test('that is refused throws its problem, with the code and every field', async () => {
    const roster = clientOf()
    const wrong = roster.post('/api/v1/auth/register', { body: { email: 'x', password: 'y' } })
    const error: unknown = await wrong.catch((reason: unknown) => reason)
    if (!isRosterError(error, 'validation_failed')) throw error
    expect(error.status).toBe(400)
    expect(error.errors.length).toBeGreaterThan(0)
    expect(error.requestId).toBeTruthy()
    expect(isRosterError(error, 'not_found')).toBe(false)
    await expect(roster.get('/api/v1/users/me')).rejects.toMatchObject({ status: 401 })
  })

  test('of each kind succeeds: lists, text, forms, nothing at all, a version to match', async () => {
    const admin = await service.signUpAdmin()
    const roster = clientOf()
    await roster.signIn({ email: admin.email, password: admin.password })
    expect(await roster.get('/api/v1/users', { params: { query: { limit: 1 } } })).toMatchObject({
      items: [expect.anything()],
    })
    expect(await roster.get('/metrics')).toContain('# HELP')
    expect(await roster.get('/health/live')).toMatchObject({ status: expect.any(String) })
    const token = roster.session?.accessToken ?? ''
    expect(await roster.post('/api/v1/auth/introspect', { body: { token } })).toMatchObject({ active: true })
    const role = { name: 'editor', description: 'Reads', permissions: ['users:read'] }
    expect(await roster.post('/api/v1/rbac/roles', { body: role })).toMatchObject({ name: 'editor' })
    expect(
      await roster.delete('/api/v1/rbac/roles/{name}', { params: { path: { name: 'editor' } } }),
    ).toBeUndefined()
    const stale = roster.put('/api/v1/users/me/preferences', {
      body: { values: {} },
      params: { header: { 'If-Match': '"99"' } },
    })
    await expect(stale).rejects.toMatchObject({ code: 'precondition_failed' })
    const { email } = await service.signUp()
    expect(await roster.post('/api/v1/auth/password-reset-request', { body: { email } })).toBeTruthy()
  })

  test('that something else answers is an error all the same', async () => {
    const server = createServer((_request, response) => response.writeHead(502).end('<html>'))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const roster = createRoster({ url: `http://127.0.0.1:${port}`, mode: 'token' })
    await expect(roster.get('/health')).rejects.toMatchObject({ code: 'unexpected_reply', status: 502 })
  })
})

describe('a session', () => {
  test('refreshes itself, once for fifty calls over an expired token', async () => {
    const counting = countingFetch()
    const roster = await signedIn({ fetch: counting })
    const before = roster.session?.accessToken
    passed(3600)
    const replies = await Promise.all(Array.from({ length: 50 }, () => roster.get('/api/v1/users/me')))
    expect(new Set(replies.map(({ id }) => id)).size).toBe(1)
    expect(counting.sent['/api/v1/auth/refresh']).toBe(1)
    expect(roster.session?.accessToken).not.toBe(before)
  })

  test('is refreshed where the service refuses its token before the clock says so', async () => {
    const counting = countingFetch()
    const roster = await signedIn({ fetch: counting })
    await service.services.keys.rotate({ actorType: 'operator' }, { immediately: true })
    const calls = Array.from({ length: 10 }, () =>
      roster.patch('/api/v1/users/me', { body: { full_name: 'Once More' } }),
    )
    for (const { full_name } of await Promise.all(calls)) expect(full_name).toBe('Once More')
    expect(counting.sent['/api/v1/auth/refresh']).toBe(1)
  })

  test.each([
    ['lost', 'once', () => Promise.reject(new TypeError('fetch failed'))],
    ['broken in the middle', 'once', async () => new Response('{"access_to', { status: 200 })],
    ['lost behind a gateway', 'once', async () => new Response('<html>', { status: 504 })],
  ])('survives a refresh whose reply was %s', async (_name, _often, lost) => {
    let losses = 0
    const lossy: typeof fetch = async (input, init) => {
      const reply = await fetch(input, init)
      const address = input instanceof Request ? input.url : String(input)
      if (!address.endsWith('/refresh') || losses > 0) return reply
      losses += 1
      return lost()
    }
    const roster = await signedIn({ fetch: lossy })
    passed(3600)
    expect(await roster.get('/api/v1/users/me')).toMatchObject({ id: roster.session?.user.id })
    expect(losses).toBe(1)
  })

  test('that was ended elsewhere ends here, and says so once', async () => {
    const roster = await signedIn()
    const heard: (Session | undefined)[] = []
    roster.subscribe(session => heard.push(session))
    await service.post('/api/v1/auth/logout', {}, { token: roster.session?.accessToken ?? '' })
    await expect(roster.get('/api/v1/users/me')).rejects.toMatchObject({ status: 401 })
    expect(roster.session).toBeUndefined()
    expect(heard).toEqual([undefined])
  })

  test('is kept in storage, and goes on from there', async () => {
    let kept: Session | undefined
    const storage = {
      load: () => kept,
      save(session: Session | undefined) {
        kept = session
      },
    }
    const roster = await signedIn({ storage })
    const next = clientOf({ storage })
    expect((await next.currentSession())?.id).toBe(roster.session?.id)
    passed(3600)
    const [one, two] = await Promise.all([roster, next].map(each => each.get('/api/v1/users/me')))
    expect(one?.id).toBe(two?.id)
    await next.signOut()
    expect(kept).toBeUndefined()
    await expect(clientOf({ storage }).get('/api/v1/users/me')).rejects.toMatchObject({ status: 401 })
  })

  test('that is only in storage is ended by signing out, and so is one that is over already', async () => {
    const roster = await signedIn()
    const kept = roster.session
    const storage = { load: () => kept, save() {} }
    await clientOf({ storage }).signOut()
    expect((await service.get('/api/v1/users/me', { token: kept?.accessToken ?? '' })).status).toBe(401)
    await roster.signOut()
    expect(roster.session).toBeUndefined()
  })

  test('is over after signing out, whatever was under way', async () => {
    const roster = await signedIn()
    const token = roster.session?.accessToken ?? ''
    passed(3600)
    const call = roster.get('/api/v1/users/me').catch(() => undefined)
    await roster.signOut()
    await call
    expect(roster.session).toBeUndefined()
    expect((await service.get('/api/v1/users/me', { token })).status).toBe(401)
  })

  test('in browser mode is in a cookie: no refresh token comes here', async () => {
    const jar = new Map<string, string>()
    const browser: typeof fetch = async (input, init) => {
      const request = new Request(input, init)
      const cookies = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
      if (request.credentials === 'include') request.headers.set('cookie', cookies)
      request.headers.set('origin', 'http://localhost:8000')
      const reply = await fetch(request)
      for (const cookie of reply.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
        jar.set(name, value)
      }
      return reply
    }
    const roster = await signedIn({ mode: 'browser', fetch: browser })
    expect(roster.session?.refreshToken).toBeUndefined()
    const reloaded = clientOf({ mode: 'browser', fetch: browser })
    expect((await reloaded.currentSession())?.user.id).toBe(roster.session?.user.id)
    await reloaded.signOut()
    expect(await clientOf({ mode: 'browser', fetch: browser }).currentSession()).toBeUndefined()
  })
})

describe('a proof that is due is a value', () => {
  test('a second factor at sign-in', async () => {
    const user = await service.signUp()
    const factor = await enrolTotp(service, user)
    const roster = clientOf()
    const arrival = await roster.signIn({ email: user.email, password })
    if (arrival.status !== 'second_factor') throw new Error(arrival.status)
    expect(arrival.methods).toContain('totp')
    expect(roster.session).toBeUndefined()
    const wrong = arrival.verify({ method: 'totp', code: '000000' })
    await expect(wrong).rejects.toMatchObject({ code: 'invalid_mfa_code' })
    const done = await arrival.verify({ method: 'totp', code: factor.code(service.clock.now()) })
    expect([done.status, roster.session?.user.id]).toEqual(['signed_in', user.id])
  })

  test('a step-up, after which the call is made again', async () => {
    const roster = await signedIn()
    expect(await roster.guarded(async () => 'at once')).toEqual({ status: 'done', data: 'at once' })
    passed(700)
    const outcome = await roster.guarded(() =>
      roster.post('/api/v1/auth/profile/email/initiate', { body: { new_email: 'elsewhere@example.com' } }),
    )
    if (outcome.status !== 'step_up_required') throw new Error(outcome.status)
    await expect(outcome.prove({ password: 'WrongPass123' })).rejects.toThrow(RosterError)
    expect((await outcome.prove({ password })).status).toBe('done')
  })
})

describe('what comes piece by piece', () => {
  test('every item of a list, over all its pages', async () => {
    const admin = await service.signUpAdmin()
    for (let n = 0; n < 5; n += 1) await service.signUp()
    const roster = clientOf()
    await roster.signIn({ email: admin.email, password: admin.password })
    const ids: string[] = []
    for await (const user of roster.list('/api/v1/users', { params: { query: { limit: 2 } } }))
      ids.push(user.id)
    const [{ count }] = await service.sql('select count(*)::int as count from users')
    expect([ids.length, new Set(ids).size]).toEqual([count, count])
  })
  test('events, also over a stream that broke off', async () => {
    const admin = await service.signUpAdmin()
    let streams = 0
    const broken: typeof fetch = async (input, init) => {
      const isStream = input instanceof Request && input.headers.get('accept') === 'text/event-stream'
      const reply = await fetch(input, init)
      if (!isStream || !reply.body) return reply
      streams += 1
      if (streams > 1) return reply
      // The first one ends in the middle of its second message.
      const [first = ''] = (await readSome(reply.body)).split('\n\n')
      return new Response(`${first}\n\nid: 9999999\ndata: {"cut`, { headers: reply.headers })
    }
    const roster = clientOf({ fetch: broken })
    await roster.signIn({ email: admin.email, password: admin.password })
    const enough = new AbortController()
    const seen: RosterEvent[] = []
    for (let n = 0; n < 3; n += 1) await service.signUp()
    const relay = service.services.events.startRelay(service.databaseUrl)
    onTestFinished(() => relay.stop())
    for await (const event of roster.events({ after: 0, types: ['user.*'], signal: enough.signal })) {
      seen.push(event)
      if (seen.length === 4) enough.abort()
    }
    const sequences = seen.map(({ sequence }) => sequence)
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
    expect(new Set(sequences).size).toBe(sequences.length)
    expect(streams).toBeGreaterThan(1)
  })
})

async function readSome(body: ReadableStream<Uint8Array>): Promise<string> {
  const reader = body.getReader()
  const { value } = await reader.read()
  await reader.cancel()
  return new TextDecoder().decode(value)
}
