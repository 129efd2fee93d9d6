import type pg from 'pg'
import type { Config } from '../config.ts'
import { openEmbedded } from '../db/embedded.ts'
import { createPool } from '../db/store.ts'
import type { Io } from './command.ts'

export type Connection = { url: string; pool: pg.Pool }

/**
 * Lends `use` the database of the configuration: the one at DATABASE_URL, or the embedded one, which is
 * started for as long where no service runs it.
 */
export async function withDatabase<T>(
  config: Config,
  io: Io,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  if (config.databaseUrl !== undefined) return withPool(config.databaseUrl, use)
  const embedded = await openEmbedded({ dataDir: config.dataDir, mode: 'attach', log: io.err })
  try {
    return await withPool(embedded.url, use)
  } finally {
    await embedded.stop()
  }
}

/** A pool for one command; its connections are closed when `use` is done. */
async function withPool<T>(url: string, use: (connection: Connection) => Promise<T>): Promise<T> {
  const pool = createPool({ url, size: 2, overflow: 0, onError: () => undefined })
  try {
    return await use({ url, pool })
  } finally {
    await pool.end()
  }
}
