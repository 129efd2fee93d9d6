import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'

const oldestMajor = 14
/** Milliseconds for which a database that isn't there yet is waited for: things start in any order. */
const patience = 30_000

/**
 * Waits until the database answers, and checks that it is one that we know.
 * @throws with the reason when it does not come up, refuses the credentials, or is too old; an AbortError
 *   when `signal` ends the waiting
 */
export async function waitForDatabase(
  pool: pg.Pool,
  log: (message: string) => void,
  options: { patience?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const deadline = performance.now() + (options.patience ?? patience)
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await checkVersion(pool)
    } catch (error) {
      if (isFinal(error) || performance.now() > deadline) {
        throw new Error(`no database (DATABASE_URL): ${reason(error)}`, { cause: error })
      }
      if (attempt === 1) log(`waiting for the database (${reason(error)})`)
      await sleep(500, undefined, options.signal && { signal: options.signal })
    }
  }
}

async function checkVersion(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ server_version: string; number: number }>(
    `select current_setting('server_version') as server_version,
            current_setting('server_version_num')::int as number`,
  )
  const [row] = rows
  if (row && row.number < oldestMajor * 10_000) {
    throw Object.assign(
      new Error(`PostgreSQL ${row.server_version} is too old: ${oldestMajor} or newer is needed`),
      {
        final: true,
      },
    )
  }
}

/** Wrong password, no such database, too old: waiting changes nothing. SQLSTATE classes 28 and 3D. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return 'final' in error || code.startsWith('28') || code.startsWith('3D')
}

function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join('; ')
  return error instanceof Error ? error.message || String(error) : String(error)
}
