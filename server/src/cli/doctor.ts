import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import { type Config, configWarnings, loadConfig } from '../config.ts'
import { migrate } from '../db/migrate.ts'
import type { Db } from '../db/store.ts'
import { opensVault } from '../encryption/index.ts'
import { exit, type Io, type Run } from './command.ts'
import { withDatabase } from './database.ts'
import { inWords } from './explain.ts'

/** What a look at one thing found. `doubtful` things work all the same. */
type Finding = { state: 'fine' | 'doubtful' | 'broken'; text: string }

const fine = (text: string): Finding => ({ state: 'fine', text })
const doubtful = (text: string): Finding => ({ state: 'doubtful', text })
const broken = (text: string): Finding => ({ state: 'broken', text })

const marks = { fine: '✓', doubtful: '!', broken: '✗' }

const oldestNode = 26
const oldestPostgres = 14
/** Seconds; beyond it tokens would seem to be from the future, or expired, to other processes. */
const largestSkew = 5

/** `roster doctor`: looks at everything that the service stands on, and changes none of it. */
export const doctor: Run = async (_input, io) => {
  let healthy = true
  const report = ({ state, text }: Finding) => {
    io.out(`${marks[state]} ${text}`)
    if (state === 'broken') healthy = false
  }
  report(checkNode(process.versions.node))
  const config = checkConfig(io, report)
  if (config) {
    checkDataDir(config).forEach(report)
    report(await checkHost(config))
    await checkDatabase(config, io, report)
  }
  return healthy ? exit.ok : exit.failed
}

/** @param version as `process.versions.node` has it */
export function checkNode(version: string): Finding {
  return Number.parseInt(version, 10) >= oldestNode
    ? fine(`Node ${version}`)
    : broken(
        `Node ${version} is too old: Roster runs on ${oldestNode}. Start it through npm, which brings that one`,
      )
}

function checkConfig(io: Io, report: (finding: Finding) => void): Config | undefined {
  try {
    const config = loadConfig(io.env, { ...(io.cwd !== undefined && { cwd: io.cwd }), writeSecrets: false })
    report(fine(`configuration for ${config.environment}`))
    for (const warning of configWarnings(config)) report(doubtful(warning))
    return config
  } catch (error) {
    report(broken(inWords(error)))
    return undefined
  }
}

function checkDataDir({ dataDir, environment, databaseUrl }: Config): Finding[] {
  if (environment === 'production' && databaseUrl !== undefined) return []
  const stat = fs.statSync(dataDir, { throwIfNoEntry: false })
  if (!stat) return [fine(`${dataDir} does not exist yet: the first start makes it`)]
  if (!stat.isDirectory()) return [broken(`${dataDir} is no folder`)]
  if (!canWrite(dataDir)) return [broken(`${dataDir} can't be written by this user`)]
  if (process.platform !== 'win32' && (stat.mode & 0o022) !== 0) {
    return [broken(`${dataDir} can be written by other users: chmod 700 ${dataDir}`)]
  }
  return [fine(`${dataDir} is writable, by this user alone`)]
}

function canWrite(folder: string): boolean {
  try {
    fs.accessSync(folder, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function checkDatabase(config: Config, io: Io, report: (finding: Finding) => void): Promise<void> {
  if (config.databaseUrl === undefined && !fs.existsSync(join(config.dataDir, 'postgres'))) {
    report(fine('embedded PostgreSQL does not exist yet: the first start makes it'))
    return
  }
  try {
    await withDatabase(config, io, async ({ pool }) => {
      report(await checkVersion(pool))
      report(await checkMigrations(pool))
      report(await checkClock(pool))
      report(await checkKeys(pool, config))
    })
  } catch (error) {
    report(broken(`the database can't be reached: ${inWords(error)}`))
  }
}

async function checkVersion(pool: pg.Pool): Promise<Finding> {
  const { rows } = await pool.query<{ version: string; encoding: string }>(
    `select current_setting('server_version') as version, current_setting('server_encoding') as encoding`,
  )
  const { version = '', encoding = '' } = rows[0] ?? {}
  if (Number.parseInt(version, 10) < oldestPostgres) {
    return broken(`PostgreSQL ${version} is too old: Roster needs ${oldestPostgres} or newer`)
  }
  if (encoding !== 'UTF8') return broken(`the database is encoded in ${encoding}: Roster needs UTF8`)
  return fine(`PostgreSQL ${version}`)
}

async function checkMigrations(pool: pg.Pool): Promise<Finding> {
  try {
    const { pending } = await migrate(pool, { dryRun: true })
    return pending.length === 0
      ? fine('the schema is up to date')
      : doubtful(`the schema is older than this version; the next start applies ${pending.join(', ')}`)
  } catch (error) {
    return broken(inWords(error))
  }
}

/** Any free port: the service itself may be running on its own. */
async function checkHost({ host }: Config): Promise<Finding> {
  const server = net.createServer()
  try {
    server.listen({ host, port: 0 })
    await once(server, 'listening')
    return fine(`this machine has HOST ${host}`)
  } catch (error) {
    return broken(`the service can't listen on HOST ${host}: ${inWords(error)}`)
  } finally {
    server.close()
  }
}

async function checkKeys(pool: pg.Pool, config: Config): Promise<Finding> {
  const { rows } = await pool.query(`select to_regclass('encryption_keys') is not null as exist`)
  if (!rows[0]?.exist) return fine('there are no keys in the database yet')
  const db: Db = new Kysely({ dialect: new PostgresDialect({ pool }) })
  return (await opensVault(db, config))
    ? fine('ENCRYPTION_KEY opens the keys in the database')
    : broken('ENCRYPTION_KEY does not open the keys in the database: it is another one’s')
}

async function checkClock(pool: pg.Pool): Promise<Finding> {
  const before = Date.now()
  const { rows } = await pool.query<{ at: Date }>('select clock_timestamp() as at')
  const middle = (before + Date.now()) / 2
  const skew = Math.abs((rows[0]?.at.getTime() ?? 0) - middle) / 1000
  const text = `the clocks of this machine and of the database differ by ${skew.toFixed(1)} s`
  return skew > largestSkew ? broken(text) : fine(text)
}
