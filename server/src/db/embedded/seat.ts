import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type Cluster, isCode } from './cluster.ts'
import { findPostmaster, type Settings, startPostmaster, stopPostmaster } from './postmaster.ts'

export type Log = (line: string) => void

export type Seat = {
  port: number
  /** Ends the server when nobody else has a seat. */
  leave(): Promise<void>
}

type Options = {
  mode: 'own' | 'attach'
  log: Log
  dataDir: string
  connections?: number
  superuserUrl: (port: number) => string
}

/**
 * Makes sure that the server runs, and holds advisory locks in it, which end with this process however it
 * ends: every user shares one, the owner alone has another. Whoever can get the users' lock for itself is
 * the last, and may stop the server. A process id in a file could not tell any of this from a leftover.
 * Should the connection or the server die, both are brought back until `leave()`.
 */
export async function takeSeat(cluster: Cluster, options: Options): Promise<Seat> {
  let leaving = false
  let returning: Promise<void> | undefined
  let { client, port } = await sit(cluster, options, 'replace orphan')
  watch()

  function watch(): void {
    client.once('end', () => {
      if (!leaving) returning = comeBack()
    })
  }

  async function comeBack(): Promise<void> {
    options.log('The connection to the embedded PostgreSQL was lost: bringing it back')
    while (!leaving) {
      try {
        client = (await sit(cluster, options, 'keep', port)).client
        options.log('The embedded PostgreSQL is back')
        return watch()
      } catch (error) {
        options.log(`The embedded PostgreSQL is not back yet: ${String(error)}`)
        await sleep(1_000)
      }
    }
  }

  return {
    port,
    async leave() {
      leaving = true
      await returning
      if (await isLast(client)) await stopPostmaster(cluster)
      await client.end().catch(() => {})
    },
  }
}

const lockClass = 0x726f7374
const usersLock = `${lockClass}, 1`
const ownerLock = `${lockClass}, 2`
/** Milliseconds. A predecessor that was killed this moment is still being noticed by the server. */
const ownerPatience = 500
const attempts = 50

class Refusal extends Error {}

/** Starts or finds the server, and takes the locks. */
async function sit(
  cluster: Cluster,
  options: Options,
  found: 'replace orphan' | 'keep',
  port?: number,
): Promise<{ client: pg.Client; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const earlier = findPostmaster(cluster.folder)
    const running = await startPostmaster(cluster, {
      settings: settingsFor(options),
      ...(port !== undefined && { port }),
    })
    const client = newClient(options, running.port)
    try {
      await client.connect()
      const mayReplace = earlier && found === 'replace orphan' && options.mode === 'own'
      if (!mayReplace || !(await tryLock(client, usersLock))) {
        await client.query(`select pg_advisory_lock_shared(${usersLock})`)
        if (options.mode === 'own') await claimOwnership(client, options.dataDir)
        return { client, port: running.port }
      }
      options.log(`Replacing the PostgreSQL that a killed process left running (pid ${earlier.pid})`)
      await stopPostmaster(cluster)
      await client.end().catch(() => {})
    } catch (error) {
      await client.end().catch(() => {})
      // Anything else passes: the server may be on its way out because its last user has just left.
      if (error instanceof Refusal || attempt >= attempts) throw error
      if (isCode(error, '28P01')) {
        if (!earlier) await stopPostmaster(cluster)
        throw new Error(`The password in ${options.dataDir}/postgres-passwords.json is not the database's`)
      }
      await sleep(50)
    }
  }
}

/** Commands, monitoring and the service's own restarts want some connections besides those of the service. */
function settingsFor({ connections = 0 }: Options): Settings {
  return { max_connections: String(Math.max(100, connections + 20)) }
}

function newClient(options: Options, port: number): pg.Client {
  const client = new pg.Client({
    connectionString: options.superuserUrl(port),
    application_name: `roster ${options.mode} ${process.pid}`,
  })
  return client.on('error', () => {})
}

async function claimOwnership(client: pg.Client, dataDir: string): Promise<void> {
  for (const end = Date.now() + ownerPatience; Date.now() < end; await sleep(50)) {
    if (await tryLock(client, ownerLock)) return
  }
  const { rows } = await client.query<{ application_name: string }>(
    `select application_name from pg_locks join pg_stat_activity using (pid)
     where locktype = 'advisory' and classid = ${lockClass} and objid = 2 and granted`,
  )
  const pid = rows[0]?.application_name.split(' ').at(-1) ?? 'unknown'
  throw new Refusal(`Roster is already running on ${dataDir} (pid ${pid})`)
}

async function tryLock(client: pg.Client, lock: string): Promise<boolean> {
  const { rows } = await client.query<{ got: boolean }>(`select pg_try_advisory_lock(${lock}) as got`)
  return rows[0]?.got === true
}

/** A lost connection says nothing about others: they hold the server up themselves, and bring it back. */
async function isLast(client: pg.Client): Promise<boolean> {
  try {
    await client.query(`select pg_advisory_unlock_shared(${usersLock})`)
    return await tryLock(client, usersLock)
  } catch {
    return true
  }
}
