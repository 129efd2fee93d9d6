import { renderSVG } from 'uqr'
import type { Db, Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { Vault } from '../../encryption/index.ts'
import { ProblemError } from '../../http/problems.ts'
import { nilUuid } from '../../lib/ids.ts'
import type { LockedUser } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import type { CodeMethod, EnrolledMethod, Method } from './methods.ts'
import { newRecoveryCodes, recoveryCodeHash } from './recovery-codes.ts'
import * as repo from './repo.ts'
import { newTotp, stepOfCode } from './totp.ts'

export type EnrolledFactor = {
  method: Method
  /** Where its codes go, masked; null where they go nowhere. */
  target: string | null
  created_at: string
  last_used_at: string | null
  /** Passkeys, or recovery codes that are left; else 1. */
  count: number
}

export type TotpSetup = { secret: string; otpauth_url: string; qr_svg: string }

/**
 * Second factors by code: what is enrolled, and whether a code is right. The user's row is locked before any of
 * these that takes a transaction. Who may do this, and what follows from it, is decided elsewhere.
 */
export type Factors = {
  list(db: Db, userId: string): Promise<EnrolledFactor[]>
  /** Whether a factor is enrolled; recovery codes alone are none. */
  isEnrolled(db: Db, userId: string): Promise<boolean>
  /** @throws ProblemError mfa_already_enrolled */
  beginTotp(trx: Tx, at: Date, user: LockedUser): Promise<TotpSetup>
  /** Sends a code to the number. @throws ProblemError mfa_already_enrolled, otp_…, sms_unavailable */
  beginSms(trx: Tx, at: Date, user: LockedUser, phoneNumber: string): Promise<void>
  /** Sends a code to the user's address. @throws ProblemError mfa_already_enrolled, otp_… */
  beginEmail(trx: Tx, at: Date, user: LockedUser): Promise<void>
  /** Enrols what was begun, if the code is right. @throws ProblemError mfa_not_begun, otp_cooldown */
  confirm(trx: Tx, at: Date, user: LockedUser, method: EnrolledMethod, code: string): Promise<boolean>
  /** Sends a code for signing in. False where the method is not enrolled, or needs none sent. */
  send(trx: Tx, at: Date, user: LockedUser, method: Method): Promise<boolean>
  /** Uses a code up, if it is right: of any number at once one is. @throws ProblemError otp_cooldown */
  check(trx: Tx, at: Date, user: LockedUser, method: CodeMethod, code: string): Promise<boolean>
  /** False where it was not enrolled. */
  remove(trx: Tx, userId: string, method: EnrolledMethod): Promise<boolean>
  /** Ten new codes, in place of any before; they are kept as hashes alone. */
  createRecoveryCodes(trx: Tx, at: Date, userId: string): Promise<string[]>
  removeRecoveryCodes(trx: Tx, userId: string): Promise<void>
  /** Every factor, passkeys and recovery codes too. */
  removeAll(trx: Tx, userId: string): Promise<void>
  /** What was added since a moment, passkeys and recovery codes too. False where that is nothing. */
  removeSince(trx: Tx, userId: string, since: Date): Promise<boolean>
  /** Lets no passkey of a user sign in without the password, until one has done so with it. */
  doubtPasskeys(trx: Tx, userId: string): Promise<void>
  trustPasskeys(trx: Tx, userId: string): Promise<void>
  /** Seals every secret again that another key than `keyId` sealed. Returns how many, and whose can't be opened. */
  sealAgain(keyId: number): Promise<{ sealed: number; broken: string[] }>
}

const purposes = { sms: 'MFA_SMS', email: 'MFA_EMAIL' } as const

export function createFactors(deps: {
  store: Store
  vault: Vault
  verification: Verification
  outbound: Outbound
  issuer: string
}): Factors {
  const { vault, verification, outbound } = deps

  async function begin(
    trx: Tx,
    at: Date,
    user: LockedUser,
    factor: { method: EnrolledMethod; secret_sealed?: Buffer; phone_number?: string },
  ): Promise<void> {
    const kept = await repo.upsertPending(trx, { user_id: user.id, created_at: at, ...factor })
    if (!kept) throw new ProblemError('mfa_already_enrolled')
  }

  async function sendCode(
    trx: Tx,
    at: Date,
    user: LockedUser,
    method: 'sms' | 'email',
    number: string | null,
  ): Promise<void> {
    const target = method === 'sms' ? (number ?? '') : user.email_key
    const code = await verification.issueCode(trx, at, { purpose: purposes[method], userId: user.id, target })
    const message = { template: 'mfa_code', locale: user.locale, userId: user.id } as const
    if (method === 'sms') await outbound.sms(trx, { ...message, to: target, data: { code } })
    else await outbound.mail(trx, { ...message, to: user.email, data: { name: nameOf(user), code } })
  }

  async function holds(
    trx: Tx,
    at: Date,
    user: LockedUser,
    factor: repo.FactorRow,
    code: string,
  ): Promise<boolean> {
    if (factor.method !== 'totp') {
      const target = factor.method === 'sms' ? (factor.phone_number ?? '') : user.email_key
      const guess = { purpose: purposes[factor.method], userId: user.id, target, code }
      return (await verification.consumeCode(trx, at, guess)).valid
    }
    const secret = await vault.open(factor.secret_sealed ?? Buffer.alloc(0), context(user.id))
    const step = stepOfCode(secret.toString(), code, at)
    return step !== undefined && repo.takeStep(trx, user.id, step)
  }

  return {
    async list(db, userId) {
      const [rows, email] = await Promise.all([repo.listEnrolled(db, userId), repo.findEmail(db, userId)])
      return rows.map(row => toView(row, email))
    },
    isEnrolled: repo.hasFactor,

    async beginTotp(trx, at, user) {
      const { secret, url } = newTotp(deps.issuer, user.username)
      await begin(trx, at, user, { method: 'totp', secret_sealed: vault.seal(secret, context(user.id)) })
      return { secret, otpauth_url: url, qr_svg: renderSVG(url, { border: 2 }) }
    },

    async beginSms(trx, at, user, phoneNumber) {
      await begin(trx, at, user, { method: 'sms', phone_number: phoneNumber })
      await sendCode(trx, at, user, 'sms', phoneNumber)
    },

    async beginEmail(trx, at, user) {
      await begin(trx, at, user, { method: 'email' })
      await sendCode(trx, at, user, 'email', null)
    },

    async confirm(trx, at, user, method, code) {
      const factor = await repo.findFactor(trx, user.id, method)
      if (!factor || factor.confirmed_at) throw new ProblemError('mfa_not_begun')
      if (!(await holds(trx, at, user, factor, code))) return false
      return repo.confirmFactor(trx, user.id, method, at)
    },

    async send(trx, at, user, method) {
      if (method !== 'sms' && method !== 'email') return false
      const factor = await repo.findFactor(trx, user.id, method)
      if (!factor?.confirmed_at) return false
      await sendCode(trx, at, user, method, factor.phone_number)
      return true
    },

    async check(trx, at, user, method, code) {
      if (method === 'recovery_code')
        return repo.takeRecoveryCode(trx, user.id, recoveryCodeHash(user.id, code))
      const factor = await repo.findFactor(trx, user.id, method)
      if (!factor?.confirmed_at || !(await holds(trx, at, user, factor, code))) return false
      await repo.recordFactorUse(trx, user.id, method, at)
      return true
    },

    remove: repo.deleteFactor,

    async createRecoveryCodes(trx, at, userId) {
      const codes = newRecoveryCodes()
      const hashes = codes.map(code => recoveryCodeHash(userId, code))
      await repo.replaceRecoveryCodes(trx, userId, hashes, at)
      return codes
    },

    removeRecoveryCodes: (trx, userId) => repo.replaceRecoveryCodes(trx, userId, [], new Date(0)),

    removeAll: repo.deleteAll,
    removeSince: repo.deleteSince,
    doubtPasskeys: (trx, userId) => repo.setDoubt(trx, userId, true),
    trustPasskeys: (trx, userId) => repo.setDoubt(trx, userId, false),

    async sealAgain(keyId) {
      const { db } = deps.store
      let after = nilUuid
      let sealed = 0
      const broken: string[] = []
      for (;;) {
        const batch = await repo.listSealed(db, after, 500)
        for (const { user_id, secret_sealed } of batch) {
          after = user_id
          const secret = await vault.open(secret_sealed, context(user_id)).catch(() => undefined)
          if (secret === undefined) broken.push(user_id)
          else if (vault.keyIdOf(secret_sealed) !== keyId) {
            await repo.replaceSeal(db, user_id, secret_sealed, vault.seal(secret, context(user_id)))
            sealed += 1
          }
        }
        if (batch.length === 0) return { sealed, broken }
      }
    },
  }
}

const context = (userId: string): string => `totp of ${userId}`

const nameOf = (user: LockedUser): string => user.full_name ?? user.username

function toView(row: repo.EnrolledRow, email: string | undefined): EnrolledFactor {
  return {
    method: row.method,
    target:
      row.method === 'sms' ? maskNumber(row.phone_number) : row.method === 'email' ? maskEmail(email) : null,
    created_at: row.created_at.toISOString(),
    last_used_at: row.last_used_at?.toISOString() ?? null,
    count: row.count,
  }
}

const maskNumber = (number: string | null): string | null =>
  number && `${number.slice(0, 3)}${'•'.repeat(Math.max(number.length - 5, 1))}${number.slice(-2)}`

const maskEmail = (email: string | undefined): string | null =>
  email === undefined ? null : `${email.slice(0, 1)}•••••${email.slice(email.lastIndexOf('@'))}`
