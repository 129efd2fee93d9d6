import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cleanEnvironment } from './binaries.ts'
import { type Cluster, dataArgument, isAlive } from './cluster.ts'

/** A running server, as its `postmaster.pid` describes it. */
export type Postmaster = { pid: number; port: number; ready: boolean }

/** Names and values of PostgreSQL's settings. */
export type Settings = Readonly<Record<string, string>>

/** Megabytes of the machine's memory, or of what its container may use. */
const memory = Math.min(process.constrainedMemory() || Infinity, os.totalmem()) / 2 ** 20

const between = (least: number, size: number, most: number): string =>
  `${Math.round(Math.min(Math.max(size, least), most))}MB`

/**
 * For one service that shares its machine. The buffers take memory as the data that is read fills them: a small
 * database never uses more than it has. Given as arguments, so that no edit of a file in the data folder opens
 * the server to a network. Failed statements are Roster's to report: here their details, which quote
 * values of rows (e-mail addresses), would be kept in plain text.
 */
const serviceSettings: Settings = {
  shared_buffers: between(128, memory / 8, 2048),
  effective_cache_size: between(512, memory / 2, 16_384),
  max_parallel_workers_per_gather: '0',
  jit: 'off',
  io_method: 'sync',
  random_page_cost: '1.1',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '512MB',
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
  password_encryption: 'scram-sha-256',
  timezone: 'UTC',
  log_timezone: 'UTC',
}

const logLimit = 5 * 1024 * 1024
const stopPatience = { fast: 10_000, immediate: 5_000 }

/** Its lines: pid, folder, start, port, socket folder, address, shared memory, status. */
const pidFile = 'postmaster.pid'

/** The server that runs on this data folder. A process that merely has the recorded id does not count. */
export function findPostmaster(folder: string): Postmaster | undefined {
  const lines = readLines(path.join(folder, pidFile))
  const pid = Number(lines?.[0])
  if (!lines || !Number.isInteger(pid) || pid <= 1 || !isPostmasterOf(folder, pid)) return undefined
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' }
}

/**
 * Starts the server, or finds the one that another process has just started, and waits until it takes
 * connections: crash recovery may take minutes, and is waited for.
 * Errors: an Error with the server's own words where it does not come up.
 */
export async function startPostmaster(
  cluster: Cluster,
  options: { settings?: Settings; port?: number } = {},
): Promise<Postmaster> {
  for (let attempt = 1; ; attempt++) {
    const running = findPostmaster(cluster.folder) ?? removeStaleLocks(cluster.folder)
    const failure = running ? await whenReady(cluster.folder) : await launch(cluster, options)
    if (typeof failure !== 'string') return failure
    // Servers of a killed postmaster finish their statement before they leave; a rival may be starting.
    const passing = /pre-existing shared memory|postmaster\.pid" already exists|went away/.test(failure)
    if (!passing || attempt >= 100) throw new Error(`PostgreSQL did not start:\n${failure}`)
    await sleep(100)
  }
}

/** Ends the server: open transactions are rolled back, everything committed is on disk afterwards. */
export async function stopPostmaster(cluster: Cluster): Promise<void> {
  for (const mode of ['fast', 'immediate'] as const) {
    const running = findPostmaster(cluster.folder)
    if (!running) return
    signal(cluster, running.pid, mode)
    if (await isGone(cluster.folder, running.pid, stopPatience[mode])) return
  }
  throw new Error(`PostgreSQL on ${cluster.folder} does not stop`)
}

async function launch(
  cluster: Cluster,
  options: { settings?: Settings; port?: number },
): Promise<Postmaster | string> {
  rotateLog(cluster.logFile)
  const output = fs.openSync(cluster.logFile, 'a', 0o600)
  const logStart = fs.fstatSync(output).size
  const settings = { ...serviceSettings, ...(await listening(cluster, options.port)), ...options.settings }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(
    cluster.binaries.postgres,
    ['-D', dataArgument(cluster, cluster.folder), ...flags],
    // Detached: Ctrl-C goes to Roster, which needs its database to finish its requests.
    {
      cwd: cluster.folder,
      ...cluster.account,
      ...cleanEnvironment(),
      detached: true,
      stdio: ['ignore', output, output],
    },
  )
  fs.closeSync(output)
  child.unref()
  let failure: string | undefined
  child.once('error', error => {
    failure = error.message
  })
  for (;;) {
    await sleep(5)
    if (failure !== undefined) return failure
    if (child.exitCode !== null || child.signalCode !== null) return logSince(cluster.logFile, logStart)
    const running = findPostmaster(cluster.folder)
    if (running?.ready) return running
  }
}

function logSince(file: string, start: number): string {
  return fs.readFileSync(file).subarray(start).toString().trim() || 'It ended without a word'
}

async function whenReady(folder: string): Promise<Postmaster | string> {
  for (;;) {
    const running = findPostmaster(folder)
    if (!running) return 'The server that was starting or stopping went away'
    if (running.ready) return running
    await sleep(10)
  }
}

async function listening(cluster: Cluster, port?: number): Promise<Settings> {
  if (cluster.transport === 'tcp') {
    return {
      listen_addresses: '127.0.0.1',
      port: String(port ?? (await freePort())),
      unix_socket_directories: '',
    }
  }
  // A relative path is under the data folder, and has no limit of length on this side.
  return {
    listen_addresses: '',
    port: '5432',
    unix_socket_directories: '.',
    unix_socket_permissions: '0700',
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(address && typeof address === 'object' ? address.port : 0))
    })
  })
}

function rotateLog(file: string): void {
  const size = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > logLimit) fs.renameSync(file, `${file}.1`)
}

function signal(cluster: Cluster, pid: number, mode: 'fast' | 'immediate'): void {
  if (process.platform === 'win32') {
    spawnSync(cluster.binaries.pgCtl, ['stop', '-D', cluster.folder, '-m', mode, '-W'])
    return
  }
  try {
    process.kill(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
  } catch (error) {
    if (isAlive(pid)) throw error
  }
}

async function isGone(folder: string, pid: number, patience: number): Promise<boolean> {
  for (const end = Date.now() + patience; Date.now() < end; await sleep(5)) {
    if (findPostmaster(folder)?.pid !== pid) return true
  }
  return false
}

function readLines(file: string): string[] | undefined {
  try {
    return fs.readFileSync(file, 'utf8').split('\n')
  } catch {
    return undefined
  }
}

/**
 * PostgreSQL refuses to start while any process has the id in its lock files. After a kill -9 in a container
 * that may be an unrelated one, or a zombie that nobody reaps. A file goes only when that is proven.
 */
function removeStaleLocks(folder: string): undefined {
  for (const name of [pidFile, '.s.PGSQL.5432.lock']) {
    const pid = Number(readLines(path.join(folder, name))?.[0])
    if (pid > 1 && isAlive(pid) && !isPostmasterOf(folder, pid)) {
      fs.rmSync(path.join(folder, name), { force: true })
    }
  }
}

/** A postmaster's working directory is its data folder. */
function isPostmasterOf(folder: string, pid: number): boolean {
  if (process.platform !== 'linux') return isAlive(pid) && isNamedPostgres(pid)
  try {
    const [its, ours] = [fs.statSync(`/proc/${pid}/cwd`), fs.statSync(folder)]
    return its.ino === ours.ino && its.dev === ours.dev
  } catch {
    return false
  }
}

/** The weaker test of systems without /proc. */
export function isNamedPostgres(pid: number): boolean {
  if (process.platform === 'win32') return true
  return /postgres/.test(spawnSync('ps', ['-p', String(pid), '-o', 'comm='], { encoding: 'utf8' }).stdout)
}
