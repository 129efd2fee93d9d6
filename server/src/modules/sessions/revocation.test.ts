import { setTimeout as sleep } from 'node:timers/promises'
import type { KyselyPlugin } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Store } from '../../db/store.ts'
import { deactivate } from '../../testing/deactivate.ts'
import { type SignedUp, startTestApp, type TestApp, useTestApp } from '../../testing/harness.ts'
import { startProxy } from '../../testing/tcp-proxy.ts'
import { until } from '../../testing/until.ts'
import { createUserReader } from '../users/index.ts'
import { createActivityLog } from './activity.ts'
import { createAuthenticator } from './authenticator.ts'

const roster = await useTestApp()

async function secondProcess(options: { newsUrl?: string } = {}): Promise<TestApp> {
  const app = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock, ...options })
  onTestFinished(() => app.stop())
  return app
}

const meStatus = async (app: TestApp, token: string) => (await app.get('/api/v1/auth/me', { token })).status

/** Waits until an app refuses a token. How long a process may believe what it knows is asked of its news, below. */
const refusedAfter = (app: TestApp, token: string): Promise<void> =>
  until(async () => (await meStatus(app, token)) === 401)

/** What ends sessions, by one process. */
const endings: Record<string, (user: SignedUp) => Promise<unknown>> = {
  logout: ({ token }) => roster.post('/api/v1/auth/logout', undefined, { token }),
  'logout everywhere': async user => {
    const { token } = await roster.signIn(user)
    return roster.post('/api/v1/auth/logout-all', undefined, { token })
  },
  'the end of one session': async user => {
    const { token } = await roster.signIn(user)
    return roster.delete(`/api/v1/auth/sessions/${user.session}`, { token })
  },
  'a password change': async user => {
    const { token } = await roster.signIn(user)
    const body = { current_password: user.password, new_password: 'BrandNewPass456' }
    return roster.post('/api/v1/auth/change-password', body, { token })
  },
  deactivation: user => deactivate(roster, user.id),
}

describe('a session that one process ends by', () => {
  test.each(Object.entries(endings))(
    '%s is refused by it at once and by another within a second',
    async (_how, end) => {
      const second = await secondProcess()
      const user = await roster.signUp()
      for (const app of [roster, second]) expect(await meStatus(app, user.token)).toBe(200)
      await end(user)
      expect(await meStatus(roster, user.token)).toBe(401)
      await refusedAfter(second, user.token)
    },
  )

  test('logout is refused within a second by one whose listener is killed again and again', async () => {
    const second = await secondProcess()
    const user = await roster.signUp()
    expect(await meStatus(second, user.token)).toBe(200)
    let cutting = true
    const cutter = (async () => {
      while (cutting) {
        await roster.sql(`select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'roster news' and datname = current_database()`)
        await sleep(20)
      }
    })()
    await roster.post('/api/v1/auth/logout', undefined, { token: user.token })
    await refusedAfter(second, user.token)
    const fresh = await roster.signUp()
    expect(await meStatus(second, fresh.token)).toBe(200)
    cutting = false
    await cutter
  })

  test.each(['swallow', 'refuse'] as const)(
    'logout is refused within a second by one whose listener can only %s',
    async mode => {
      const proxy = await startProxy(roster.databaseUrl)
      const second = await secondProcess({ newsUrl: proxy.url })
      const user = await roster.signUp()
      const bystander = await roster.signUp()
      for (const { token } of [user, bystander]) expect(await meStatus(second, token)).toBe(200)
      proxy.set(mode)
      await roster.post('/api/v1/auth/logout', undefined, { token: user.token })
      await refusedAfter(second, user.token)
      expect(await meStatus(second, bystander.token)).toBe(200)
      await roster.post('/api/v1/auth/logout', undefined, { token: bystander.token })
      await refusedAfter(second, bystander.token)
    },
  )

  test('a key rotation is refused within a second as well, without a listener', async () => {
    const proxy = await startProxy(roster.databaseUrl)
    const second = await secondProcess({ newsUrl: proxy.url })
    const user = await roster.signUp()
    expect(await meStatus(second, user.token)).toBe(200)
    proxy.set('swallow')
    await roster.services.keys.rotate({ actorType: 'operator' }, { immediately: true })
    await refusedAfter(second, user.token)
    expect(await meStatus(second, (await roster.signIn(user)).token)).toBe(200)
  })

  test('what was missed while the listener was away is not believed when it is back', async () => {
    const proxy = await startProxy(roster.databaseUrl)
    const second = await secondProcess({ newsUrl: proxy.url })
    const user = await roster.signUp()
    expect(await meStatus(second, user.token)).toBe(200)
    proxy.set('refuse')
    await expect.poll(() => second.resources.news.isCurrent(performance.now())).toBe(false)
    await roster.post('/api/v1/auth/logout', undefined, { token: user.token })
    proxy.set('pass')
    await expect.poll(() => second.resources.news.isCurrent(performance.now())).toBe(true)
    expect(await meStatus(second, user.token)).toBe(401)
  })

  test('a process whose listener hangs stops all the same', async () => {
    const proxy = await startProxy(roster.databaseUrl)
    const second = await startTestApp({
      databaseUrl: roster.databaseUrl,
      clock: roster.clock,
      newsUrl: proxy.url,
    })
    proxy.set('swallow')
    const start = performance.now()
    await second.stop()
    expect(performance.now() - start).toBeLessThan(60_000)
  })
})

test('no process believes what it knows for a second without news, however fast or slow its machine is', async () => {
  const proxy = await startProxy(roster.databaseUrl)
  const second = await secondProcess({ newsUrl: proxy.url })
  const { news } = second.resources
  await until(() => news.isCurrent(performance.now()))
  expect(news.isCurrent(performance.now() + 1000)).toBe(false)
  proxy.set('swallow')
  await until(() => !news.isCurrent(performance.now()))
})

describe('a session that is held for a change', () => {
  const { store, sessions } = roster.services
  const isAnyWaiting = async () => {
    const waiting = await roster.sql(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return waiting.length > 0
  }

  test.each([
    ['its end', 'revoked'],
    ['its logout', 'logout'],
  ] as const)('makes %s wait for that change', async (_what, reason) => {
    const user = await roster.signUp()
    let ended = false
    let ending: Promise<void> = Promise.resolve()
    await store.transact(async trx => {
      const held = { userId: user.id, sessionId: user.session }
      expect(await sessions.hold(trx, roster.clock.now(), held)).toMatchObject({ assurance_level: 'aal1' })
      ending = sessions.end({ actorType: 'system' }, user.id, user.session, reason).then(() => {
        ended = true
      })
      await until(async () => ended || (await isAnyWaiting()))
      expect(ended).toBe(false)
    })
    await ending
    expect(await meStatus(roster, user.token)).toBe(401)
  })

  test('is none where it is being ended meanwhile', async () => {
    const user = await roster.signUp()
    const ask = { userId: user.id, sessionId: user.session }
    const at = roster.clock.now()
    let answered = false
    let holding: Promise<unknown> = Promise.resolve()
    await store.transact(async trx => {
      await sessions.endOneWithin(trx, at, { actorType: 'system' }, { ...ask, reason: 'revoked' })
      holding = store
        .transact(other => sessions.hold(other, at, ask))
        .finally(() => {
          answered = true
        })
      await until(async () => answered || (await isAnyWaiting()))
      expect(answered).toBe(false)
    })
    expect(await holding).toBeUndefined()
  })
})

describe('rights that one process takes', () => {
  test('are gone in another within a second, for the same token', async () => {
    const second = await secondProcess()
    const admin = await roster.signUpAdmin()
    const create = (email: string) =>
      second.post(
        '/api/v1/auth/register',
        { email, password: 'SecurePass123', is_active: false },
        { token: admin.token },
      )
    expect((await create('rights0@example.com')).status).toBe(201)
    await roster.services.store.transact(async trx => {
      await trx.deleteFrom('user_roles').where('user_id', '=', admin.id).execute()
      await roster.services.store.announce(trx, { kind: 'user', id: admin.id })
    })
    await expect.poll(async () => (await create('rights1@example.com')).status).toBe(403)
  })

  test('with a role’s permissions too', async () => {
    const second = await secondProcess()
    await roster.sql(`insert into roles (name, description, permissions, is_system)
      values ('maker', 'Creates users', '{users:create}', false)`)
    const user = await roster.signUp()
    await roster.sql(`insert into user_roles (user_id, role_name, granted_at) values ($1, 'maker', now())`, [
      user.id,
    ])
    const { token } = await roster.signIn(user)
    const create = (email: string) =>
      second.post('/api/v1/auth/register', { email, password: 'SecurePass123', is_active: false }, { token })
    expect((await create('maker0@example.com')).status).toBe(201)
    await roster.services.store.transact(async trx => {
      await trx.updateTable('roles').set({ permissions: [] }).where('name', '=', 'maker').execute()
      await roster.services.store.announce(trx, { kind: 'access' })
    })
    await expect.poll(async () => (await create('maker1@example.com')).status).toBe(403)
  })
})

describe('a read that began before a commit', () => {
  /** The app's database, whose answers wait at a gate before they are seen. */
  function gated(): { store: Store; reached: Promise<void>; open(): void } {
    const gate = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    const plugin: KyselyPlugin = {
      transformQuery: ({ node }) => node,
      async transformResult({ result }) {
        reached.resolve()
        await gate.promise
        return result
      },
    }
    const { store } = roster.resources
    return {
      store: { ...store, db: store.db.withPlugin(plugin) },
      reached: reached.promise,
      open: gate.resolve,
    }
  }

  const changes: Record<string, (user: SignedUp) => Promise<unknown>> = {
    'of a logout': ({ token }) => roster.post('/api/v1/auth/logout', undefined, { token }),
    'that names the user alone': ({ id }) =>
      roster.services.store.transact(async trx => {
        await trx.updateTable('users').set({ is_active: false }).where('id', '=', id).execute()
        await roster.services.store.announce(trx, { kind: 'user', id })
      }),
  }

  test.each(Object.entries(changes))(
    '%s is never remembered: the next request is refused',
    async (_what, change) => {
      const user = await roster.signUp()
      const { store, reached, open } = gated()
      const { news, clock } = roster.resources
      const { authenticate } = createAuthenticator({
        store,
        news,
        clock,
        keys: roster.services.keys,
        tokens: { issuer: 'http://localhost:8000', audience: 'http://localhost:8000', lifetime: 1800 },
        activity: createActivityLog({
          store,
          written: () => undefined,
          failed: () => undefined,
          recovered: () => undefined,
        }),
      })
      const early = authenticate(user.token)
      await reached
      await change(user)
      open()
      await early // it began before the change
      await expect(async () => authenticate(user.token)).rejects.toMatchObject({ code: 'invalid_token' })
    },
  )

  test('of a profile change is not what the next request reads', async () => {
    const user = await roster.signUp({ full_name: 'Before' })
    const { store, reached, open } = gated()
    const { news, clock } = roster.resources
    const users = createUserReader({ store, news, clock })
    const early = users.readJson(user.id)
    await reached
    await roster.put('/api/v1/users/me', { full_name: 'After' }, { token: user.token })
    open()
    expect(JSON.parse(await early).full_name).toBe('Before')
    expect(JSON.parse(await users.readJson(user.id)).full_name).toBe('After')
  })
})

describe('an error', () => {
  test('while a session is looked up denies, and says nothing of the cause', async () => {
    const broken = await useTestApp()
    const user = await broken.signUp()
    const idle = await broken.signIn(user)
    expect(await meStatus(broken, user.token)).toBe(200)
    await broken.sql('alter table sessions rename to hidden')
    const reply = await broken.get('/api/v1/auth/me', { token: idle.token })
    expect([reply.status, reply.body.code]).toEqual([500, 'internal_error'])
    expect(reply.text).not.toMatch(/sessions|relation/)
    const { news } = broken.resources
    await news.stop() // nothing remembered is believed from here on
    expect(await meStatus(broken, user.token)).toBe(500)
    await broken.sql('alter table hidden rename to sessions')
    expect(await meStatus(broken, user.token)).toBe(200)
    await news.start()
    expect(await meStatus(broken, user.token)).toBe(200)
  })

  test('of the connection in the middle of a change is a 503, and the process goes on', async () => {
    const user = await roster.signUp()
    const { store } = roster.services
    const killed = store.transact(async trx => {
      const { pid } = await trx
        .selectNoFrom(eb => eb.fn<number>('pg_backend_pid', []).as('pid'))
        .executeTakeFirstOrThrow()
      await roster.sql('select pg_terminate_backend($1)', [pid])
      await sleep(50)
      await trx.updateTable('users').set({ full_name: 'Lost' }).where('id', '=', user.id).execute()
    })
    await expect(killed).rejects.toThrow()
    expect((await roster.get('/api/v1/auth/me', { token: user.token })).body.full_name).toBeNull()
  })
})
