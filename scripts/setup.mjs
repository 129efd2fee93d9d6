// Installs the dependencies when they are not those of package-lock.json. Run as a program with --installed
// (npm does, after every install), it notes that they are.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const modules = path.join(root, 'node_modules')
const stampFile = path.join(modules, '.roster-stamp')
const lockFile = path.join(root, '.setup.lock')
const programs = path.join(modules, 'node/bin')

/** The Node that everything of the project runs with. */
export const pinnedNode = path.join(programs, process.platform === 'win32' ? 'node.exe' : 'node')

const oldestNode = 20
/** Milliseconds after which nobody can still be at work. */
const longestSetUp = 15 * 60_000

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--installed')) writeStamp()
  else await setUp()
}

/** Returns within milliseconds when nothing has changed. Ends the process where it cannot be done. */
export async function setUp() {
  try {
    await ensureInstalled()
  } catch (error) {
    console.error(error.message)
    process.exit(1)
  }
}

async function ensureInstalled() {
  if (Number(process.versions.node.split('.')[0]) < oldestNode) {
    throw new Error(
      `Roster needs Node.js ${oldestNode} or newer to set itself up, and this is ${process.version}.`,
    )
  }
  if (isUpToDate()) return
  const lock = await takeLock()
  try {
    if (!isUpToDate()) await install(lock)
  } finally {
    lock.release()
  }
}

function isUpToDate() {
  return fs.existsSync(pinnedNode) && readOr(stampFile, '') === stamp()
}

/** The stamp is written last: a set-up that was killed midway is done again. */
async function install(lock) {
  const began = Date.now()
  console.error('Installing dependencies (once; about half a minute) ...')
  fs.rmSync(stampFile, { force: true })
  // Not `npm ci`: it refuses a lock file that lacks an optional package for some other platform, and such
  // packages come and go. `--no-save` keeps the lock file as it is.
  const flags = [
    '--no-save',
    '--include=dev',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
  ]
  const { code, output } = await npm(['install', ...flags], lock)
  if (code !== 0 || !fs.existsSync(pinnedNode)) {
    process.stderr.write(output)
    throw new Error(
      `Installing the dependencies failed (npm install, exit code ${code}): its output is above.`,
    )
  }
  writeStamp()
  console.error(`Installed in ${Math.round((Date.now() - began) / 1000)} s`)
}

function writeStamp() {
  if (!fs.existsSync(pinnedNode)) return
  fs.writeFileSync(`${stampFile}.new`, stamp())
  fs.renameSync(`${stampFile}.new`, stampFile)
}

/** What the installed dependencies depend on. The ABI is the pinned Node's, and so follows from the lock file. */
function stamp() {
  const manifest = readManifest('.')
  const wanted = ['.', ...manifest.workspaces].map(readManifest).map(wantedBy)
  return createHash('sha256')
    .update(JSON.stringify([process.platform, process.arch, wanted]))
    .update(fs.readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex')
}

/** A changed script or description installs nothing. */
function wantedBy(manifest) {
  const { dependencies, devDependencies, optionalDependencies, overrides, workspaces, allowScripts } =
    manifest
  return { dependencies, devDependencies, optionalDependencies, overrides, workspaces, allowScripts }
}

function readManifest(folder) {
  return JSON.parse(readOr(path.join(root, folder, 'package.json'), '{}'))
}

function npm(args, lock) {
  return new Promise(resolve => {
    const itself = process.env.npm_execpath
    const options = { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] }
    const isNpm = itself !== undefined && path.basename(itself) === 'npm-cli.js'
    const child = isNpm
      ? spawn(process.execPath, [itself, ...args], options)
      : spawn('npm', args, { ...options, shell: process.platform === 'win32' })
    lock.share(child.pid)
    const chunks = []
    child.stdout.on('data', chunk => chunks.push(chunk))
    child.stderr.on('data', chunk => chunks.push(chunk))
    const stop = signal => child.kill(signal)
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop)
    child.on('error', error => resolve({ code: null, output: `${error.message}\n` }))
    child.on('close', (code, signal) => {
      for (const name of ['SIGINT', 'SIGTERM']) process.off(name, stop)
      resolve({ code: code === null ? signal : code, output: Buffer.concat(chunks).toString() })
    })
  })
}

/**
 * One set-up at a time. The lock file has the ids of the process that took it and of its npm, which lives on
 * if the first is killed. Only when both are gone may another take it over.
 */
async function takeLock() {
  const mine = `${process.pid} ${Date.now()}`
  let told = false
  for (;;) {
    try {
      fs.writeFileSync(lockFile, mine, { flag: 'wx' })
      return {
        share: pid => fs.writeFileSync(lockFile, `${mine} ${pid}`),
        release: () => readOr(lockFile, '').startsWith(mine) && fs.rmSync(lockFile),
      }
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const holder = readOr(lockFile, undefined)
    if (holder !== undefined && isStale(holder)) breakLock(holder)
    else if (holder && !told) {
      console.error(`Another set-up is at work (pid ${holder.split(' ')[0]}): waiting for it ...`)
      told = true
    }
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

function isStale(holder) {
  const stat = fs.statSync(lockFile, { throwIfNoEntry: false })
  const age = stat ? Date.now() - stat.mtimeMs : 0
  const [taker, , npmPid] = holder.split(' ').map(Number)
  const isHeld = (taker !== process.pid && isRunning(taker)) || (npmPid > 0 && isRunning(npmPid))
  // An empty lock is one that is being written.
  return holder === '' ? age > 5000 : age > longestSetUp || !isHeld
}

/** Of several that see a stale lock, one renames it away; one that got a fresh lock by mistake returns it. */
function breakLock(holder) {
  const aside = `${lockFile}.${process.pid}`
  try {
    fs.renameSync(lockFile, aside)
    if (readOr(aside, holder) !== holder) fs.linkSync(aside, lockFile)
    fs.rmSync(aside, { force: true })
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
  }
}

/** Where nobody reaps zombies (some containers), a killed process keeps its id. */
function isRunning(pid) {
  if (/\) Z /.test(readOr(`/proc/${pid}/stat`, ''))) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function readOr(file, otherwise) {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch {
    return otherwise
  }
}
