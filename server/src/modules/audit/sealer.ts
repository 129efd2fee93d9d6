import fs from 'node:fs'
import path from 'node:path'
import type { Logger } from 'pino'
import type { Store } from '../../db/store.ts'
import type { Clock } from '../../lib/clock.ts'
import { createLoop } from '../../lib/loop.ts'
import { noteProgress } from '../../lib/progress.ts'
import { reasonInWords } from '../../lib/reason.ts'
import { hmacSha256 } from '../../lib/secrets.ts'
import type { Watched } from '../../lib/watched.ts'
import { loopLog } from '../../watch/index.ts'
import * as repo from './repo.ts'
import {
  encodeEntries,
  formatHead,
  type Head,
  noContent,
  noSeal,
  parseHead,
  rowMac,
  sealMac,
} from './seal-format.ts'

export type Sealer = {
  /** Seals what is committed and not sealed yet. Returns how many rows; 0 also where another process is at it. */
  seal(): Promise<number>
  /** The newest end of the chain that this process, or one before it on this data folder, has seen. */
  knownHead(): Head | undefined
  /** Seals once a second until `stop()`, which seals the rest. */
  start(): void
  stop(): Promise<void>
  watched: Watched
}

export type SealerDeps = {
  store: Store
  clock: Clock
  /** Without it nobody can make a seal that verifies. */
  auditKey: Buffer
  /** A folder of this machine in which the end of the chain is remembered, out of the database's reach. */
  dataDir: string | undefined
  log: Logger
}

const interval = 1000
/** Rows under one seal. */
const batchSize = 5000
/** Milliseconds between two lines in the log that tell the end of the chain to whoever keeps logs elsewhere. */
const headLogInterval = 3_600_000

/**
 * Seals the audit log. Writers only add to a queue without index or lock; one sealer at a time, of all processes
 * on the database, takes from it what is committed. A row whose transaction commits late is sealed late and never
 * skipped.
 */
export function createSealer(deps: SealerDeps): Sealer {
  const { store, clock, auditKey, dataDir, log } = deps
  const headFile = dataDir === undefined ? undefined : path.join(dataDir, headFileName(auditKey))
  let head = headFile === undefined ? undefined : readHead(headFile)
  let running: Promise<unknown> = Promise.resolve()
  let headLoggedAt = Number.NEGATIVE_INFINITY
  let alarmed = false
  let unkept = false

  /** One call after the other: one that overtook another would have its newer end replaced by an older one. */
  function seal(): Promise<number> {
    const mine = running.then(sealAll)
    running = mine.catch(() => undefined)
    return mine
  }

  async function sealAll(): Promise<number> {
    let sealed = 0
    for (;;) {
      const count = await sealBatch()
      sealed += count
      noteProgress()
      if (count < batchSize) break
    }
    await noteHead()
    return sealed
  }

  function sealBatch(): Promise<number> {
    return store.transact(async trx => {
      if (!(await repo.lockSealing(trx))) return 0
      const ids = await repo.takeUnsealed(trx, batchSize)
      if (ids.length === 0) return 0
      const contents = new Map((await repo.readSealable(trx, ids)).map(row => [row.id, row.content]))
      const entries = encodeEntries(
        ids.map(id => {
          const content = contents.get(id)
          return { id, mac: content === undefined ? noContent : rowMac(auditKey, content) }
        }),
      )
      const last = await repo.lastSeal(trx)
      const next = { sequence: (last?.sequence ?? 0) + 1, sealed_at: clock.now(), entries }
      await repo.insertSeal(trx, { ...next, mac: sealMac(auditKey, next, last?.mac ?? noSeal) })
      return ids.length
    })
  }

  /** Moves the remembered end forward, but never past a chain that no longer goes through it. */
  async function noteHead(): Promise<void> {
    const last = await repo.lastSeal(store.db)
    const known = head
    if (known && !(await repo.findSealMac(store.db, known.sequence))?.equals(known.mac)) {
      if (!alarmed)
        log.error({ known: formatHead(known) }, 'the audit log has lost seals that were known here')
      alarmed = true
      return
    }
    if (!last || (head && last.sequence <= head.sequence)) return
    head = { sequence: last.sequence, mac: last.mac }
    keepHead(head)
    const ticks = performance.now()
    if (ticks - headLoggedAt < headLogInterval) return
    headLoggedAt = ticks
    log.info({ audit_head: formatHead(head) }, 'audit log sealed')
  }

  function keepHead(known: Head): void {
    if (headFile === undefined) return
    try {
      writeHead(headFile, known)
      if (unkept) log.info('the end of the audit log is kept in DATA_DIR again')
      unkept = false
    } catch (error) {
      const file = path.basename(headFile)
      if (!unkept) {
        log.error(
          { file },
          `the end of the audit log can't be kept in DATA_DIR: ${reasonInWords(error)}. Let this user write there`,
        )
      }
      unkept = true
    }
  }

  const loop = createLoop({
    name: 'audit_sealing',
    idle: interval,
    async turn() {
      await seal()
      return false
    },
    ...loopLog(log, 'sealing the audit log'),
    letGo() {
      running = Promise.resolve()
    },
  })

  return {
    seal,
    knownHead: () => head,
    start: loop.start,
    watched: loop.watched,
    async stop() {
      await loop.stop()
      await seal().catch(error => log.error({ err: error }, 'the audit log could not be sealed'))
    },
  }
}

/** Of the file under DATA_DIR: one for each database, which the key tells apart, so that a folder can serve several. */
const headFileName = (auditKey: Buffer): string =>
  `audit-head-${hmacSha256(auditKey, 'name of the database').toString('hex').slice(0, 16)}`

function readHead(file: string): Head | undefined {
  try {
    return parseHead(fs.readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

/** Replaced as a whole: a process killed midway leaves the old one. */
function writeHead(file: string, head: Head): void {
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  const unfinished = `${file}.${process.pid}.new`
  fs.writeFileSync(unfinished, `${formatHead(head)}\n`, { mode: 0o600 })
  fs.renameSync(unfinished, file)
}
