import { createCipheriv, randomBytes } from 'node:crypto'
import type { Db, Store } from '../../db/store.ts'
import { nilUuid, uuidToBytes } from '../../lib/ids.ts'
import * as repo from './repo.ts'
import {
  decodeEntries,
  formatHead,
  type Head,
  noContent,
  noSeal,
  rowMac,
  type SealEntry,
  sealMac,
} from './seal-format.ts'

export type AuditProblem = {
  kind:
    | 'row_changed'
    | 'row_deleted'
    | 'row_inserted'
    | 'personal_changed'
    | 'seal_changed'
    | 'seals_missing'
    | 'tail_missing'
  /** The seal at which it was found. */
  seal: number | null
  audit_id: string | null
  message: string
}

export type AuditVerification = {
  ok: boolean
  rows: number
  seals: number
  /** Rows of about the last second, which no seal covers yet. */
  unsealed: number
  /** Rows whose address and device were erased with their person. */
  erased: number
  /** The end of the chain, to be kept elsewhere and given to a later verification. */
  head: string | null
  /** At most {@link mostProblems} of them. */
  problems: AuditProblem[]
}

const mostProblems = 100
const sealsAtOnce = 50
const rowsAtOnce = 1000
const idsAtOnce = 20_000
/** Bytes of an id, which is one block of AES. */
const idLength = 16

const personalFaults: Partial<Record<repo.PersonalState['state'], string>> = {
  changed: 'changed',
  added: 'put in later',
  removed: 'removed, although their person was not erased',
}

/**
 * Checks every row and every seal, in batches, in one snapshot while others write. `heads` are ends of the chain
 * that were seen before: only they can tell that its newest part was cut off. Reads about 100,000 rows a second.
 */
export function verifyAudit(
  deps: { store: Store; auditKey: Buffer },
  options: { heads?: readonly Head[]; progress?: (rows: number) => void } = {},
): Promise<AuditVerification> {
  return deps.store.db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(db => createRun(db, deps.auditKey, options).verify())
}

type Covered = SealEntry & { seal: number }

function createRun(
  db: Db,
  key: Buffer,
  { heads = [], progress }: { heads?: readonly Head[]; progress?: (rows: number) => void },
) {
  const problems: AuditProblem[] = []
  const balance = createBalance()
  const awaited = Map.groupBy(heads, ({ sequence }) => sequence)
  let rows = 0
  let erased = 0

  function report(problem: AuditProblem): void {
    if (problems.length < mostProblems) problems.push(problem)
  }

  async function verify(): Promise<AuditVerification> {
    const { seals, last } = await checkSeals()
    checkHeads(seals, last)
    const unsealed = await repo.readUnsealed(db)
    balance.add(unsealed, -1)
    for await (const ids of everyId()) balance.add(ids, 1)
    const doubtful = balance.doubtful()
    if (doubtful.size > 0) await findInserted(doubtful, new Set(unsealed))
    return {
      ok: problems.length === 0,
      rows: rows + unsealed.length,
      seals,
      unsealed: unsealed.length,
      erased,
      head: last ? formatHead(last) : null,
      problems,
    }
  }

  async function checkSeals(): Promise<{ seals: number; last: Head | undefined }> {
    let seals = 0
    let last: Head | undefined
    let waiting: Covered[] = []
    for (;;) {
      const batch = await repo.readSeals(db, last?.sequence ?? 0, sealsAtOnce)
      for (const seal of batch) {
        checkSeal(seal, last)
        last = { sequence: seal.sequence, mac: seal.mac }
        seals += 1
        for (const entry of decodeEntries(seal.entries)) waiting.push({ ...entry, seal: seal.sequence })
        while (waiting.length >= rowsAtOnce) await checkRows(waiting.splice(0, rowsAtOnce))
      }
      if (batch.length < sealsAtOnce) break
    }
    await checkRows(waiting)
    waiting = []
    return { seals, last }
  }

  function checkSeal(seal: repo.Seal, before: Head | undefined): void {
    const expected = (before?.sequence ?? 0) + 1
    if (seal.sequence !== expected) {
      report({
        kind: 'seals_missing',
        seal: expected,
        audit_id: null,
        message: `seals ${expected} to ${seal.sequence - 1} are missing`,
      })
    } else if (!sealMac(key, seal, before?.mac ?? noSeal).equals(seal.mac)) {
      report({
        kind: 'seal_changed',
        seal: seal.sequence,
        audit_id: null,
        message: `seal ${seal.sequence} of ${seal.sealed_at.toISOString()} was changed, or is not in its place`,
      })
    }
    if (awaited.get(seal.sequence)?.some(({ mac }) => !mac.equals(seal.mac))) {
      report({
        kind: 'seal_changed',
        seal: seal.sequence,
        audit_id: null,
        message: `seal ${seal.sequence} is not the one that was known before: the log was cut there and continued`,
      })
    }
  }

  function checkHeads(seals: number, last: Head | undefined): void {
    const reached = last?.sequence ?? 0
    const furthest = Math.max(0, ...awaited.keys())
    if (furthest <= reached) return
    report({
      kind: 'tail_missing',
      seal: reached + 1,
      audit_id: null,
      message: `the log ends with seal ${reached} of ${seals}, and reached seal ${furthest} before`,
    })
  }

  async function checkRows(covered: readonly Covered[]): Promise<void> {
    const ids = covered.map(({ id }) => id)
    const found = new Map((await repo.readSealable(db, ids)).map(row => [row.id, row]))
    for (const { id, mac, seal } of covered) {
      const row = found.get(id)
      if (!row) {
        const early = mac.equals(noContent) ? ' before it was sealed' : ''
        report({ kind: 'row_deleted', seal, audit_id: id, message: `row ${id} was deleted${early}` })
        continue
      }
      if (rowMac(key, row.content).equals(mac)) continue
      const at = row.occurred_at.toISOString()
      report({ kind: 'row_changed', seal, audit_id: id, message: `row ${id} (now of ${at}) was changed` })
    }
    balance.add(
      ids.filter(id => found.has(id)),
      -1,
    )
    await checkPersonal(ids)
    rows += found.size
    progress?.(rows)
  }

  async function checkPersonal(ids: readonly string[]): Promise<void> {
    for (const { id, state } of await repo.readPersonalStates(db, ids)) {
      if (state === 'erased') erased += 1
      const wrong = personalFaults[state]
      if (wrong === undefined) continue
      const message = `the address or device beside row ${id} was ${wrong}`
      report({ kind: 'personal_changed', seal: null, audit_id: id, message })
    }
  }

  async function* everyId(): AsyncGenerator<string[]> {
    let after = nilUuid
    for (;;) {
      const ids = await repo.readIds(db, after, idsAtOnce)
      yield ids
      const next = ids.at(-1)
      if (next === undefined || ids.length < idsAtOnce) return
      after = next
    }
  }

  /** Second pass, over the doubtful spans alone: which of their rows neither a seal nor the queue knows. */
  async function findInserted(doubtful: ReadonlySet<string>, unsealed: ReadonlySet<string>): Promise<void> {
    const unknown = new Set<string>()
    for await (const ids of everyId())
      for (const id of ids) if (doubtful.has(spanOf(id)) && !unsealed.has(id)) unknown.add(id)
    for (let after = 0; ; ) {
      const seals = await repo.readSeals(db, after, sealsAtOnce)
      for (const seal of seals) for (const { id } of decodeEntries(seal.entries)) unknown.delete(id)
      const next = seals.at(-1)
      if (!next || seals.length < sealsAtOnce) break
      after = next.sequence
    }
    for (const id of unknown) {
      report({
        kind: 'row_inserted',
        seal: null,
        audit_id: id,
        message: `row ${id} was put in and never sealed`,
      })
    }
  }

  return { verify }
}

/** Ids of one span share their first 28 bits: those of about 17 minutes. */
const spanOf = (id: string): string => id.slice(0, 7)

/**
 * Tells in memory that grows with the time covered, not with the rows, where the log has rows that were never
 * sealed. For each span a count and a sum go up for a row and down for its seal. What is summed is the id
 * enciphered with a key of this run, so that no row can be made up to balance another.
 */
function createBalance() {
  const cipher = createCipheriv('aes-128-ecb', randomBytes(idLength), null).setAutoPadding(false)
  const spans = new Map<string, { count: number; sum: bigint }>()

  return {
    add(ids: readonly string[], direction: 1 | -1): void {
      const marks = cipher.update(Buffer.concat(ids.map(uuidToBytes)))
      for (const [n, id] of ids.entries()) {
        const mark = marks.readBigUInt64LE(n * idLength)
        const balance = spans.get(spanOf(id)) ?? { count: 0, sum: 0n }
        balance.count += direction
        balance.sum = BigInt.asUintN(64, direction === 1 ? balance.sum + mark : balance.sum - mark)
        spans.set(spanOf(id), balance)
      }
    },
    doubtful(): Set<string> {
      const uneven = [...spans].filter(([, { count, sum }]) => count !== 0 || sum !== 0n)
      return new Set(uneven.map(([span]) => span))
    },
  }
}
