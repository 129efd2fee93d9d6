import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { type Reply, type SignedUp, useTestApp } from '../../../testing/harness.ts'
import { refreshOutdated } from './search.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()

async function person(): Promise<SignedUp> {
  const user = await roster.signUp()
  await roster.put('/api/v1/users/me/profile', { city: 'Vienna' }, { token: user.token })
  return user
}

const settings = (user: SignedUp, values: unknown) => () =>
  roster.put(`/api/v1/users/${user.id}/settings`, values, { token: admin.token })

const record = (user: SignedUp, changes: unknown) => () =>
  roster.put(`/api/v1/users/${user.id}`, changes, { token: admin.token })

const state = (user: SignedUp, path: string) => () =>
  roster.post(`/api/v1/users/${user.id}/${path}`, undefined, { token: admin.token })

const fold = () => refreshOutdated(roster.resources.store)

/** What is indexed of all users, in one order. */
const index = () =>
  roster.sql('select user_id, is_visible, names, title, location, skills from user_search order by user_id')

const indexed = async ({ id }: SignedUp) => (await index()).find(({ user_id }) => user_id === id)

/** Begins the second change while the first is about to write the user's search row. */
async function overlap(user: SignedUp, first: () => Promise<unknown>, second: () => Promise<unknown>) {
  const holder = new pg.Client({ connectionString: roster.databaseUrl })
  await holder.connect()
  await holder.query('begin')
  await holder.query('select from user_search where user_id = $1 for update', [user.id])
  const running: Promise<unknown>[] = []
  let done = 0
  for (const change of [first, second]) {
    running.push(change().finally(() => (done += 1)))
    while (done + (await countWaiting()) < running.length) await sleep(5)
  }
  await holder.query('commit')
  await holder.end()
  await Promise.all(running)
}

const countWaiting = async (): Promise<number> =>
  (
    await roster.sql(`select count(*)::int as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`)
  )[0].n

describe('of two changes at the same moment', () => {
  test('one of the location leaves no trace where the other hides it', async () => {
    const user = await person()
    await overlap(
      user,
      settings(user, { 'privacy.show_location': false }),
      record(user, { location: 'Atlantis' }),
    )
    expect(await indexed(user)).toMatchObject({ is_visible: true, location: '' })
  })

  test('one of the settings leaves nobody to be found whom the other deactivates', async () => {
    const user = await person()
    await overlap(user, state(user, 'deactivate'), settings(user, { 'privacy.show_location': false }))
    expect(await indexed(user)).toMatchObject({ is_visible: false, names: '', location: '' })
  })

  test('one that folds all rows again leaves nobody to be found whom the other deactivates', async () => {
    const user = await person()
    await roster.sql('update user_search set form = 0')
    await overlap(user, state(user, 'deactivate'), fold)
    expect(await indexed(user)).toMatchObject({ is_visible: false, names: '', location: '' })
  })
})

test('many changes at the same moment leave what a fold makes of them, and no deadlock or error', async () => {
  const people: SignedUp[] = []
  for (let n = 0; n < 8; n += 1) people.push(await person())
  const statuses: number[] = []

  async function change(user: SignedUp, round: number, more: (() => Promise<Reply>)[] = []) {
    const { token } = await roster.signIn(user)
    const changes = [
      settings(user, { 'privacy.show_location': round % 2 === 0 }),
      settings(user, { 'privacy.searchable': round % 3 === 0, 'ui.theme': 'dark' }),
      settings(user, { 'ui.theme': round % 2 === 0 ? 'light' : 'dark' }),
      record(user, { location: `Place ${round}` }),
      () => roster.put('/api/v1/users/me/profile', { city: `City ${round}`, skills: ['a'] }, { token }),
      state(user, 'deactivate'),
      state(user, 'restore'),
      state(user, 'roles/support'),
      () => roster.delete(`/api/v1/users/${user.id}/roles/support`, { token: admin.token }),
      ...more,
    ]
    const replies = await Promise.all(
      changes.map(async (send, n) => {
        await sleep((n * 5 + round * 3) % 7)
        return send()
      }),
    )
    statuses.push(...replies.map(({ status }) => status))
  }

  for (let round = 0; round < 6; round += 1) {
    await Promise.all([...people.map(user => change(user, round)), fold()])
    const left = await index()
    await roster.sql('update user_search set form = 0')
    await fold()
    expect(await index()).toEqual(left)
    await Promise.all(people.map(user => state(user, 'restore')()))
  }
  const erase = (user: SignedUp) => () =>
    roster.delete(`/api/v1/users/${user.id}?erase=true`, { token: admin.token })
  await Promise.all(people.map(user => change(user, 6, [erase(user)])))
  expect(await roster.sql('select from user_search')).toHaveLength(4)
  expect(statuses.filter(status => status >= 500)).toEqual([])
  expect(statuses.filter(status => status < 300).length).toBeGreaterThan(statuses.length / 2)
})
