import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../testing/temporary-folder.ts'
import { chooseAccount, unprivilegedAccount } from './embedded/account.ts'
import { findBinaries } from './embedded/binaries.ts'
import { isAlive, prepareCluster } from './embedded/cluster.ts'
import { findPostmaster, isNamedPostgres, startPostmaster } from './embedded/postmaster.ts'
import { type Embedded, openEmbedded } from './embedded.ts'

const isRoot = process.getuid?.() === 0
const open: Embedded[] = []
const children: ChildProcess[] = []
const temporary = temporaryFolder()
const shared = path.join(temporary.folder, 'data')
let parent: string
let dataDir: string
let lines: string[]

beforeAll(async () => {
  useShared()
  lines = []
  await (await start()).stop()
})

afterAll(() => temporary.remove())

beforeEach(() => {
  parent = fs.mkdtempSync(path.join(temporary.folder, 'test-'))
  dataDir = path.join(parent, 'data')
  lines = []
})

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const embedded of open.splice(0)) await embedded.stop()
  const left = findPostmaster(path.join(dataDir, 'postgres'))
  if (left) process.kill(left.pid, 'SIGQUIT')
  await until(() => !findPostmaster(path.join(dataDir, 'postgres')))
  fs.rmSync(parent, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
})

describe('a data folder', () => {
  test('is made at the first start, and keeps its rows over a restart', async () => {
    const first = await start()
    expect(first.major).toBe(18)
    await query(first.url, 'create table kept (word text)')
    await query(first.url, `insert into kept values ('still here')`)
    await first.stop()
    expect(findPostmaster(path.join(dataDir, 'postgres'))).toBeUndefined()

    const second = await start()
    expect(await query(second.url, 'select word from kept')).toEqual([{ word: 'still here' }])
  })

  test('is served to a role that owns its database and nothing else', async () => {
    useShared()
    const { url } = await start()
    expect(
      await query(
        url,
        `select current_user as name, current_database() as database, rolsuper, rolcreaterole, rolcreatedb
         from pg_roles where rolname = current_user`,
      ),
    ).toEqual([
      { name: 'roster', database: 'roster', rolsuper: false, rolcreaterole: false, rolcreatedb: false },
    ])
  })

  test('is durable: fsync and synchronous_commit are on', async () => {
    useShared()
    const { url } = await start()
    expect(
      await query(url, `select current_setting('fsync') as f, current_setting('synchronous_commit') as s`),
    ).toEqual([{ f: 'on', s: 'on' }])
  })

  test('has its owner only: neither the folder, the socket, the log nor the passwords are for others', async () => {
    useShared()
    await start()
    const modes = ['postgres', 'postgres/.s.PGSQL.5432', 'postgres-passwords.json', 'postgres.log'].map(
      name => fs.statSync(path.join(dataDir, name)).mode & 0o077,
    )
    expect(modes).toEqual([0, 0, 0, 0])
  })

  test('whose creation was killed midway is made anew', async () => {
    const child = startChild('own')
    const unfinished = () =>
      fs.existsSync(dataDir) && fs.readdirSync(dataDir).some(name => name.includes('.new-'))
    await until(() => unfinished() && fs.readdirSync(dataDir).some(isHalfMade))
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(fs.existsSync(path.join(dataDir, 'postgres'))).toBe(false)

    const { url } = await start()
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(unfinished()).toBe(false)
  })

  test('that was left unfinished by a killed process goes at the next start, by a live one it stays', async () => {
    useShared()
    const [dead, live] = [`postgres.new-${deadPid()}-aa`, `postgres.new-${process.ppid}-bb`]
    for (const name of [dead, live]) fs.mkdirSync(path.join(dataDir, name))
    await start()
    expect(fs.readdirSync(dataDir).filter(name => name.includes('.new-'))).toEqual([live])
    fs.rmdirSync(path.join(dataDir, live))
  })

  test('of another major version is left alone, with a clear message', async () => {
    useShared()
    const version = path.join(dataDir, 'postgres/PG_VERSION')
    fs.writeFileSync(version, '15\n')
    await expect(start()).rejects.toThrow(/was made by PostgreSQL 15, and this Roster brings PostgreSQL 18/)
    fs.rmSync(version)
    await expect(start()).rejects.toThrow(/is not a PostgreSQL data folder/)
    fs.writeFileSync(version, '18\n')
    await start()
  })

  test('whose passwords were lost gets new ones', async () => {
    useShared()
    const first = await start()
    await first.stop()
    fs.rmSync(path.join(dataDir, 'postgres-passwords.json'))
    const second = await start()
    expect(second.url).not.toBe(first.url)
    expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('whose password file was damaged says which file it is', async () => {
    useCopy()
    const file = path.join(dataDir, 'postgres-passwords.json')
    fs.writeFileSync(file, '')
    await expect(start()).rejects.toThrow(`${file} was damaged`)
  })

  test('takes as many connections as its service may open', async () => {
    useShared()
    const { url } = await start('own', { connections: 160 })
    expect(await query(url, 'show max_connections')).toEqual([{ max_connections: '180' }])
  })

  test('started by two processes at once is made once, and has one owner', async () => {
    const results = await Promise.allSettled([start(), start()])
    expect(results.map(result => result.status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(String(results.find(result => result.status === 'rejected')?.reason)).toMatch(/already running on/)
  })

  test('may have a path longer than a socket can name', async () => {
    dataDir = path.join(parent, 'long-name-'.repeat(12), 'data')
    useCopy()
    const { url, stop } = await start()
    expect(url.length).toBeLessThan(220)
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }])
    await stop()
    const link = path.dirname(new URL(url).searchParams.get('host') ?? '')
    expect(fs.existsSync(link)).toBe(false)
  })

  test('keeps its log small', async () => {
    useShared()
    const log = path.join(dataDir, 'postgres.log')
    fs.writeFileSync(log, 'x'.repeat(6 * 1024 * 1024))
    await start()
    expect(fs.statSync(log).size).toBeLessThan(10_000)
    expect(fs.statSync(`${log}.1`).size).toBe(6 * 1024 * 1024)
  })

  test('is served on loopback only, with a password, where there are no Unix sockets', async () => {
    const embedded = await openEmbedded({ dataDir, mode: 'own', log: () => {}, transport: 'tcp' })
    open.push(embedded)
    expect(new URL(embedded.url).hostname).toBe('127.0.0.1')
    expect(await query(embedded.url, 'select host(inet_server_addr()) as a')).toEqual([{ a: '127.0.0.1' }])
    const wrong = new URL(embedded.url)
    wrong.password = 'wrong'
    await expect(query(wrong.href, 'select 1')).rejects.toThrow(/password/)
  })
})

describe('a running server', () => {
  beforeEach(useShared)

  test('refuses a second owner, naming the first', async () => {
    await start()
    await expect(start()).rejects.toThrow(`Roster is already running on ${dataDir} (pid ${process.pid})`)
  })

  test('is used by a command beside its owner, and outlives the command', async () => {
    const owner = await start()
    const command = await start('attach')
    await query(command.url, 'create table made_by_command (id int)')
    await command.stop()
    expect(await query(owner.url, 'select count(*)::int as n from made_by_command')).toEqual([{ n: 0 }])
  })

  test('started by a command outlives it when a service has moved in, and stops with the last', async () => {
    const command = await start('attach')
    const owner = await start()
    await command.stop()
    expect(await query(owner.url, 'select 1 as one')).toEqual([{ one: 1 }])
    await owner.stop()
    expect(findPostmaster(path.join(dataDir, 'postgres'))).toBeUndefined()
  })

  test('does not listen on any TCP port', async () => {
    const { url } = await start()
    expect(
      await query(url, `select current_setting('listen_addresses') as l, inet_server_addr() as a`),
    ).toEqual([{ l: '', a: null }])
    const pid = findPostmaster(path.join(dataDir, 'postgres'))?.pid
    expect(pid && listeningSockets(pid)).toEqual([])
  })

  test('refuses a wrong password and an empty one', async () => {
    const { url } = await start()
    for (const password of ['wrong', '']) {
      const wrong = new URL(url)
      wrong.password = password
      await expect(query(wrong.href, 'select 1')).rejects.toThrow(/password/)
    }
  })

  test('comes back after it was killed, at the same address', async () => {
    const { url } = await start()
    await query(url, 'create table lasting (id int)')
    const folder = path.join(dataDir, 'postgres')
    const killed = findPostmaster(folder)?.pid
    if (killed) process.kill(killed, 'SIGKILL')
    await until(() => lines.some(line => line.includes('is back')))
    expect(findPostmaster(folder)?.pid).not.toBe(killed)
    expect(await query(url, 'select count(*)::int as n from lasting')).toEqual([{ n: 0 }])
  })
})

describe('a server orphaned by kill -9 of its parent', () => {
  beforeEach(useShared)

  test('is replaced by the next owner, with everything that was committed', async () => {
    const orphan = await orphanWithRow()
    const { url } = await start()
    expect(await query(url, 'select word from kept')).toEqual([{ word: 'committed' }])
    expect(findPostmaster(path.join(dataDir, 'postgres'))?.pid).not.toBe(orphan)
    expect(lines).toContainEqual(expect.stringContaining(`left running (pid ${orphan})`))
  })

  test('is used by a command, which ends it', async () => {
    const orphan = await orphanWithRow()
    const { url, stop } = await start('attach')
    expect(await query(url, 'select word from kept')).toEqual([{ word: 'committed' }])
    expect(findPostmaster(path.join(dataDir, 'postgres'))?.pid).toBe(orphan)
    await stop()
    expect(findPostmaster(path.join(dataDir, 'postgres'))).toBeUndefined()
  })

  test('is not mistaken for another process that has its id', async () => {
    for (const name of ['postmaster.pid', '.s.PGSQL.5432.lock']) {
      const stale = `${process.pid}\n/proc/self/cwd\n1\n5432\n.\n\n0 0\nready\n`
      fs.writeFileSync(path.join(dataDir, 'postgres', name), stale)
    }
    const child = startChild('own')
    await once(child.stdout ?? child, 'data')
    expect(findPostmaster(path.join(dataDir, 'postgres'))?.pid).not.toBe(process.pid)
    expect(isNamedPostgres(process.pid)).toBe(false)
  })
})

describe('a server that cannot start', () => {
  beforeEach(useShared)

  test('says why, in its own words', async () => {
    dataDir = path.join(parent, 'data')
    useCopy()
    fs.rmSync(path.join(dataDir, 'postgres/global/pg_control'))
    await expect(start()).rejects.toThrow(/did not start:\n(.|\n)*pg_control/)
  })

  test('is not taken for a running one when a setting is wrong', async () => {
    const cluster = await prepareCluster(dataDir, () => {}, { sync: false })
    await expect(startPostmaster(cluster, { settings: { shared_buffers: 'much' } })).rejects.toThrow(
      /invalid value for parameter "shared_buffers"/,
    )
  })

  test('because its password file belongs elsewhere says which file', async () => {
    const file = path.join(dataDir, 'postgres-passwords.json')
    const right = fs.readFileSync(file)
    fs.writeFileSync(file, JSON.stringify({ superuser: 'other', roster: 'other' }))
    await expect(start()).rejects.toThrow(`${file} is not the database's`)
    expect(findPostmaster(path.join(dataDir, 'postgres'))).toBeUndefined()
    fs.writeFileSync(file, right)
    await start()
  })
})

describe.runIf(isRoot)('as root', () => {
  test('runs as a user without rights, also below a folder that this user cannot enter', async () => {
    fs.chmodSync(parent, 0o700)
    const { url } = await start()
    const folder = path.join(dataDir, 'postgres')
    const pid = findPostmaster(folder)?.pid
    expect(fs.readFileSync(`/proc/${pid}/status`, 'utf8')).not.toMatch(/^[UG]id:.*\b0\b/m)
    expect(fs.statSync(folder).uid).toBe(chooseAccount(folder)?.uid)
    expect(fs.statSync(parent).mode & 0o777).toBe(0o700)
    await query(url, 'create extension citext')
    expect(await query(url, `select 'A'::citext = 'a' as same`)).toEqual([{ same: true }])
  })

  test('copies the programs to where that user can run them, once', async () => {
    const account = unprivilegedAccount(fs.readFileSync('/etc/passwd', 'utf8'))
    const packaged = await findBinaries(undefined, () => {})
    const hidden = path.join(parent, 'hidden/native')
    fs.cpSync(path.resolve(packaged.postgres, '../../..'), path.dirname(hidden), {
      recursive: true,
      verbatimSymlinks: true,
    })
    fs.chmodSync(path.dirname(hidden), 0o700)
    for (const folder of [temporary.folder, parent]) fs.chmodSync(folder, 0o755)
    const cache = path.join(parent, 'cache')
    for (let round = 0; round < 2; round++) {
      const found = await findBinaries(account, line => lines.push(line), { native: hidden, cache })
      expect(found.postgres.startsWith(cache)).toBe(true)
    }
    expect(lines).toHaveLength(1)
  })
})

describe('the account that PostgreSQL runs as', () => {
  test('is roster, else postgres, else nobody', () => {
    const nobody = 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n'
    expect(unprivilegedAccount(nobody)).toEqual({ uid: 65534, gid: 65534 })
    expect(unprivilegedAccount(`${nobody}postgres:x:70:71::/:/bin/sh\n`)).toEqual({ uid: 70, gid: 71 })
    expect(unprivilegedAccount(`${nobody}postgres:x:70:71::/:\nroster:x:9:9::/:\n`)).toEqual({
      uid: 9,
      gid: 9,
    })
  })

  test("is Roster's own where that is not root, and then the folder must be its as well", () => {
    expect(chooseAccount(path.join(parent, 'none'), 1234)).toBeUndefined()
    expect(() => chooseAccount(parent, 1234)).toThrow(/belongs to user id \d+: run Roster as that user/)
  })

  test('is asked for where the system has none', () => {
    expect(() => unprivilegedAccount('root:x:0:0::/root:/bin/sh\n')).toThrow(/useradd --system postgres/)
  })
})

/** The folder of an earlier start, to spare the second that making one takes: leave it as it was. */
function useShared(): void {
  dataDir = shared
}

/** A copy of it, to break. */
function useCopy(): void {
  fs.mkdirSync(path.dirname(dataDir), { recursive: true })
  spawnSync('cp', ['-a', shared, dataDir])
}

async function start(
  mode: 'own' | 'attach' = 'own',
  options: { connections?: number } = {},
): Promise<Embedded> {
  const embedded = await openEmbedded({ dataDir, mode, log: line => lines.push(line), ...options })
  const stop = () => {
    if (open.includes(tracked)) open.splice(open.indexOf(tracked), 1)
    return embedded.stop()
  }
  const tracked = { ...embedded, stop }
  open.push(tracked)
  return tracked
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

/** A process that holds the folder and prints its URL when it does. */
function startChild(mode: 'own' | 'attach'): ChildProcess {
  const script = `
    const { openEmbedded } = await import(${JSON.stringify(new URL('./embedded.ts', import.meta.url).href)})
    const log = () => {}
    console.log((await openEmbedded({ dataDir: ${JSON.stringify(dataDir)}, mode: '${mode}', log })).url)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return child
}

/** Kills a parent right after a commit, and returns the process id of the server that lives on. */
async function orphanWithRow(): Promise<number> {
  const child = startChild('own')
  const [url] = await once(child.stdout ?? child, 'data')
  await query(String(url).trim(), 'drop table if exists kept; create table kept (word text)')
  await query(String(url).trim(), `insert into kept values ('committed')`)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const orphan = findPostmaster(path.join(dataDir, 'postgres'))
  if (!orphan || !isAlive(orphan.pid)) throw new Error('The server went with its parent')
  return orphan.pid
}

function isHalfMade(name: string): boolean {
  return name.includes('.new-') && fs.existsSync(path.join(dataDir, name, 'base'))
}

/** Ports on which the process listens, from its own file descriptors. */
function listeningSockets(pid: number): string[] {
  const inodes = new Set(
    fs.readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
      const target = fs.readlinkSync(`/proc/${pid}/fd/${fd}`)
      return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []
    }),
  )
  const rows = ['tcp', 'tcp6'].flatMap(name =>
    fs.readFileSync(`/proc/net/${name}`, 'utf8').split('\n').slice(1),
  )
  return rows.filter(row => inodes.has(row.trim().split(/\s+/)[9] ?? ''))
}

function deadPid(): number {
  return spawnSync('true').pid
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !condition(); await sleep(5)) {
    if (Date.now() > end) throw new Error('Waited in vain')
  }
}
