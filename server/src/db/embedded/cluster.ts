import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Account, chooseAccount } from './account.ts'
import { type Binaries, findBinaries, run } from './binaries.ts'

/** A PostgreSQL data folder, ready to start, and what it takes to do so. */
export type Cluster = {
  /** The data folder itself, absolute: `<dataDir>/postgres`. */
  folder: string
  logFile: string
  binaries: Binaries
  account: Account | undefined
  passwords: Passwords
  /** Unix socket in the data folder, or loopback TCP where Node has no Unix sockets. */
  transport: 'socket' | 'tcp'
}

export type Passwords = { superuser: string; roster: string }

type Log = (line: string) => void

/**
 * Makes the data folder if there is none. It is built under another name and renamed when complete, with
 * its roles and its database: a folder of the right name is a whole one, wherever an earlier run was killed.
 * Errors: a folder of another major version, of another user, or one that PostgreSQL did not make.
 */
export async function prepareCluster(
  dataDir: string,
  log: Log,
  options: { transport?: 'socket' | 'tcp'; sync?: boolean } = {},
): Promise<Cluster> {
  fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const home = fs.realpathSync(dataDir)
  const folder = path.join(home, 'postgres')
  const account = chooseAccount(folder)
  const { passwords, created } = loadPasswords(path.join(home, 'postgres-passwords.json'))
  const cluster: Cluster = {
    folder,
    logFile: path.join(home, 'postgres.log'),
    binaries: await findBinaries(account, log),
    account,
    passwords,
    transport: options.transport ?? (process.platform === 'win32' ? 'tcp' : 'socket'),
  }
  await removeUnfinished(home)
  if (!fs.existsSync(folder)) {
    log(`Creating a PostgreSQL ${cluster.binaries.major} database in ${folder}`)
    await createFolder(cluster, home, options.sync ?? true)
  } else {
    checkVersion(cluster)
    if (created) await bootstrap(cluster, folder, passwordStatements(passwords))
  }
  return cluster
}

/**
 * What `-D` gets. An unprivileged account may not be able to look up the folder by its path (a parent has
 * mode 0700), but a process started in the folder can always reach it by this link.
 */
export function dataArgument(cluster: Pick<Cluster, 'account'>, folder: string): string {
  return cluster.account && process.platform === 'linux' ? '/proc/self/cwd' : folder
}

async function createFolder(cluster: Cluster, home: string, sync: boolean): Promise<void> {
  const unfinished = path.join(home, `${unfinishedPrefix}${process.pid}-${randomBytes(4).toString('hex')}`)
  making.add(path.basename(unfinished))
  try {
    fs.mkdirSync(unfinished, { mode: 0o700 })
    if (cluster.account) fs.chownSync(unfinished, cluster.account.uid, cluster.account.gid)
    await initdb(cluster, unfinished, sync)
    await bootstrap(cluster, unfinished, [
      ...passwordStatements(cluster.passwords, 'CREATE'),
      'CREATE DATABASE roster OWNER roster',
      'REVOKE ALL ON DATABASE roster, postgres, template1 FROM PUBLIC',
    ])
    renameUnlessThere(unfinished, cluster.folder)
    syncFolder(home)
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true })
    making.delete(path.basename(unfinished))
  }
}

/**
 * The collation is PostgreSQL's own C.UTF-8: it does not change with the system's C library, which would
 * silently corrupt indexes when the folder moves to another machine.
 */
async function initdb(cluster: Cluster, folder: string, sync: boolean): Promise<void> {
  const locale = ['--no-locale', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--encoding=UTF8']
  const args = ['-D', dataArgument(cluster, folder), '--username=postgres', '--auth=reject', ...locale]
  const { code, output } = await run(cluster.binaries.initdb, sync ? args : [...args, '--no-sync'], {
    cwd: folder,
    account: cluster.account,
  })
  if (code !== 0) throw new Error(`PostgreSQL could not create its data folder (initdb):\n${output.trim()}`)
  const access =
    cluster.transport === 'socket'
      ? 'local all all scram-sha-256\n'
      : 'host all all 127.0.0.1/32 scram-sha-256\n'
  fs.writeFileSync(path.join(folder, 'pg_hba.conf'), access)
}

/** Runs statements in single-user mode: before any password exists there is no safe way to connect. */
async function bootstrap(cluster: Cluster, folder: string, statements: readonly string[]): Promise<void> {
  const { code, output } = await run(
    cluster.binaries.postgres,
    ['--single', '-D', dataArgument(cluster, folder), '-c', 'exit_on_error=true', 'postgres'],
    { cwd: folder, account: cluster.account, input: statements.map(line => `${line};\n`).join('') },
  )
  if (code !== 0 || output.includes('ERROR:')) {
    throw new Error(`PostgreSQL could not set up its roles:\n${output.trim()}`)
  }
}

function passwordStatements(passwords: Passwords, verb: 'ALTER' | 'CREATE' = 'ALTER'): string[] {
  return [
    `ALTER ROLE postgres PASSWORD '${passwords.superuser}'`,
    `${verb} ROLE roster LOGIN PASSWORD '${passwords.roster}'`,
  ]
}

function loadPasswords(file: string): { passwords: Passwords; created: boolean } {
  const created = !fs.existsSync(file) && writeOnce(file, JSON.stringify(newPasswords()))
  try {
    // Written by writeOnce, whole or not at all.
    return { passwords: JSON.parse(fs.readFileSync(file, 'utf8')) as Passwords, created }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new Error(`${file} was damaged: remove it, and the next start sets new passwords`, { cause: error })
  }
}

function newPasswords(): Passwords {
  return {
    superuser: randomBytes(24).toString('base64url'),
    roster: randomBytes(24).toString('base64url'),
  }
}

/** A link fails where the name is taken: of two processes that start at once, one writes. */
function writeOnce(file: string, text: string): boolean {
  const unfinished = `${file}.new-${randomBytes(4).toString('hex')}`
  fs.writeFileSync(unfinished, text, { mode: 0o600, flush: true })
  try {
    fs.linkSync(unfinished, file)
    return true
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
    return false
  } finally {
    fs.unlinkSync(unfinished)
  }
}

function checkVersion({ folder, binaries }: Cluster): void {
  const file = path.join(folder, 'PG_VERSION')
  if (!fs.existsSync(file)) {
    throw new Error(`${folder} is not a PostgreSQL data folder: move it away, and start again`)
  }
  const found = fs.readFileSync(file, 'utf8').trim()
  if (found === String(binaries.major)) return
  throw new Error(
    `${folder} was made by PostgreSQL ${found}, and this Roster brings PostgreSQL ${binaries.major}: ` +
      `dump it with the Roster that made it (pg_dump), or set DATABASE_URL to a PostgreSQL ${found} server`,
  )
}

const unfinishedPrefix = 'postgres.new-'
/** What this very process is at work on. Others tell by the process id in the name. */
const making = new Set<string>()

async function removeUnfinished(home: string): Promise<void> {
  for (const name of fs.readdirSync(home)) {
    const maker =
      name.startsWith(unfinishedPrefix) && Number(name.slice(unfinishedPrefix.length).split('-')[0])
    const atWork = maker === process.pid ? making.has(name) : maker && isAlive(maker)
    if (!maker || atWork) continue
    await removeInUse(path.join(home, name))
  }
}

/** An initdb that outlived its parent may still be writing there, or tidying up. What stays goes next time. */
async function removeInUse(folder: string): Promise<void> {
  for (let attempt = 1; fs.existsSync(folder) && attempt <= 40; attempt++) {
    try {
      fs.rmSync(folder, { recursive: true, force: true })
    } catch (error) {
      if (!isCode(error, 'ENOTEMPTY')) throw error
    }
    if (fs.existsSync(folder)) await sleep(50)
  }
}

function renameUnlessThere(from: string, to: string): void {
  try {
    fs.renameSync(from, to)
  } catch (error) {
    if (!isCode(error, 'ENOTEMPTY') && !isCode(error, 'EEXIST')) throw error
  }
}

function syncFolder(folder: string): void {
  if (os.platform() === 'win32') return
  const handle = fs.openSync(folder, 'r')
  fs.fsyncSync(handle)
  fs.closeSync(handle)
}

/** True also for a process of another user. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
