import fs from 'node:fs'
import type { Store } from '../../db/store.ts'
import type { Clock } from '../../lib/clock.ts'
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
}

export type SealerDeps = {
  store: Store
  clock: Clock
  /** Without it nobody can make a seal that verifies. */
  auditKey: Buffer
  /** A file of this machine that remembers the end of the chain, out of the database's reach. */
  headFile: string | undefined
  log: { info(fields: object, message: string): void; error(fields: object, message: string): void }
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
  const { store, clock, auditKey, headFile, log } = deps
  let head = headFile === undefined ? undefined : readHead(headFile)
  let timer: NodeJS.Timeout | undefined
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
    if (head && !(await repo.findSealMac(store.db, head.sequence))?.equals(head.mac)) {
      if (!alarmed)
        log.error({ known: formatHead(head) }, 'the audit log has lost seals that were known here')
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
    } catch (error) {
      if (!unkept) log.error({ err: error }, 'the end of the audit log cannot be kept in the data folder')
      unkept = true
    }
  }

  const once = (): Promise<unknown> =>
    seal().catch(error => log.error({ err: error }, 'the audit log could not be sealed'))

  return {
    seal,
    knownHead: () => head,
    start() {
      const loop = () => void once().finally(() => timer?.refresh())
      timer = setTimeout(loop, interval)
      timer.unref()
    },
    async stop() {
      clearTimeout(timer)
      timer = undefined
      await once()
    },
  }
}

/** The name of the file under DATA_DIR. */
export const headFileName = 'audit-head'

export function readHead(file: string): Head | undefined {
  try {
    return parseHead(fs.readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

/** Replaced as a whole: a process killed midway leaves the old one. */
function writeHead(file: string, head: Head): void {
  const unfinished = `${file}.${process.pid}.new`
  fs.writeFileSync(unfinished, `${formatHead(head)}\n`, { mode: 0o600 })
  fs.renameSync(unfinished, file)
}
