import { setTimeout as sleep } from 'node:timers/promises'
import type { Store, Tx } from '../../db/store.ts'
import { addressGroup } from '../../http/client-address.ts'
import { ProblemError } from '../../http/problems.ts'
import { pageByPage } from '../../lib/batches.ts'
import { addTime, type Clock, days } from '../../lib/clock.ts'
import { uuidToBytes } from '../../lib/ids.ts'
import { hmacSha256 } from '../../lib/secrets.ts'
import type { Credential, SignInName } from '../users/index.ts'
import * as repo from './repo.ts'
import { createTurnstile } from './turnstile.ts'

/** What can be guessed at. Each is counted on its own: success with one says nothing about another. */
export type GuessedFactor =
  | 'password'
  /** Of somebody who is signed in: strangers can't use their attempts up. */
  | 'password_again'
  | 'totp'
  | 'sms'
  | 'email'
  | 'recovery_code'
  | 'passkey'
  | 'setup'

/** An attempt that may be judged now, and must be settled once it is. */
export type Attempt = {
  /** Counts the failure, and blocks the account or address where it was one too many. */
  failed(trx: Tx): Promise<void>
  /** Forgets the failures of this factor of this account. */
  succeeded(trx: Tx): Promise<void>
  /** Runs what judges it; where that throws, the attempt was none. The next one is let in at its end. */
  during<T>(judge: () => Promise<T>): Promise<T>
}

export type Lockout = {
  /**
   * Finds whoever has a name and reserves an attempt at their password: one round trip, the same for known and
   * unknown names. Attempts beyond those that may fail wait for the outcome of the ones before.
   * @param from the client's address, and the cookie of a browser: on a device that the user signed in from
   *   before, only that device's own failures count
   * @throws ProblemError too_many_attempts
   */
  reserveSignIn(
    name: SignInName | undefined,
    given: string,
    from: { address: string | undefined; device: string | undefined },
  ): Promise<{ credential: SignInCredential | undefined; isKnownDevice: boolean; attempt: Attempt }>
  /**
   * Reserves an attempt at a factor of a known user; without a user, of the address alone.
   * @throws ProblemError too_many_attempts
   */
  reserve(
    userId: string | undefined,
    factor: GuessedFactor,
    from: { address: string | undefined },
  ): Promise<Attempt>
  /** Lets a user try again at once: their password, or every factor. */
  unlock(trx: Tx, userId: string, what?: 'password' | 'everything'): Promise<void>
  cleanUp(): Promise<void>
}

export type SignInCredential = Credential

/** Failures in a row that cost nothing; then each costs a delay, twice the last. */
const accountLimit = 5
const firstDelay = 30
const longestDelay = 3600

/** Milliseconds that an attempt waits for those before it. */
const patience = 4000

export function createLockout(deps: {
  store: Store
  clock: Clock
  /** Hides the names that were tried, and addresses. */
  key: Buffer
  /** Failures that an address may collect; they seep away within an hour. */
  addressLimit: number
}): Lockout {
  const { store, clock, key } = deps
  const turnstile = createTurnstile(accountLimit, patience)

  async function enter(key: Buffer): Promise<() => void> {
    const leave = await turnstile.enter(key.toString('base64'))
    if (!leave) throw new ProblemError('too_many_attempts', { retryAfter: 1 })
    return leave
  }

  /** Passkeys and set-up codes, which can't be guessed, don't wait for those who guess at passwords. */
  const addressOf = (address = 'none', factor = ''): repo.Subject => ({
    key: hmacSha256(key, `address ${addressGroup(address)} ${factor}`),
    limit: deps.addressLimit,
  })

  /** Takes slots with `take`, again and again while all of them are merely in use. */
  async function insist<T extends { account_taken: boolean; address_taken: boolean }>(
    take: () => Promise<T>,
    subjectsOf: (row: T) => { account: repo.Subject | undefined; address: repo.Subject },
  ): Promise<T> {
    const deadline = performance.now() + patience
    for (let wait = 15; ; wait = Math.min(wait * 1.5, 250)) {
      const row = await take()
      if (row.account_taken && row.address_taken) return row
      const { account, address } = subjectsOf(row)
      if (row.account_taken && account) await giveBack({ account })
      const keys = account ? [account.key, address.key] : [address.key]
      const now = clock.now()
      const until = await repo.findBlock(store.db, keys, now)
      if (until)
        throw new ProblemError('too_many_attempts', { retryAfter: (until.getTime() - now.getTime()) / 1000 })
      if (performance.now() > deadline) throw new ProblemError('too_many_attempts', { retryAfter: 1 })
      await sleep(wait)
    }
  }

  const verdictOn = (subjects: repo.Subjects, outcome: repo.Verdict['outcome']): repo.Verdict => ({
    ...subjects,
    outcome,
    at: clock.now(),
    firstDelay,
    longestDelay,
  })

  const giveBack = (subjects: repo.Subjects) => repo.settle(store.db, verdictOn(subjects, 'abandoned'))

  /** `leave` lets the next one of this process in. */
  function attemptOf(subjects: repo.Subjects, leave: () => void): Attempt {
    return {
      failed: async trx => repo.settleWithCommit(trx, verdictOn(subjects, 'failed')),
      succeeded: async trx => repo.settleWithCommit(trx, verdictOn(subjects, 'succeeded')),
      async during(judge) {
        try {
          return await judge()
        } catch (error) {
          await giveBack(subjects)
          throw error
        } finally {
          leave()
        }
      },
    }
  }

  return {
    async reserveSignIn(name, given, { address, device }) {
      const column = name?.column ?? 'email_key'
      const unknownKey = hmacSha256(key, `name ${column} ${name?.value ?? given}`)
      const leave = await enter(unknownKey)
      try {
        const client = addressOf(address)
        const ask = {
          column,
          value: name?.value ?? '',
          unknownKey,
          factor: 'password',
          accountLimit,
          address: client,
          device: device ?? null,
        }
        const subjectsOf = (row: repo.SignInRow) => ({
          account: { key: row.key, limit: accountLimit },
          address: client,
        })
        const row = await insist(() => repo.reserveSignIn(store.db, { ...ask, at: clock.now() }), subjectsOf)
        const isKnownDevice = row.is_known_device === true
        return { credential: toCredential(row), isKnownDevice, attempt: attemptOf(subjectsOf(row), leave) }
      } catch (error) {
        leave()
        throw error
      }
    },

    async reserve(userId, factor, { address }) {
      const account = userId === undefined ? undefined : { key: userKey(userId, factor), limit: accountLimit }
      const subjects = { account, address: addressOf(address, account ? '' : factor) }
      const leave = account ? await enter(account.key) : () => undefined
      try {
        await insist(
          () => repo.reserve(store.db, { ...subjects, at: clock.now() }),
          () => subjects,
        )
        return attemptOf(subjects, leave)
      } catch (error) {
        leave()
        throw error
      }
    },

    unlock: (trx, userId, what = 'everything') =>
      repo.deleteByPrefix(trx, userKey(userId, what === 'password' ? 'password' : '')),

    cleanUp() {
      const before = addTime(clock.now(), -days(2))
      return pageByPage<Buffer>(Buffer.alloc(0), (after, limit) =>
        repo.deleteForgotten(store.db, { after, before, limit }),
      )
    },
  }
}

const userKey = (userId: string, factor: GuessedFactor | ''): Buffer =>
  Buffer.concat([uuidToBytes(userId), Buffer.from(factor)])

function toCredential(row: repo.SignInRow): SignInCredential | undefined {
  if (row.id === null) return undefined
  return {
    id: row.id,
    is_active: row.is_active ?? false,
    email_verified: row.email_verified ?? false,
    password_hash: row.password_hash,
    password_version: row.password_version ?? 0,
  }
}
