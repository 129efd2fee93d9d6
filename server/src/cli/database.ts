import fs from 'node:fs'
import path from 'node:path'
import type pg from 'pg'
import type { Config } from '../config.ts'
import { openEmbedded } from '../db/embedded.ts'
import { createPool } from '../db/store.ts'
import type { Io } from './command.ts'

export type Connection = { url: string; pool: pg.Pool }

/**
 * Lends `use` the database of the configuration: the one at DATABASE_URL, or the embedded one, which is
 * started for as long where no service runs it. `mayCreate` is for commands that make sense with an empty one.
 */
export async function withDatabase<T>(
  config: Config,
  io: Io,
  use: (connection: Connection) => Promise<T>,
  { mayCreate = false } = {},
): Promise<T> {
  if (config.databaseUrl !== undefined) return withPool(config.databaseUrl, use)
  if (!mayCreate && !fs.existsSync(path.join(config.dataDir, 'postgres'))) {
    throw new Error(
      `there is no database in DATA_DIR (${config.dataDir}); the first start of the service makes it`,
    )
  }
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
