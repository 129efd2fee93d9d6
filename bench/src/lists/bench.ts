import { createHash } from 'node:crypto'
import { openEmbedded } from '@roster/server/src/db/embedded.ts'
import { migrate } from '@roster/server/src/db/migrate.ts'
import { createPool } from '@roster/server/src/db/store.ts'
import { fillUsers } from '@roster/server/src/testing/fill.ts'
import { startProgram } from '@roster/server/src/testing/program.ts'
import type pg from 'pg'
import { administratorToken } from '../administrator.ts'
import { benchFolder } from '../kept-folder.ts'
import { auditCases, type Case, measure, readCursorKey, userCases } from './cases.ts'
import { fillAudit } from './fill-audit.ts'
import { measureRecording } from './recording.ts'

/** Milliseconds: what 95 of 100 requests of ten clients must stay below. */
const goal = 15

export type ListPlan = {
  users: number
  rows: number
  requests: number
  folder?: string | undefined
  roundSeconds?: number
}

/**
 * Fills a database, starts the service on it, and asks for the first, a middle and the last page of each
 * documented filter and order, with ten clients at once; then what recording costs a writer.
 * @returns whether every goal was met and every plan was one by index
 */
export async function benchLists(plan: ListPlan, print: (line: string) => void): Promise<boolean> {
  const { folder, remove } = benchFolder(plan.folder)
  const encryptionKey = createHash('sha256').update(folder).digest()
  try {
    await inDatabase(folder, async pool => {
      if (await isFilled(pool)) return
      await timed(print, `${plan.users} users`, () => fillUsers(pool, plan.users))
      await timed(print, `${plan.rows} rows of audit`, () => fillAudit(pool, plan.rows))
    })
    const lists = await benchReading(folder, encryptionKey, plan, print)
    const recording = await inDatabase(folder, (_pool, url) =>
      measureRecording(url, plan.roundSeconds ?? 3, print),
    )
    return lists && recording
  } finally {
    await remove()
  }
}

async function benchReading(
  folder: string,
  encryptionKey: Buffer,
  plan: ListPlan,
  print: (line: string) => void,
): Promise<boolean> {
  const env = {
    DATA_DIR: folder,
    PUBLIC_URL: 'http://localhost:8000',
    RATE_LIMITS: 'off',
    ENCRYPTION_KEY: encryptionKey.toString('base64'),
  }
  const program = await startProgram(env)
  try {
    const token = await administratorToken(program.url, env)
    const attached = await openEmbedded({ dataDir: folder, mode: 'attach', log: () => undefined })
    const pool = createPool({
      url: attached.url,
      size: 2,
      overflow: 0,
      queryTimeout: 120_000,
      onError: () => undefined,
    })
    let passed = true
    try {
      const cursorKey = await readCursorKey(pool, encryptionKey)
      const cases: Case[] = [...(await userCases(pool, cursorKey)), ...(await auditCases(pool, cursorKey))]
      for (const one of cases.slice(0, 3)) await measure(program.url, token, one, plan.requests)
      for (const one of cases) {
        const { p50, p95 } = await measure(program.url, token, one, plan.requests)
        const met = p95 <= goal && one.byIndex
        passed &&= met
        const note = one.byIndex ? '' : '  plan without index'
        print(
          `${met ? ' ' : '✗'} p50 ${p50.toFixed(1).padStart(6)}  p95 ${p95.toFixed(1).padStart(6)} ms  ${one.name}${note}`,
        )
      }
    } finally {
      await pool.end()
      await attached.stop()
    }
    return passed
  } finally {
    await program.end('SIGTERM')
  }
}

async function isFilled(pool: pg.Pool): Promise<boolean> {
  const { rows } = await pool.query('select exists (select from audit_log limit 1) as filled')
  return rows[0]?.filled
}

async function inDatabase<T>(folder: string, use: (pool: pg.Pool, url: string) => Promise<T>): Promise<T> {
  const embedded = await openEmbedded({ dataDir: folder, mode: 'own', log: () => undefined })
  const pool = createPool({ url: embedded.url, size: 2, overflow: 0, onError: () => undefined })
  try {
    await migrate(pool)
    return await use(pool, embedded.url)
  } finally {
    await pool.end()
    await embedded.stop()
  }
}

async function timed(print: (line: string) => void, what: string, work: () => Promise<void>): Promise<void> {
  const start = performance.now()
  await work()
  print(`filled ${what} in ${((performance.now() - start) / 1000).toFixed(0)} s`)
}
