import { checkDatabase, createPatience } from '../db/connect.ts'
import { migrate } from '../db/migrate.ts'
import { exit, type Run } from './command.ts'
import { withDatabase } from './database.ts'
import { loadConfigFor } from './load-config.ts'

/** `roster migrate [--dry-run]` */
export const migrateDatabase: Run = async (input, io) => {
  const dryRun = input.has('dry-run')
  const { applied, pending } = await withDatabase(
    loadConfigFor(io),
    io,
    async ({ pool }) => {
      await createPatience(io.err, { patience: 0 })(() => checkDatabase(pool))
      return migrate(pool, { dryRun })
    },
    { mayCreate: !dryRun },
  )
  for (const name of applied) io.out(`applied  ${name}`)
  for (const name of pending) io.out(`pending  ${name}`)
  if (applied.length + pending.length === 0) io.out('The database is up to date.')
  return exit.ok
}
