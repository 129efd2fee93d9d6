import type { Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import { unusablePasswordHash } from '../../hashing/unusable-hash.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { enqueue } from '../../jobs/worker.ts'
import type { Clock } from '../../lib/clock.ts'
import { emailKey } from '../../lib/text.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import type { Factors } from '../factors/index.ts'
import type { Sessions } from '../sessions/index.ts'
import {
  findUserRecord,
  type LockedUser,
  lockUser,
  replacePasswordHash,
  setEmailVerified,
} from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { endAccess } from './end-access.ts'
import { dropFactors } from './enrol-factor.ts'
import { findActiveByEmail, nameOf, unlessLimited } from './owner.ts'
import { sendResetMail } from './reset-mail.ts'
import { type Asker, sendVerificationMail } from './verification-mail.ts'

export type VerifyEmailDeps = {
  store: Store
  clock: Clock
  sessions: Sessions
  verification: Verification
  outbound: Outbound
  factors: Factors
}

type AskedVerification = { email_key: string }

export const sendVerificationJob = { name: 'auth.send_verification' }

/**
 * Sends the signed-in user the mail that proves their address; nothing where it is proved already.
 * @throws ProblemError otp_quota_exceeded, otp_cooldown
 */
export async function requestOwnVerification(deps: VerifyEmailDeps, userId: string): Promise<void> {
  const user = await findUserRecord(deps.store.db, userId)
  if (!user?.is_active || user.email_verified_at) return
  await sendTo(deps, user, 'owner')
}

/** Asks for that mail by address. As with a reset, nobody is looked up before the reply. */
export async function requestVerification(
  { store }: Pick<VerifyEmailDeps, 'store'>,
  email: string,
): Promise<void> {
  const email_key = emailKey(email)
  if (email_key === null) return
  await store.transact(trx => enqueue<AskedVerification>(trx, sendVerificationJob, { email_key }))
}

/** Sends the mail that was asked for by address. */
export async function sendRequestedVerification(
  deps: VerifyEmailDeps,
  { email_key }: AskedVerification,
): Promise<void> {
  const user = await findActiveByEmail(deps.store.db, email_key)
  if (!user || user.email_verified_at) return
  await unlessLimited(() => sendTo(deps, user, 'anyone'))
}

const sendTo = (deps: VerifyEmailDeps, user: LockedUser, asker: Asker): Promise<void> =>
  deps.store.transact(trx =>
    sendVerificationMail(deps, trx, deps.clock.now(), { ...user, name: nameOf(user) }, asker),
  )

/** A link's token; or a code, with the address where nobody is signed in. */
export type EmailProof = { token?: string | undefined; code?: string | undefined; email?: string | undefined }

/**
 * Proves an address. Whoever asked for the mail as `anyone` and proves it without being signed in to the
 * account has the mailbox, but nothing says that they made the account: somebody else may have registered
 * with their address and kept a password and sessions for later. Those end, and a reset mail lets the owner of
 * the mailbox choose a password (“pre-hijacking”, Sudhodanan and Paverd, 2022).
 * @returns the user's id, and whether their credentials ended with it
 * @throws ProblemError invalid_link, invalid_code, otp_cooldown (told to the signed-in only)
 */
export async function verifyEmail(
  deps: VerifyEmailDeps,
  origin: Origin,
  principal: Principal | undefined,
  proof: EmailProof,
): Promise<Verified> {
  if (proof.token !== undefined) return verifyByLink(deps, origin, principal, proof.token)
  const verified = await verifyByCode(deps, origin, principal, proof)
  if (verified === undefined) throw new ProblemError('invalid_code')
  return verified
}

export type Verified = { userId: string; handedOver: boolean }

function verifyByLink(
  deps: VerifyEmailDeps,
  origin: Origin,
  principal: Principal | undefined,
  token: string,
): Promise<Verified> {
  return deps.store.transact(async trx => {
    const at = deps.clock.now()
    const proof = await deps.verification.consumeLink(trx, at, { purpose: 'EMAIL_VERIFICATION', token })
    const user = await lockUser(trx, proof.userId)
    if (!user?.is_active || user.email_key !== proof.target) throw new ProblemError('invalid_link')
    return confirm(deps, trx, at, origin, user, isOwner(proof.data, user, principal))
  })
}

/** Undefined for a wrong code, after the transaction that counts it. */
async function verifyByCode(
  deps: VerifyEmailDeps,
  origin: Origin,
  principal: Principal | undefined,
  { code = '', email }: EmailProof,
): Promise<Verified | undefined> {
  const userId =
    principal?.userId ?? (email && (await findActiveByEmail(deps.store.db, emailKey(email) ?? ''))?.id)
  if (!userId) return undefined
  try {
    return await deps.store.transact(async trx => {
      const at = deps.clock.now()
      const user = await lockUser(trx, userId)
      if (!user?.is_active) return undefined
      const guess = { purpose: 'EMAIL_VERIFICATION', userId, target: user.email_key, code } as const
      const outcome = await deps.verification.consumeCode(trx, at, guess)
      if (!outcome.valid) return undefined
      return confirm(deps, trx, at, origin, user, isOwner(outcome.data, user, principal))
    })
  } catch (error) {
    // A cool-down would tell strangers that there is an account.
    if (!principal && error instanceof ProblemError && error.code === 'otp_cooldown') return undefined
    throw error
  }
}

const isOwner = (
  data: Readonly<Record<string, unknown>>,
  user: LockedUser,
  principal: Principal | undefined,
): boolean => data.asker === 'owner' || principal?.userId === user.id

async function confirm(
  deps: VerifyEmailDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  byOwner: boolean,
): Promise<Verified> {
  const handedOver = !byOwner && !user.email_verified_at
  if (handedOver) await handOver(deps, trx, at, origin, user)
  await setEmailVerified(trx, at, origin, user)
  await deps.verification.cancel(trx, user.id, ['EMAIL_VERIFICATION'])
  await deps.store.announce(trx, { kind: 'user', id: user.id })
  return { userId: user.id, handedOver }
}

/** Takes an account from whoever made it, for the owner of its address. */
async function handOver(
  deps: VerifyEmailDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
): Promise<void> {
  await replacePasswordHash(trx, { userId: user.id, hash: unusablePasswordHash(), at })
  await dropFactors(deps, trx, at, origin, user.id)
  await deps.verification.cancel(trx, user.id)
  await endAccess(deps, trx, at, origin, { userId: user.id, reason: 'email_verified' })
  await appendAudit(trx, at, origin, {
    action: 'user.credentials_revoked',
    subject: { type: 'user', id: user.id },
    changedFields: ['password'],
    details: { reason: 'email_verified' },
  })
  await unlessLimited(() => sendResetMail(deps, trx, at, user))
}
