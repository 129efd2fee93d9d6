import { startTestCluster } from './cluster.ts'
import { createTemplateDatabase } from './database.ts'

/**
 * Once a run: a PostgreSQL, and the migrated database that the tests' own are copies of. With
 * ROSTER_TEST_DATABASE_URL (a superuser's, ending in /postgres) the tests run on that server instead, for
 * trying another version.
 */
export async function setup(): Promise<() => Promise<void>> {
  const given = process.env.ROSTER_TEST_DATABASE_URL
  const cluster = given ? { adminUrl: given, stop: async () => undefined } : await startTestCluster()
  await createTemplateDatabase(cluster.adminUrl)
  process.env.ROSTER_TEST_CLUSTER = cluster.adminUrl
  return cluster.stop
}
