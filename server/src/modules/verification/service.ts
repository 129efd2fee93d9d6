import { randomInt } from 'node:crypto'
import type { Db, Store, Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { sixDigits } from '../../lib/bare-text.ts'
import { inBatches, pageByPage } from '../../lib/batches.ts'
import { addTime, type Clock, days, hours, minutes } from '../../lib/clock.ts'
import { uuidv7 } from '../../lib/ids.ts'
import { hmacSha256, randomToken, sha256 } from '../../lib/secrets.ts'
import { lockUser } from '../users/index.ts'
import type { CodeCounter } from './metrics.ts'
import { type CodePurpose, codeLifetime, codeTries, type LinkPurpose, linkRules } from './purposes.ts'
import * as repo from './repo.ts'

/** What a link was bound to when it was made, anything its maker wanted back, and when that was. */
export type Proof = {
  userId: string
  target: string
  data: Readonly<Record<string, unknown>>
  issuedAt: Date
}

type Binding = {
  userId: string
  /** What is to be proved: an e-mail address in compared form or an E.164 number; for a few links a state. */
  target: string
  /** Handed back when it is used. Never a secret. */
  data?: Readonly<Record<string, unknown>>
}

/** The address of a code or link where it is counted as another than its target. */
type Counting = { countedAs?: string | undefined }

/** What came of a guess. Commit the transaction in both cases: a wrong guess counts. */
export type CodeOutcome = { valid: true; data: Readonly<Record<string, unknown>> } | { valid: false }

export type Verification = {
  /**
   * Makes a six-digit code that lives for 10 minutes, in place of the user's last one of this purpose, and
   * counts it in the quota of its target. Send it in the same transaction.
   * @throws ProblemError otp_quota_exceeded, otp_cooldown; nothing was written then
   */
  issueCode(trx: Tx, at: Date, code: Binding & Counting & { purpose: CodePurpose }): Promise<string>
  /**
   * Takes the lock under which codes of an address are sent and judged. Whoever creates a user and then sends
   * them a code or counted link takes it first: a change of e-mail address holds it while it waits for the
   * address, and two that wait for each other would end in an error for one.
   */
  lockTarget(trx: Tx, at: Date, target: string): Promise<void>
  /**
   * Judges a guess and uses the code up if it is right. The guess is counted before it is judged, under a lock
   * per target, so parallel guesses get no more tries than one after the other. Lock the user's row first
   * where the transaction is going to. White space, dashes and what nobody sees don't matter, and what can't be a
   * code is no guess.
   * @throws ProblemError otp_cooldown; nothing was judged then
   */
  consumeCode(
    trx: Tx,
    at: Date,
    guess: { purpose: CodePurpose; userId: string; target: string; code: string } & Counting,
  ): Promise<CodeOutcome>
  /**
   * Makes a link of 256 random bits. Several of one purpose may live side by side.
   * @returns the token, and the address of the page to send: always below the configured PUBLIC_URL
   * @throws ProblemError otp_quota_exceeded where the purpose counts (`counted` overrides)
   */
  issueLink(
    trx: Tx,
    at: Date,
    link: Binding & Counting & { purpose: LinkPurpose; lifetime?: number; counted?: boolean },
  ): Promise<{ token: string; url: string }>
  /** What a link is for, without using it up; undefined where it is worth nothing. */
  findLink(db: Db, purpose: LinkPurpose, token: string): Promise<Proof | undefined>
  /** What a user's links of a purpose are for that still work. */
  listLinks(db: Db, at: Date, of: { userId: string; purpose: LinkPurpose }): Promise<Proof[]>
  /**
   * Uses a link up and locks its user's row. Of any number at once one gets it.
   * @throws ProblemError invalid_link
   */
  consumeLink(trx: Tx, at: Date, link: { purpose: LinkPurpose; token: string }): Promise<Proof>
  /** Makes a user's codes and links worthless: those of the purposes, or all; made since a moment, or ever. */
  cancel(
    trx: Tx,
    userId: string,
    purposes?: readonly (CodePurpose | LinkPurpose)[],
    since?: Date,
  ): Promise<void>
  /** Deletes what expired. Returns how many codes and links. */
  cleanUp(): Promise<number>
}

/** Wrong codes in a row for one target, and milliseconds for which then none is sent to it or accepted. */
const failureLimit = 3
const cooldown = minutes(15)

export function createVerification(deps: {
  store: Store
  clock: Clock
  /** Hashes codes and addresses: the database alone gives neither away. */
  key: Buffer
  quota: repo.Quota
  publicUrl: string
  count: CodeCounter
}): Verification {
  const { store, clock, key, count } = deps

  const addressHash = (target: string) => hmacSha256(key, `address ${target}`)
  const codeHash = (of: { purpose: string; userId: string; target: string; code: string }) =>
    hmacSha256(key, JSON.stringify(['code', of.purpose, of.userId, of.target, of.code]))

  const counted = (target: string, at: Date): repo.Counted => ({
    address: addressHash(target),
    at,
    hourAgo: addTime(at, -hours(1)),
    dayAgo: addTime(at, -days(1)),
    quota: deps.quota,
  })

  async function refuse(trx: Tx, purpose: string, ask: repo.Counted): Promise<never> {
    count('limited', purpose)
    const { sent, blocked_until } = (await repo.findQuota(trx, ask.address)) ?? {
      sent: [],
      blocked_until: null,
    }
    if (blocked_until && blocked_until > ask.at) throw inCooldown(blocked_until, ask.at)
    throw new ProblemError('otp_quota_exceeded', { retryAfter: untilFree(sent, ask) / 1000 })
  }

  return {
    async issueCode(trx, at, { purpose, userId, target, data = {}, countedAs = target }) {
      const code = String(randomInt(0, 1_000_000)).padStart(6, '0')
      const ask = counted(countedAs, at)
      const kept = await repo.insertCode(trx, ask, {
        id: uuidv7(at),
        purpose,
        userId,
        target,
        hash: codeHash({ purpose, userId, target, code }),
        tries: codeTries,
        data,
        at,
        expiresAt: addTime(at, codeLifetime),
      })
      if (!kept) return refuse(trx, purpose, ask)
      count('sent', purpose)
      return code
    },

    lockTarget: (trx, at, target) => repo.takeQuotaLock(trx, addressHash(target), at),

    async consumeCode(trx, at, { purpose, userId, target, code: typed, countedAs = target }) {
      const code = sixDigits(typed)
      // What can't be a code is a slip of the hand, not a guess.
      if (code === null) return { valid: false }
      const address = addressHash(countedAs)
      const quota = await repo.lockQuota(trx, address)
      if (quota?.blocked_until && quota.blocked_until > at) {
        count('limited', purpose)
        throw inCooldown(quota.blocked_until, at)
      }
      const hash = codeHash({ purpose, userId, target, code })
      const guess = { purpose, userId, target, hash, address, at }
      const taken = await repo.takeCode(trx, guess)
      if (taken) return { valid: true, data: taken.data }
      await repo.countFailure(trx, guess, {
        forgetBefore: addTime(at, -cooldown),
        limit: failureLimit,
        blockUntil: addTime(at, cooldown),
      })
      count('failed', purpose)
      return { valid: false }
    },

    async issueLink(trx, at, { purpose, userId, target, data = {}, countedAs = target, ...options }) {
      const rules = linkRules[purpose]
      const ask = counted(countedAs, at)
      if (options.counted ?? rules.counted) {
        if (!(await repo.countMessage(trx, ask))) return refuse(trx, purpose, ask)
      }
      const token = randomToken(32)
      const expiresAt = addTime(at, options.lifetime ?? rules.lifetime)
      await repo.insertLink(trx, {
        id: uuidv7(at),
        purpose,
        userId,
        target,
        hash: sha256(token),
        data,
        at,
        expiresAt,
      })
      return { token, url: `${deps.publicUrl}${rules.path}?token=${token}` }
    },

    async findLink(db, purpose, token) {
      const row = await repo.findLink(db, { purpose, hash: sha256(token), at: clock.now() })
      return row && toProof(row)
    },

    listLinks: async (db, at, of) => (await repo.listLinks(db, { ...of, at })).map(toProof),

    async consumeLink(trx, at, { purpose, token }) {
      const link = { purpose, hash: sha256(token), at }
      const found = await repo.findLink(trx, link)
      if (!found) throw new ProblemError('invalid_link')
      await lockUser(trx, found.user_id)
      const taken = await repo.takeLink(trx, link)
      if (!taken) throw new ProblemError('invalid_link')
      return toProof(taken)
    },

    cancel: repo.deleteOfUser,

    async cleanUp() {
      const at = clock.now()
      // Longer than the longest window, so that no count is forgotten early.
      const before = addTime(at, -days(1))
      await pageByPage<Buffer>(Buffer.alloc(0), (after, limit) =>
        repo.deleteStaleQuotas(store.db, { after, before, limit }),
      )
      return inBatches(limit => repo.deleteExpired(store.db, at, limit))
    },
  }
}

const toProof = ({ user_id, target, data, created_at }: repo.LinkRow): Proof => ({
  userId: user_id,
  target,
  data,
  issuedAt: created_at,
})

const inCooldown = (until: Date, at: Date): ProblemError =>
  new ProblemError('otp_cooldown', { retryAfter: (until.getTime() - at.getTime()) / 1000 })

/** Milliseconds until both windows have room again: until the message leaves them that takes the last place. */
function untilFree(sent: readonly Date[], { at, quota }: repo.Counted): number {
  const wait = (limit: number, window: number) => {
    const last = sent.at(-limit)
    return last ? last.getTime() + window - at.getTime() : 0
  }
  return Math.max(wait(quota.hourly, hours(1)), wait(quota.daily, days(1)))
}
