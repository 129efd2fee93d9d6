import { startTestCluster } from './cluster.ts'
import { createTemplateDatabase } from './database.ts'

/** Once a run: a PostgreSQL, and the migrated database that the tests' own are copies of. */
export async function setup(): Promise<() => Promise<void>> {
  const cluster = await startTestCluster()
  await createTemplateDatabase(cluster.adminUrl)
  process.env.ROSTER_TEST_CLUSTER = cluster.adminUrl // biome-ignore lint/style/noProcessEnv: workers inherit it
  return cluster.stop
}
