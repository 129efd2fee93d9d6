import { sql } from 'kysely'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { backgroundJobs } from './background.ts'
import { days, hours } from './lib/clock.ts'
import { uuidv7Floor } from './lib/ids.ts'
import { useTestApp } from './testing/harness.ts'

const roster = await useTestApp()
const user = await roster.signUp()
const now = () => roster.clock.now()

beforeAll(async () => {
  await roster.sql('create table deletions (count int)')
  await roster.sql(`
    create function note_deletion() returns trigger language plpgsql as $$
    begin
      insert into deletions select count(*) from gone;
      return null;
    end $$`)
})

async function run(name: string): Promise<void> {
  const job = backgroundJobs(roster.services).find(candidate => candidate.name === name)
  if (!job) throw new Error(`there is no job ${name}`)
  await job.run(undefined as never)
}

/** The id of the moment $2 whose end is `n`. */
const id = `overlay($2 placing lpad(to_hex(n), 8, '0') from 29 for 8)::uuid`
/** 32 bytes of it. */
const hash = `sha256(convert_to($2 || n || $3::uuid, 'UTF8'))`

type CleanUp = {
  job: string
  table: string
  /** Makes `count` rows out of the series `n`, at the time $1 and the UUIDv7 $2 of it, of the user $3. */
  insert: string
  /** Milliseconds after which such a row goes. */
  after: number
}

const session = (revokedAt: string) => `
  insert into sessions (id, user_id, created_at, last_used_at, expires_at, revoked_at, assurance_level,
    authentication_methods, authenticated_at, refresh_hash)
  select ${id}, $3, $1, $1, $1::timestamptz + interval '7 days', ${revokedAt}, 'aal1', '{pwd}', $1, ''`

const cleanUps: [string, CleanUp][] = [
  [
    'failed attempts',
    {
      job: 'lockout.forget_old_counts',
      table: 'attempt_limits',
      insert: `insert into attempt_limits (key, reserved_at) select ${hash}, $1::timestamptz`,
      after: days(2),
    },
  ],
  [
    'quotas of codes',
    {
      job: 'verification.delete_expired',
      table: 'code_quotas',
      insert: `insert into code_quotas (address_hash, touched_at)
        select ${hash}, $1::timestamptz`,
      after: days(1),
    },
  ],
  [
    'codes and links',
    {
      job: 'verification.delete_expired',
      table: 'verifications',
      insert: `
        insert into verifications (id, kind, purpose, user_id, target, secret_hash, tries_left, created_at, expires_at)
        select ${id}, 'link', 'PASSWORD_RESET', $3, 'x', ${hash}, 0, $1,
          $1::timestamptz + interval '1 hour'`,
      after: hours(1),
    },
  ],
  [
    'sign-ins that wait for a second factor',
    {
      job: 'auth.delete_expired_sign_ins',
      table: 'sign_ins',
      insert: `insert into sign_ins (token_hash, user_id, proved, created_at, expires_at)
        select ${hash}, $3, '{pwd}', $1, $1::timestamptz + interval '1 hour'`,
      after: hours(1),
    },
  ],
  [
    'challenges of passkeys',
    {
      job: 'factors.delete_expired_challenges',
      table: 'passkey_challenges',
      insert: `insert into passkey_challenges (challenge_hash, purpose, user_id, expires_at)
        select ${hash}, 'sign_in', $3, $1::timestamptz + interval '1 hour'`,
      after: hours(1),
    },
  ],
  [
    'held names',
    {
      job: 'users.release_names',
      table: 'name_holds',
      insert: `insert into name_holds (kind, name_key, user_id, held_until)
        select 'username', $2 || n, $3, $1::timestamptz + interval '1 hour'`,
      after: hours(1),
    },
  ],
  [
    'sessions that were ended',
    {
      job: 'sessions.delete_ended',
      table: 'sessions',
      insert: session(`$1::timestamptz + interval '1 hour'`),
      after: hours(25),
    },
  ],
  [
    'sessions that expired',
    { job: 'sessions.delete_ended', table: 'sessions', insert: session('null'), after: days(8) },
  ],
  [
    'messages',
    {
      job: 'delivery.delete_old',
      table: 'messages',
      insert: `insert into messages (id, channel, template, recipient, user_id, state, created_at, useful_until)
        select ${id}, 'email', 'verify_email', 'x', $3, 'sent', $1, $1`,
      after: days(30),
    },
  ],
]

describe.each(cleanUps)('the clean-up of %s', (_what, { job, table, insert, after }) => {
  const count = async () => (await roster.sql(`select count(*)::int from ${table}`))[0].count

  async function fill(size: number): Promise<void> {
    const values = [now(), uuidv7Floor(now()), user.id]
    await roster.sql(`${insert} from generate_series(1, ${size}) n`, values)
  }

  beforeEach(() => roster.sql(`delete from ${table}`))

  test('deletes thousands of rows in batches, and none before its time', async () => {
    await fill(5000)
    roster.clock.advance(after - 1)
    await run(job)
    expect(await count()).toBe(5000)
    roster.clock.advance(2)
    await fill(3)
    await roster.sql(`
      create trigger note_deletion after delete on ${table} referencing old table as gone
      for each statement execute function note_deletion()`)
    await run(job)
    await roster.sql(`drop trigger note_deletion on ${table}`)
    expect(await count()).toBe(3)
    const batches = await roster.sql('delete from deletions returning count')
    expect(Math.max(...batches.map(batch => batch.count))).toBeLessThanOrEqual(2000)
  })

  test('passes over a row that somebody holds', async () => {
    await fill(2)
    roster.clock.advance(after + 1)
    await roster.services.store.transact(async trx => {
      await sql`select from ${sql.table(table)} limit 1 for update`.execute(trx)
      await run(job)
    })
    expect(await count()).toBe(1)
  })
})
