import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { prepareCluster } from '../db/embedded/cluster.ts'
import { startPostmaster } from '../db/embedded/postmaster.ts'
import { connectionUrl } from '../db/embedded.ts'

/**
 * One throw-away PostgreSQL for a whole test run, in the system's temporary folder: no fsync, 300
 * connections, under a second to start. `adminUrl` is the superuser's, on database `postgres`.
 * It is removed by `stop()`, and as well when this process ends in any other way.
 */
export async function startTestCluster(): Promise<{ adminUrl: string; stop(): Promise<void> }> {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-test-'))
  const remover = startRemover(home)
  try {
    const cluster = await prepareCluster(home, () => {}, { sync: false })
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
      stop: remover.finish,
    }
  } catch (error) {
    await remover.finish()
    throw error
  }
}

/** A shell that waits for the end of its input, which comes with the end of this process, even by kill -9. */
function startRemover(home: string): { finish(): Promise<void> } {
  const script = `
    read -r line
    pid=$(head -n 1 "$0/postgres/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      [ -e "$0/postgres/postmaster.pid" ] || break
      sleep 0.1
    done
    rm -rf "$0" || { sleep 1; rm -rf "$0"; }`
  const shell = spawn('/bin/sh', ['-c', script, home], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  shell.unref()
  return {
    async finish() {
      shell.ref()
      shell.stdin.end()
      if (shell.exitCode === null) await once(shell, 'exit')
    },
  }
}
