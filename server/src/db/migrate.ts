import { readdir, readFile } from 'node:fs/promises'
import type pg from 'pg'
import { sha256 } from '../lib/secrets.ts'

const folder = new URL('../../migrations/', import.meta.url)
/** Any number will do that nothing else in the database locks. */
const lockId = 7_064_120_251

export type MigrationReport = { applied: string[]; pending: string[] }

export type Migration = { name: string; text: string; checksum: string }

/** The numbered SQL files of server/migrations, in order. */
export async function readMigrations(from: URL = folder): Promise<Migration[]> {
  const names = (await readdir(from)).filter(name => name.endsWith('.sql')).sort()
  return Promise.all(
    names.map(async name => {
      const text = await readFile(new URL(name, from), 'utf8')
      return { name, text, checksum: sha256(text).toString('hex') }
    }),
  )
}

/**
 * Brings the database to this version's schema. However many processes start at once, one runs the files and
 * the others wait on an advisory lock. Each file and its record are one transaction, so a process killed
 * midway leaves whole files behind and the next run goes on after the last.
 * @returns names of the files applied now, and (with `dryRun`, which changes nothing) of those that wait
 * @throws where an applied file was edited since, or the database comes from a newer version
 */
export async function migrate(
  pool: pg.Pool,
  options: { dryRun?: boolean; migrations?: Migration[] } = {},
): Promise<MigrationReport> {
  const migrations = options.migrations ?? (await readMigrations())
  const client = await pool.connect()
  try {
    await client.query('set statement_timeout = 0')
    await client.query('set idle_in_transaction_session_timeout = 0')
    if (options.dryRun) {
      return { applied: [], pending: pending(migrations, await readApplied(client)).map(({ name }) => name) }
    }
    await client.query({ text: 'select pg_advisory_lock($1)', values: [lockId], ...unlimited })
    return { applied: await applyPending(client, migrations), pending: [] }
  } finally {
    // Closing the connection gives the lock and the settings back, whatever state the session is in.
    client.release(true)
  }
}

/** How many migrations the database has, and which it lacks. */
export async function migrationStatus(pool: pg.Pool): Promise<{ applied: number; pending: string[] }> {
  const migrations = await readMigrations()
  const client = await pool.connect()
  try {
    const names = pending(migrations, await readApplied(client)).map(({ name }) => name)
    return { applied: migrations.length - names.length, pending: names }
  } finally {
    client.release()
  }
}

/** pg's own time-out per query, which the pool sets for requests, must not end a long migration. */
const unlimited = { query_timeout: 2 ** 31 - 1 }

async function applyPending(client: pg.PoolClient, migrations: Migration[]): Promise<string[]> {
  await client.query(`create table if not exists schema_migrations (
    name text primary key, checksum text not null, applied_at timestamptz not null default now())`)
  const applied: string[] = []
  for (const { name, text, checksum } of pending(migrations, await readApplied(client))) {
    await client.query('begin')
    try {
      await client.query({ text, ...unlimited })
      await client.query('insert into schema_migrations (name, checksum) values ($1, $2)', [name, checksum])
      await client.query('commit')
    } catch (error) {
      await client.query('rollback').catch(() => undefined)
      throw new Error(`migration ${name} failed: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      })
    }
    applied.push(name)
  }
  return applied
}

async function readApplied(client: pg.PoolClient): Promise<Map<string, string>> {
  const exists = await client.query(`select to_regclass('schema_migrations') is not null as yes`)
  if (!exists.rows[0]?.yes) return new Map()
  const { rows } = await client.query<{ name: string; checksum: string }>(
    'select name, checksum from schema_migrations order by name',
  )
  return new Map(rows.map(row => [row.name, row.checksum]))
}

function pending(migrations: Migration[], applied: Map<string, string>): Migration[] {
  const known = new Set(migrations.map(({ name }) => name))
  const strangers = [...applied.keys()].filter(name => !known.has(name))
  if (strangers.length > 0) {
    throw new Error(`the database was migrated by a newer version of Roster (${strangers.join(', ')})`)
  }
  for (const { name, checksum } of migrations) {
    const before = applied.get(name)
    if (before !== undefined && before !== checksum) {
      throw new Error(`${name} was edited after it had been applied; migrations are never edited once landed`)
    }
  }
  return migrations.filter(({ name }) => !applied.has(name))
}
