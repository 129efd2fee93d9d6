import type { Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import { normalisePassword } from '../../hashing/candidates.ts'
import type { PasswordHasher } from '../../hashing/pool.ts'
import { addressGroup } from '../../http/client-address.ts'
import { ProblemError } from '../../http/problems.ts'
import { enqueue } from '../../jobs/worker.ts'
import type { Clock } from '../../lib/clock.ts'
import { emailKey } from '../../lib/text.ts'
import { type AuditEntry, appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import type { Factors } from '../factors/index.ts'
import type { Lockout } from '../lockout/index.ts'
import type { Sessions } from '../sessions/index.ts'
import {
  findOwner,
  type LockedUser,
  lockUser,
  replacePasswordHash,
  setEmailVerified,
  type UserReader,
} from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { endAccess } from './end-access.ts'
import { handOver } from './hand-over.ts'
import { nameOf, passwordOwner } from './owner.ts'
import { checkNewPassword, type PasswordPolicy } from './password-policy.ts'
import { sendWayIn } from './way-back.ts'

export type ResetPasswordDeps = {
  store: Store
  clock: Clock
  hasher: PasswordHasher
  sessions: Sessions
  users: UserReader
  verification: Verification
  outbound: Outbound
  passwordPolicy: PasswordPolicy
  lockout: Lockout
  factors: Factors
  eraseAfterDays: number
}

/** Jobs of versions that wrote the audit row with the request have no origin. */
type AskedReset = { email_key: string | null; origin?: Origin }

export const sendResetJob = { name: 'auth.send_password_reset' }

/**
 * Asks for a reset mail. Here nobody is looked up: the same job is written whoever asks for whom, so neither the
 * reply nor its time tells whether there is an account.
 */
export async function requestPasswordReset(
  { store }: Pick<ResetPasswordDeps, 'store'>,
  origin: Origin,
  email: string,
): Promise<void> {
  const email_key = emailKey(email)
  await store.transact(trx => enqueue<AskedReset>(trx, sendResetJob, { email_key, origin }))
}

/**
 * Records who asked, for whom if the address is somebody's, and sends them the mail; to restore the account, where
 * they deleted it. Nothing beyond the quota of the address.
 */
export async function sendRequestedReset(
  deps: ResetPasswordDeps,
  { email_key, origin }: AskedReset,
): Promise<void> {
  const { store, clock } = deps
  const owner =
    email_key === null ? undefined : await findOwner(store.db, { column: 'email_key', value: email_key })
  await store.transact(async trx => {
    const at = clock.now()
    if (origin) await appendAudit(trx, at, origin, resetRequested(owner))
    if (owner) await sendWayIn(deps, trx, at, owner)
  })
}

const resetRequested = (owner: { id: string } | undefined): AuditEntry => ({
  action: 'password.reset_requested',
  ...(owner && { subject: { type: 'user', id: owner.id } }),
})

/**
 * Sets a password for whoever has the link of a reset or invitation mail. That proves the address too. Every
 * session ends and none begins: who has a second factor still needs it to sign in, unless nobody had proved the
 * address before; then the account is handed over, with nothing left of whoever made it.
 * @throws ProblemError invalid_link, validation_failed (the link stays good), service_busy
 */
export async function setPasswordByLink(
  deps: ResetPasswordDeps,
  origin: Origin,
  purpose: 'PASSWORD_RESET' | 'INVITATION',
  input: { token: string; new_password: string },
): Promise<void> {
  const proof = await deps.verification.findLink(deps.store.db, purpose, input.token)
  if (!proof) throw new ProblemError('invalid_link')
  const password = await checkedPassword(deps, proof.userId, input.new_password)
  const hash = await deps.hasher.hash(password, { address: addressGroup(origin.ip ?? 'none') })
  await deps.store.transact(async trx => {
    const at = deps.clock.now()
    const { userId, target } = await deps.verification.consumeLink(trx, at, { purpose, token: input.token })
    const user = await lockUser(trx, userId)
    if (!user?.is_active || user.email_key !== target) throw new ProblemError('invalid_link')
    if (!user.email_verified_at) await handOver(deps, trx, at, origin, user)
    await setEmailVerified(trx, at, origin, user)
    await takePossession(deps, trx, at, origin, user, hash, {
      reason: 'password_reset',
      apart: user.proved_apart,
    })
  })
}

/** A new password in the form that is hashed. @throws ProblemError validation_failed */
export async function checkedPassword(
  { store, users, passwordPolicy }: Pick<ResetPasswordDeps, 'store' | 'users' | 'passwordPolicy'>,
  userId: string,
  newPassword: string,
): Promise<string> {
  const password = normalisePassword(newPassword)
  checkNewPassword(passwordPolicy, password, await passwordOwner(store.db, users, userId), '/new_password')
  return password
}

/**
 * What was begun with the old password and must not go on without it. Undo links stay: they belong to the
 * owner of an earlier address, and whoever took the account over may be the one who resets the password.
 */
const begun = [
  'PASSWORD_RESET',
  'INVITATION',
  'EMAIL_VERIFICATION',
  'EMAIL_UPDATE',
  'PHONE_VERIFICATION',
  'MFA_SMS',
  'MFA_EMAIL',
] as const

/**
 * Puts a new password in place of whatever there was: sessions and everything begun end with it.
 * @param how.apart whether nothing said until now that whoever signed in has the mailbox: passkeys from before
 *   open the account together with the new password only
 */
export async function takePossession(
  { store, sessions, verification, outbound, lockout, factors }: ResetPasswordDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  hash: string,
  { reason, apart }: { reason: 'password_reset' | 'email_update_undone'; apart: boolean },
): Promise<void> {
  const userId = user.id
  if (apart) await factors.doubtPasskeys(trx, userId)
  await replacePasswordHash(trx, { userId, hash, at })
  await verification.cancel(trx, userId, begun)
  await lockout.unlock(trx, userId, 'password')
  await appendAudit(trx, at, origin, {
    action: 'user.password_reset',
    subject: { type: 'user', id: userId },
    changedFields: ['password'],
    details: { reason },
  })
  await appendEvent(trx, at, {
    type: 'user.password_changed',
    userId,
    data: { userId, changedAt: at.toISOString() },
  })
  await outbound.mail(trx, {
    template: 'password_changed',
    to: user.email,
    locale: user.locale,
    userId,
    data: { name: nameOf(user), at },
  })
  await endAccess({ store, sessions }, trx, at, origin, { userId, reason })
}
