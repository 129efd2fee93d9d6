import { randomBytes } from 'node:crypto'
import { runMigrations } from 'graphile-worker'
import pg from 'pg'
import { migrate } from '../db/migrate.ts'
import { createPool } from '../db/store.ts'

const template = 'roster_template'

/** Where the cluster of this test run is: set by the global set-up. */
function adminUrl(): string {
  const url = process.env.ROSTER_TEST_CLUSTER
  if (!url) throw new Error('no test cluster: run tests through Vitest with the project’s configuration')
  return url
}

/** Makes the migrated database that every test database is a copy of. Called once a run. */
export async function createTemplateDatabase(url: string): Promise<void> {
  await asAdmin(url, async client => {
    await client.query(`drop database if exists ${template}`)
    await client.query(`create database ${template}`)
  })
  const pool = createPool({ url: databaseUrl(url, template), size: 1, overflow: 1, onError: () => undefined })
  await migrate(pool)
  await runMigrations({ pgPool: pool })
  await pool.end()
}

/** A migrated database of a test's own. */
export async function createTestDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const url = adminUrl()
  const name = `test_${randomBytes(6).toString('hex')}`
  await asAdmin(url, client => client.query(`create database ${name} template ${template}`))
  return {
    url: databaseUrl(url, name),
    drop: () => asAdmin(url, client => client.query(`drop database ${name} with (force)`)),
  }
}

/** An empty database without a schema. */
export async function createEmptyDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const url = adminUrl()
  const name = `test_${randomBytes(6).toString('hex')}`
  await asAdmin(url, client => client.query(`create database ${name}`))
  return {
    url: databaseUrl(url, name),
    drop: () => asAdmin(url, client => client.query(`drop database ${name} with (force)`)),
  }
}

/** The same for a script: in the cluster of a test run, or else in one for this moment. */
export async function borrowDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  if (process.env.ROSTER_TEST_CLUSTER) return createEmptyDatabase()
  const { startTestCluster } = await import('./cluster.ts')
  const cluster = await startTestCluster()
  return { url: cluster.adminUrl, drop: cluster.stop }
}

async function asAdmin(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

/** The same server, another database. */
function databaseUrl(url: string, name: string): string {
  return url.replace(/\/postgres(\?|$)/, `/${name}$1`)
}
