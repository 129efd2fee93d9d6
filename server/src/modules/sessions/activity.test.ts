import { describe, expect, onTestFinished, test } from 'vitest'
import type { Store } from '../../db/store.ts'
import { minutes, seconds } from '../../lib/clock.ts'
import { startTestApp, useTestApp } from '../../testing/harness.ts'
import { createActivityLog } from './activity.ts'

const roster = await useTestApp()

const lastActivity = async (userId: string): Promise<Date | null> =>
  (await roster.sql('select last_activity_at from user_activity where user_id = $1', [userId]))[0]
    .last_activity_at

const lastUse = async (sessionId: string): Promise<Date> =>
  (await roster.sql('select last_used_at from sessions where id = $1', [sessionId]))[0].last_used_at

describe('activity', () => {
  test('is noted by any authenticated request, and written with the next batch', async () => {
    const user = await roster.signUp()
    const login = roster.clock.now()
    roster.clock.advance(minutes(5))
    const at = roster.clock.now()
    await roster.get('/api/v1/auth/sessions', { token: user.token })
    expect(await lastActivity(user.id)).toEqual(login)
    await roster.services.activity.flush()
    expect([await lastActivity(user.id), await lastUse(user.session)]).toEqual([at, at])
    const me = await roster.get('/api/v1/users/me', { token: user.token })
    expect(me.body).toMatchObject({
      last_activity_at: at.toISOString(),
      last_login_at: login.toISOString(),
      updated_at: null,
    })
  })

  test('of a refused request is none', async () => {
    const user = await roster.signUp()
    roster.clock.advance(minutes(5))
    await roster.get('/api/v1/auth/me', { token: `${user.token}x` })
    await roster.services.activity.flush()
    expect(await lastActivity(user.id)).not.toEqual(roster.clock.now())
  })

  test('never moves backwards, whichever process writes last', async () => {
    const user = await roster.signUp()
    const { store } = roster.services
    const log = createActivityLog({
      store,
      written: () => undefined,
      failed: () => undefined,
      recovered: () => undefined,
    })
    const now = roster.clock.now()
    log.seen(log.slot(user.id, user.session), now.getTime() - minutes(10))
    await log.flush()
    expect([await lastActivity(user.id), await lastUse(user.session)]).toEqual([now, now])
  })

  test('waits for nobody who is changing a session', async () => {
    const user = await roster.signUp()
    const other = await roster.signIn(user)
    roster.clock.advance(seconds(10))
    for (const { token } of [user, other]) await roster.get('/api/v1/auth/me', { token })
    await roster.services.store.transact(async trx => {
      await roster.services.sessions.hold(trx, roster.clock.now(), {
        userId: user.id,
        sessionId: user.session,
      })
      await roster.services.activity.flush()
    })
    expect(await lastUse(other.session)).toEqual(roster.clock.now())
  })

  test('of several sessions is the latest for the user and each one’s own for the session', async () => {
    const user = await roster.signUp()
    const other = await roster.signIn(user)
    roster.clock.advance(seconds(10))
    const first = roster.clock.now()
    await roster.get('/api/v1/auth/me', { token: user.token })
    roster.clock.advance(seconds(10))
    await roster.get('/api/v1/auth/me', { token: other.token })
    await roster.services.activity.flush()
    expect(await lastActivity(user.id)).toEqual(roster.clock.now())
    expect([await lastUse(user.session), await lastUse(other.session)]).toEqual([first, roster.clock.now()])
  })

  test('is not lost on a clean stop', async () => {
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    const user = await roster.signUp()
    roster.clock.advance(minutes(1))
    await second.get('/api/v1/auth/me', { token: user.token })
    await second.stop()
    expect(await lastActivity(user.id)).toEqual(roster.clock.now())
  })

  test('that could not be written is kept, thousands of it, and written when that works again', async () => {
    const user = await roster.signUp()
    const { store } = roster.services
    const failing = failingStore(store)
    const log = createActivityLog({
      store: failing.store,
      written: () => undefined,
      failed: () => undefined,
      recovered: () => undefined,
    })
    const sessions = await manySessions(user.id, 2500)
    roster.clock.advance(minutes(1))
    const at = roster.clock.now()
    const slots = sessions.map(id => log.slot(user.id, id))
    for (const slot of slots) log.seen(slot, at.getTime())
    await expect(log.flush()).rejects.toThrow()
    for (const slot of slots) log.seen(slot, at.getTime())
    failing.repair()
    await log.flush()
    const rows = await roster.sql(
      'select count(*)::int as n from sessions where user_id = $1 and last_used_at = $2',
      [user.id, at],
    )
    expect(rows).toEqual([{ n: 2500 }])
    expect(await lastActivity(user.id)).toEqual(at)
  })

  test('is written by a timer while the log runs', async () => {
    const user = await roster.signUp()
    const { store } = roster.services
    const log = createActivityLog({
      store,
      written: () => undefined,
      failed: () => undefined,
      recovered: () => undefined,
    })
    log.start()
    onTestFinished(() => log.stop())
    roster.clock.advance(minutes(1))
    log.seen(log.slot(user.id, user.session), roster.clock.now().getTime())
    await log.stop()
    expect(await lastActivity(user.id)).toEqual(roster.clock.now())
  })

  test('in batches of several processes, in any order, never deadlocks', async () => {
    const user = await roster.signUp()
    const sessions = await manySessions(user.id, 400)
    const problems: unknown[] = []
    const logs = Array.from({ length: 4 }, () =>
      createActivityLog({
        store: roster.services.store,
        written: () => undefined,
        failed: () => undefined,
        recovered: () => undefined,
      }),
    )
    for (let round = 0; round < 5; round += 1) {
      roster.clock.advance(seconds(1))
      const at = roster.clock.now().getTime()
      logs.forEach((log, n) => {
        const order = n % 2 ? sessions : sessions.toReversed()
        for (const id of order) log.seen(log.slot(user.id, id), at)
      })
      await Promise.all(logs.map(log => log.flush().catch(error => problems.push(error))))
    }
    expect(problems).toEqual([])
  })
})

async function manySessions(userId: string, count: number): Promise<string[]> {
  const rows = await roster.sql(
    `insert into sessions (id, user_id, created_at, last_used_at, expires_at, assurance_level,
       authentication_methods, authenticated_at, refresh_hash)
     select gen_random_uuid(), $1, '2026-01-01', '2026-01-01', '2027-01-01', 'aal1', '{pwd}', '2026-01-01', ''
     from generate_series(1, $2::int) returning id`,
    [userId, count],
  )
  return rows.map(({ id }) => id)
}

/** A store whose database is gone until it is repaired. */
function failingStore(store: Store): { store: Store; repair(): void } {
  let broken = true
  const db = store.db.withPlugin({
    transformQuery({ node }) {
      if (broken) throw new Error('the database is gone')
      return node
    },
    transformResult: async ({ result }) => result,
  })
  return {
    store: { ...store, db },
    repair() {
      broken = false
    },
  }
}
