import { prepareCluster } from '../db/embedded/cluster.ts'
import { startPostmaster } from '../db/embedded/postmaster.ts'
import { connectionUrl } from '../db/embedded.ts'
import { temporaryFolder } from './temporary-folder.ts'

/**
 * One throw-away PostgreSQL for a whole test run, in the system's temporary folder: no fsync, 300
 * connections, under a second to start. `adminUrl` is the superuser's, on database `postgres`.
 * It is removed by `stop()`, and as well when this process ends in any other way.
 */
export async function startTestCluster(): Promise<{ adminUrl: string; stop(): Promise<void> }> {
  const { folder, remove } = temporaryFolder()
  try {
    const cluster = await prepareCluster(folder, () => {}, { sync: false })
    const { port } = await startPostmaster(cluster, {
      settings: {
        fsync: 'off',
        synchronous_commit: 'off',
        full_page_writes: 'off',
        max_connections: '300',
        max_wal_size: '2GB',
        autovacuum_naptime: '5min',
      },
    })
    return {
      adminUrl: connectionUrl('postgres', cluster.passwords, { host: cluster.folder, port }),
      stop: remove,
    }
  } catch (error) {
    await remove()
    throw error
  }
}
