import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { createEmptyDatabase } from './testing/database.ts'
import { startProgram } from './testing/program.ts'
import { startProxy } from './testing/tcp-proxy.ts'
import { temporaryFolder } from './testing/temporary-folder.ts'
import { until } from './testing/until.ts'

/** The service behind a proxy that holds some of its first connections, longer than a connection is waited for. */
async function startBehind(from: number, to: number) {
  const { url, drop } = await createEmptyDatabase()
  onTestFinished(drop)
  const proxy = await startProxy(url)
  proxy.hold(from, to, 6000)
  const { folder, remove } = temporaryFolder()
  onTestFinished(remove)
  const program = await startProgram({ DATABASE_URL: proxy.url, DATA_DIR: folder })
  onTestFinished(async () => void (await program.end('SIGTERM')))
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  onTestFinished(() => client.end())
  return { program, client }
}

test.each([
  [1, 1],
  [5, 7],
  [7, 12],
])(
  'connections %i to %i held at the start: it waits, says so in a line, and jobs run',
  async (from, to) => {
    const { program, client } = await startBehind(from, to)
    expect(program.output()).not.toMatch(/^\s+at /m)
    const registered = await fetch(`${program.url}/api/v1/auth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'somebody@example.com', password: 'SecurePass123' }),
    })
    expect(registered.status).toBe(201)
    await client.query(
      `select graphile_worker.add_job('lockout.forget_old_counts', '{}', job_key => 'asked')`,
    )
    await until(async () => {
      const { rows } = await client.query(`select from graphile_worker.jobs where key = 'asked'`)
      return rows.length === 0
    })
    const health = await (await fetch(`${program.url}/health`)).json()
    expect(health).toMatchObject({ status: 'ok', dependencies: { job_queue: { state: 'up' } } })
  },
  120_000,
)
