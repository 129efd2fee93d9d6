import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { reasonInWords } from '../lib/reason.ts'
import { isDatabaseUnavailable } from './unavailable.ts'

const oldestMajor = 14
/** Milliseconds for which a database that isn't there yet is waited for: things start in any order. */
const patience = 30_000

export type Patience = <T>(step: () => Promise<T>) => Promise<T>

/**
 * Lets a start go on for as long as the database is not there: repeats a step that it fails, thirty seconds at most
 * for all steps together, and says once that it waits. A step must be one that can be repeated.
 * @throws what the step throws for any other reason; `no database …` where the database does not come up or refuses
 *   the credentials; an AbortError when `signal` ends the waiting
 */
export function createPatience(
  log: (message: string) => void,
  options: { patience?: number; signal?: AbortSignal } = {},
): Patience {
  const deadline = performance.now() + (options.patience ?? patience)
  let said = false
  return async step => {
    for (;;) {
      try {
        return await step()
      } catch (error) {
        if (!isDatabaseUnavailable(error)) throw error
        const reason = reasonInWords(error)
        if (isFinal(error) || performance.now() > deadline) {
          throw new Error(`no database (DATABASE_URL): ${reason}`, { cause: error })
        }
        if (!said) log(`waiting for the database: ${reason}`)
        said = true
        await sleep(500, undefined, options.signal && { signal: options.signal })
      }
    }
  }
}

/** @throws where the database is too old, or none that this service knows */
export async function checkDatabase(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ server_version: string; number: number }>(
    `select current_setting('server_version') as server_version,
            current_setting('server_version_num')::int as number`,
  )
  const [row] = rows
  if (row && row.number < oldestMajor * 10_000) {
    throw new Error(
      `no database (DATABASE_URL): PostgreSQL ${row.server_version} is too old: ${oldestMajor} or newer is needed`,
    )
  }
}

/** Wrong password, no such database: waiting changes nothing. SQLSTATE classes 28 and 3D. */
function isFinal(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return code.startsWith('28') || code.startsWith('3D')
}
