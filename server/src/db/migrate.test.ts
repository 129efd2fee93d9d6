import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { sha256 } from '../lib/secrets.ts'
import { createEmptyDatabase } from '../testing/database.ts'
import { roster } from '../testing/roster.ts'
import { type Migration, migrate, migrationStatus, readMigrations } from './migrate.ts'
import { createPool } from './store.ts'

const file = (name: string, text: string): Migration => ({
  name,
  text,
  checksum: sha256(text).toString('hex'),
})

const first = file('0001_first.sql', 'create table first (n int); insert into first values (1)')
const second = file('0002_second.sql', 'create table second (n int); create index on second (n)')

async function emptyDatabase(): Promise<{ url: string; pool: pg.Pool; another(): pg.Pool }> {
  const database = await createEmptyDatabase()
  const pools: pg.Pool[] = []
  const another = () => {
    const pool = createPool({ url: database.url, size: 2, overflow: 0, onError: () => undefined })
    pools.push(pool)
    return pool
  }
  onTestFinished(async () => {
    await Promise.all(pools.map(pool => pool.end()))
    await database.drop()
  })
  return { url: database.url, pool: another(), another }
}

const tablesOf = async (pool: pg.Pool): Promise<string[]> =>
  (await pool.query(`select tablename from pg_tables where schemaname = 'public' order by 1`)).rows.map(
    ({ tablename }) => tablename,
  )

describe('migrations', () => {
  test('are applied in order, once, and recorded', async () => {
    const { pool } = await emptyDatabase()
    const migrations = [first, second]
    expect(await migrate(pool, { migrations })).toEqual({ applied: [first.name, second.name], pending: [] })
    expect(await migrate(pool, { migrations })).toEqual({ applied: [], pending: [] })
    const { rows } = await pool.query('select name, checksum from schema_migrations order by name')
    expect(rows).toEqual(migrations.map(({ name, checksum }) => ({ name, checksum })))
  })

  test('of this version make the whole schema, from the files in name order', async () => {
    const { pool } = await emptyDatabase()
    const names = (await readMigrations()).map(({ name }) => name)
    expect(names).toEqual(names.toSorted())
    expect((await migrationStatus(pool)).pending).toEqual(names)
    expect((await migrate(pool)).applied).toEqual(names)
    expect(await migrationStatus(pool)).toEqual({ applied: names.length, pending: [] })
    expect(await tablesOf(pool)).toContain('users')
  })

  test('are applied by one of ten processes that start at once; the others wait', async () => {
    const { another } = await emptyDatabase()
    const reports = await Promise.all(
      Array.from({ length: 10 }, () =>
        migrate(another(), {
          migrations: [file('0001_slow.sql', `create table slow (n int); select pg_sleep(0.3)`)],
        }),
      ),
    )
    expect(reports.map(({ applied }) => applied.length).sort()).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
  })

  test('that are killed midway leave whole files behind, and go on after the last', async () => {
    const { pool, another } = await emptyDatabase()
    const slow = file('0002_second.sql', 'create table second (n int); select pg_sleep(30)')
    const killed = migrate(another(), { migrations: [first, slow] })
    const outcome = killed.then(
      () => 'finished',
      error => String(error),
    )
    await expect
      .poll(async () => {
        const { rows } = await pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and query like '%pg_sleep(30)' and pid <> pg_backend_pid()`)
        return rows.length
      })
      .toBe(1)
    expect(await outcome).toMatch(/0002_second.sql failed/)
    expect(await tablesOf(pool)).toEqual(['first', 'schema_migrations'])
    expect(await migrate(pool, { migrations: [first, second] })).toEqual({
      applied: [second.name],
      pending: [],
    })
  })

  test('that fail are rolled back as a whole, say why, and leave no lock', async () => {
    const { pool, another } = await emptyDatabase()
    const broken = file('0002_second.sql', 'create table second (n int); create table second (n int)')
    await expect(migrate(pool, { migrations: [first, broken] })).rejects.toThrow(
      'migration 0002_second.sql failed: relation "second" already exists',
    )
    expect(await tablesOf(pool)).toEqual(['first', 'schema_migrations'])
    expect((await migrate(another(), { migrations: [first, second] })).applied).toEqual([second.name])
  })

  test('that were edited after they had been applied are refused', async () => {
    const { pool } = await emptyDatabase()
    await migrate(pool, { migrations: [first] })
    const edited = file(first.name, `${first.text}; create table extra (n int)`)
    await expect(migrate(pool, { migrations: [edited, second] })).rejects.toThrow(
      /^0001_first.sql was edited/,
    )
    expect(await tablesOf(pool)).toEqual(['first', 'schema_migrations'])
  })

  test('of a newer version are refused, by name', async () => {
    const { pool } = await emptyDatabase()
    await migrate(pool, { migrations: [first, second] })
    await expect(migrate(pool, { migrations: [first] })).rejects.toThrow(
      'the database was migrated by a newer version of Roster (0002_second.sql)',
    )
  })

  test('change nothing in a dry run', async () => {
    const { pool } = await emptyDatabase()
    const report = await migrate(pool, { migrations: [first, second], dryRun: true })
    expect(report).toEqual({ applied: [], pending: [first.name, second.name] })
    expect(await tablesOf(pool)).toEqual([])
    await migrate(pool, { migrations: [first] })
    expect((await migrate(pool, { migrations: [first, second], dryRun: true })).pending).toEqual([
      second.name,
    ])
    expect(await tablesOf(pool)).toEqual(['first', 'schema_migrations'])
  })

  test('may take longer than any request may', async () => {
    const { another, pool } = await emptyDatabase()
    const patient = createPool({
      url: pool.options.connectionString ?? '',
      size: 1,
      overflow: 0,
      queryTimeout: 100,
      onError: () => undefined,
    })
    const slow = file('0001_slow.sql', 'select pg_sleep(0.7)')
    expect((await migrate(patient, { migrations: [slow] })).applied).toEqual([slow.name])
    await patient.end()
    await another().query('select 1')
  })

  test('run from the command line, with a dry run first', async () => {
    const { url, pool } = await emptyDatabase()
    const env = { DATABASE_URL: url }
    const dry = await roster(['migrate', '--dry-run'], { env })
    expect([dry.code, dry.out]).toEqual([0, expect.stringContaining('pending  0001_accounts.sql')])
    expect(await tablesOf(pool)).toEqual([])
    const real = await roster(['migrate'], { env })
    expect([real.code, real.out]).toEqual([0, expect.stringContaining('applied  0001_accounts.sql')])
    expect((await roster(['migrate'], { env })).out).toBe('The database is up to date.\n')
  })

  test('are read from a folder: SQL files alone', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'migrations-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    await cp(new URL('../../migrations/0001_accounts.sql', import.meta.url), path.join(folder, '0001_a.sql'))
    await writeFile(path.join(folder, 'README.md'), 'no migration')
    const [only, ...others] = await readMigrations(pathToFileURL(`${folder}/`))
    expect([only?.name, others]).toEqual(['0001_a.sql', []])
    expect(only?.checksum).toBe(sha256(only?.text ?? '').toString('hex'))
  })
})

test('a connection that breaks while a query runs fails that query, and nothing else', async () => {
  const { pool, another } = await emptyDatabase()
  const query = another().query('select pg_sleep(30)')
  const outcome = query.then(
    () => 'finished',
    error => error.code,
  )
  await sleep(50)
  await expect
    .poll(async () => {
      const { rows } = await pool.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query = 'select pg_sleep(30)'`)
      return rows.length
    })
    .toBe(1)
  expect(await outcome).toBe('57P01')
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})
