import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()

// The first row of settings holds its user by the foreign key alone; a change of it does not hold the user at all.
test.each(['first', 'later'])(
  'an event of %s settings, written while its user is erased, keeps no data',
  async which => {
    const admin = await roster.signUpAdmin()
    const { id, token } = await roster.signUp()
    if (which === 'later') await roster.put('/api/v1/users/me/preferences', { 'ui.theme': 'dark' }, { token })
    const other = new pg.Client(roster.databaseUrl)
    await other.connect()
    onTestFinished(() => other.end())
    await other.query('begin')
    await other.query(
      `insert into user_settings (user_id, scope, value_by_key, version, updated_at)
     values ($1, 'preference', '{}', 1, now()) on conflict (user_id, scope) do update set version = 2`,
      [id],
    )
    await other.query(
      `insert into events (id, type, user_id, data, occurred_at)
     values (gen_random_uuid(), 'user.settings_updated', $1, '{"values": {"ui.theme": "light"}}', now())`,
      [id],
    )
    const erasing = roster.delete(`/api/v1/users/${id}?erase=true`, admin)
    await untilOneWaits()
    await other.query('commit')
    expect((await erasing).status).toBe(204)
    const kept = await roster.sql(
      `select data from events where user_id = $1 and type <> 'user.erased' and data <> $2`,
      [id, { userId: id }],
    )
    expect(kept).toEqual([])
  },
)

async function untilOneWaits(): Promise<void> {
  for (;;) {
    const waiting = await roster.sql(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    if (waiting.length > 0) return
    await sleep(20)
  }
}
