import { pino } from 'pino'
import { checkDatabase, createPatience } from '../db/connect.ts'
import { migrate } from '../db/migrate.ts'
import { createNews } from '../db/news.ts'
import { createStore } from '../db/store.ts'
import { openVault } from '../encryption/index.ts'
import { createPasswordHasher } from '../hashing/pool.ts'
import { createLogger } from '../http/logger.ts'
import { createMetrics } from '../http/metrics.ts'
import { systemClock } from '../lib/clock.ts'
import { createServices, type Services } from '../services.ts'
import { createDependencies } from '../watch/index.ts'
import type { Io } from './command.ts'
import { type Connection, withDatabase } from './database.ts'
import { loadConfigFor } from './load-config.ts'

/**
 * Lends `use` the services that the routes use, on a database of this version's schema, so that a command
 * does what a request would do: the same rules, the same audit, the same news to running processes.
 */
export async function withServices<T>(
  io: Io,
  use: (services: Services) => Promise<T>,
  options: { mayCreate?: boolean } = {},
): Promise<T> {
  const config = loadConfigFor(io)
  const run = async ({ url, pool }: Connection): Promise<T> => {
    await createPatience(io.err, { patience: 0 })(() => checkDatabase(pool))
    await migrate(pool)
    const news = createNews({ url, changed: () => undefined })
    const store = createStore(pool, news)
    const log = createLogger({ logLevel: 'warn' }, pino.destination({ dest: 2, sync: true }))
    const hasher = createPasswordHasher({ workers: 1 })
    try {
      const clock = systemClock
      const vault = await openVault({ store, news, clock, ...config })
      const metrics = createMetrics()
      const dependencies = createDependencies({ log, registry: metrics.registry })
      const parts = { config, clock, log, store, news, hasher, metrics, vault, dependencies }
      return await use(createServices(parts))
    } finally {
      await hasher.stop()
    }
  }
  return withDatabase(config, io, run, options)
}
