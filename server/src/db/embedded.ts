import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Cluster, type Passwords, prepareCluster } from './embedded/cluster.ts'
import { type Log, takeSeat } from './embedded/seat.ts'

export type Embedded = {
  /** For `pg`: role `roster`, which owns database `roster` and is no superuser. Holds a password. */
  url: string
  /** PostgreSQL's major version, such as 18. */
  major: number
  /** Ends the server, unless another process still uses it: then that one ends it. */
  stop(): Promise<void>
}

/**
 * Runs a real PostgreSQL under `<dataDir>/postgres`, reached by a Unix socket there and a password.
 * `own` is for the service: it refuses where another service owns the folder, replaces a server that a
 * killed one left behind, and restarts the server should it die. `attach` is for commands: it uses the server
 * that runs, or one of its own for as long.
 * Errors: an Error for people, such as `Roster is already running on <dataDir> (pid 123)`.
 */
export async function openEmbedded(options: {
  dataDir: string
  mode: 'own' | 'attach'
  log: Log
  /** How many the service may open at once; a hundred unless given, and never fewer. */
  connections?: number
  /** Unix socket, except where Node has none (Windows). */
  transport?: 'socket' | 'tcp'
}): Promise<Embedded> {
  const { dataDir, mode, log, connections } = options
  const cluster = await prepareCluster(dataDir, log, options)
  const socket = shortSocketFolder(cluster)
  const addressOf = (port: number) => ({ host: socket?.folder ?? '127.0.0.1', port })
  try {
    const seat = await takeSeat(cluster, {
      mode,
      log,
      dataDir,
      ...(connections !== undefined && { connections }),
      superuserUrl: port => connectionUrl('postgres', cluster.passwords, addressOf(port)),
    })
    return {
      url: connectionUrl('roster', cluster.passwords, addressOf(seat.port)),
      major: cluster.binaries.major,
      stop: () => seat.leave().finally(() => socket?.remove()),
    }
  } catch (error) {
    socket?.remove()
    throw error
  }
}

/** A connection URL for `pg`. The role's own database has its name. */
export function connectionUrl(
  role: 'postgres' | 'roster',
  passwords: Passwords,
  address: { host: string; port: number },
): string {
  const password = role === 'roster' ? passwords.roster : passwords.superuser
  if (!address.host.startsWith('/')) {
    return `postgres://${role}:${password}@${address.host}:${address.port}/${role}`
  }
  return `postgres://${role}:${password}@localhost:${address.port}/${role}?host=${encodeURIComponent(address.host)}`
}

/** sun_path holds 108 bytes on Linux and 104 on BSD and macOS, the closing NUL included (unix(7)). */
const socketPathLimit = 103

/**
 * The folder to name as host. Where the data folder's path is too long for a socket's address, a link with a
 * short path, in a private folder of the system's temporary one, leads there.
 */
export function shortSocketFolder(
  cluster: Pick<Cluster, 'folder' | 'transport'>,
): { folder: string; remove(): void } | undefined {
  if (cluster.transport === 'tcp') return undefined
  const fits = Buffer.byteLength(`${cluster.folder}/.s.PGSQL.5432`) <= socketPathLimit
  if (fits) return { folder: cluster.folder, remove() {} }
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-'))
  fs.symlinkSync(cluster.folder, path.join(home, 'pg'))
  return {
    folder: path.join(home, 'pg'),
    remove: () => fs.rmSync(home, { recursive: true, force: true }),
  }
}
