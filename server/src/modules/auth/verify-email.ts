import type { Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { Principal } from '../../http/principal.ts'
import type { FieldError } from '../../http/problem-schema.ts'
import { ProblemError } from '../../http/problems.ts'
import { enqueue } from '../../jobs/worker.ts'
import type { Clock } from '../../lib/clock.ts'
import { emailKey } from '../../lib/text.ts'
import type { Origin } from '../audit/index.ts'
import type { Factors } from '../factors/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { findUserRecord, type LockedUser, lockUser, setEmailVerified } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { endAccess } from './end-access.ts'
import { dropMakersFactors, handOverByMail } from './hand-over.ts'
import { findActiveByEmail, nameOf, unlessLimited } from './owner.ts'
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
 * @throws ProblemError otp_quota_exceeded
 */
export async function requestOwnVerification(deps: VerifyEmailDeps, userId: string): Promise<void> {
  const user = await findUserRecord(deps.store.db, userId)
  if (!user?.is_active || user.email_verified_at) return
  await sendTo(deps, user, 'signed_in')
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

/** Nothing where the address was changed or proved since they were looked up: another one nobody asked about. */
const sendTo = (deps: VerifyEmailDeps, { id, email_key }: LockedUser, asker: Asker): Promise<void> =>
  deps.store.transact(async trx => {
    const user = await lockUser(trx, id)
    if (!user?.is_active || user.email_verified_at || user.email_key !== email_key) return
    await sendVerificationMail(deps, trx, deps.clock.now(), { ...user, name: nameOf(user) }, asker)
  })

/** A link's token; or a code, with the address where nobody is signed in. */
export type EmailProof = { token?: string | undefined; code?: string | undefined; email?: string | undefined }

/**
 * Proves an address. Whoever asked for the mail as `anyone` and proves it without being signed in to the
 * account has the mailbox, but nothing says that they made the account: it is handed over, and a reset mail lets
 * the owner of the mailbox choose a password. With another mail they may be who made the account, so it stays
 * theirs; but factors that were enrolled before are kept by nobody but a session of the account.
 * @returns the user's id, and whether their credentials ended with it
 * @throws ProblemError validation_failed, invalid_link, invalid_code, otp_cooldown (told to the signed-in only)
 */
export async function verifyEmail(
  deps: VerifyEmailDeps,
  origin: Origin,
  principal: Principal | undefined,
  proof: EmailProof,
): Promise<Verified> {
  if (proof.token !== undefined) return verifyByLink(deps, origin, principal, proof.token)
  refuseIncomplete(proof, principal)
  const verified = await verifyByCode(deps, origin, principal, proof)
  if (verified === undefined) throw new ProblemError('invalid_code')
  return verified
}

export type Verified = { userId: string; handedOver: boolean }

function refuseIncomplete({ code, email }: EmailProof, principal: Principal | undefined): void {
  const errors: FieldError[] = []
  if (code === undefined) {
    const message = 'is needed: the code of the mail; or else token, from its link'
    errors.push({ path: '/code', code: 'required', message })
  }
  if (email === undefined && !principal) {
    const message = 'is needed with code where nobody is signed in'
    errors.push({ path: '/email', code: 'required', message })
  }
  if (errors.length > 0) throw new ProblemError('validation_failed', { errors })
}

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
    if (principal?.userId === user.id) return confirm(deps, trx, at, origin, user, 'session')
    return confirm(deps, trx, at, origin, user, proof.data.asker === 'anyone' ? 'stranger' : 'maker')
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
      if (principal?.userId === user.id) return confirm(deps, trx, at, origin, user, 'session')
      const isMaker = await isTheirs(deps, trx, at, user, outcome.data)
      return confirm(deps, trx, at, origin, user, isMaker ? 'maker' : 'stranger')
    })
  } catch (error) {
    // A cool-down would tell strangers that there is an account.
    if (!principal && error instanceof ProblemError && error.code === 'otp_cooldown') return undefined
    throw error
  }
}

/**
 * Whether a code proves an address for whoever made the account, typed by whom it may. A newer code takes the
 * place of an older one, so one that the account's maker had sent may be typed by somebody else, who asked by
 * address; their link stays beside it, and tells.
 */
async function isTheirs(
  { verification }: VerifyEmailDeps,
  trx: Tx,
  at: Date,
  { id: userId }: LockedUser,
  { asker }: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  if (asker !== 'owner') return false
  const links = await verification.listLinks(trx, at, { userId, purpose: 'EMAIL_VERIFICATION' })
  return links.every(({ data }) => data.asker !== 'anyone')
}

/**
 * Who proves an address: a session of the account; somebody else with a mail that its maker had sent; or with
 * one that anybody may have asked for.
 */
type Prover = 'session' | 'maker' | 'stranger'

async function confirm(
  deps: VerifyEmailDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  prover: Prover,
): Promise<Verified> {
  const isFirst = !user.email_verified_at
  const handedOver = isFirst && prover === 'stranger'
  if (handedOver) await handOverByMail(deps, trx, at, origin, user)
  else if (isFirst && prover === 'maker' && (await dropMakersFactors(deps, trx, at, origin, user)))
    await endAccess(deps, trx, at, origin, { userId: user.id, reason: 'mfa_changed' })
  await setEmailVerified(trx, at, origin, user, prover === 'maker')
  await deps.verification.cancel(trx, user.id, ['EMAIL_VERIFICATION'])
  await deps.store.announce(trx, { kind: 'user', id: user.id })
  return { userId: user.id, handedOver }
}
