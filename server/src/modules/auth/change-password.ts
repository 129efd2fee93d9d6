import type { Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import { normalisePassword } from '../../hashing/candidates.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { requireStepUp } from '../../http/step-up.ts'
import type { Clock } from '../../lib/clock.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import type { Attempt, Lockout } from '../lockout/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { type Credential, changePasswordHash, findCredential, type UserReader } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { lockActingUser } from './acting-user.ts'
import { endAccess } from './end-access.ts'
import { tellOfNewPassword } from './notices.ts'
import { passwordOwner } from './owner.ts'
import { checkNewPassword, type PasswordPolicy } from './password-policy.ts'
import type { PasswordChange } from './schemas.ts'
import { type PasswordDeps, verifyPassword } from './verify-password.ts'

export type ChangePasswordDeps = PasswordDeps & {
  clock: Clock
  sessions: Sessions
  users: UserReader
  passwordPolicy: PasswordPolicy
  verification: Verification
  outbound: Outbound
  lockout: Lockout
}

/**
 * Changes one's own password and ends every other session, and sign-ins under way.
 * @throws ProblemError invalid_current_password, validation_failed, conflict (another change was faster),
 *   invalid_token (the session ended meanwhile), too_many_attempts, service_busy
 */
export async function changePassword(
  deps: ChangePasswordDeps,
  origin: Origin,
  { userId, sessionId }: Principal,
  input: PasswordChange,
): Promise<void> {
  const attempt = await deps.lockout.reserve(userId, 'password_again', { address: origin.ip })
  const current = await attempt.during(() => verifyPassword(deps, userId, input.current_password, origin.ip))
  if (!current) return refuse(deps, origin, userId, attempt)
  await deps.store.transact(attempt.succeeded)
  const person = { userId, sessionId }
  const { new_password, current_password } = input
  const set = await prepare(deps, origin, person, current, new_password, '/new_password', current_password)
  await deps.store.transact(set)
}

/**
 * The same for somebody who proved who they are within the last ten minutes: that stands for the present password.
 * @returns what sets the new password, as part of a change: hashing it holds no transaction up
 * @throws ProblemError step_up_required, validation_failed, service_busy; and in the change conflict, invalid_token
 */
export async function preparePasswordAfterSignIn(
  deps: ChangePasswordDeps,
  origin: Origin,
  principal: Principal,
  newPassword: string,
): Promise<(trx: Tx) => Promise<void>> {
  requireStepUp('recent', principal, deps.clock.now())
  const current = await findCredential(deps.store.db, principal.userId)
  if (!current) throw new ProblemError('invalid_token')
  return prepare(deps, origin, principal, current, newPassword, '/password')
}

async function prepare(
  deps: ChangePasswordDeps,
  origin: Origin,
  person: Pick<Principal, 'userId' | 'sessionId'>,
  current: Credential,
  newPassword: string,
  path: string,
  before?: string,
): Promise<(trx: Tx) => Promise<void>> {
  const password = normalisePassword(newPassword)
  await checkAgainstUser(deps, person.userId, password, path, before)
  const hash = await deps.hasher.hash(password, { account: person.userId, isKnown: true })
  return trx => setPassword(deps, trx, origin, person, { version: current.password_version, hash })
}

async function setPassword(
  deps: ChangePasswordDeps,
  trx: Tx,
  origin: Origin,
  { userId, sessionId }: Pick<Principal, 'userId' | 'sessionId'>,
  { version, hash }: { version: number; hash: string },
): Promise<void> {
  const at = deps.clock.now()
  await lockActingUser(deps, trx, at, { userId, sessionId })
  const changed = await changePasswordHash(trx, { userId, version, hash, at })
  if (!changed) throw new ProblemError('conflict', { detail: 'The password was changed at the same time.' })
  await appendAudit(trx, at, origin, {
    action: 'user.password_changed',
    subject: { type: 'user', id: userId },
    changedFields: ['password'],
  })
  await appendEvent(trx, at, {
    type: 'user.password_changed',
    userId,
    data: { userId, changedAt: at.toISOString() },
  })
  await endAccess(deps, trx, at, origin, { userId, reason: 'password_changed', except: sessionId })
  await deps.verification.cancel(trx, userId, ['PASSWORD_RESET'])
  await tellOfNewPassword(deps.outbound, trx, at, userId)
}

async function refuse(
  { store, clock }: ChangePasswordDeps,
  origin: Origin,
  userId: string,
  attempt: Attempt,
): Promise<never> {
  await store.transact(async trx => {
    await appendAudit(trx, clock.now(), origin, {
      action: 'user.password_changed',
      outcome: 'failure',
      subject: { type: 'user', id: userId },
    })
    await attempt.failed(trx)
  })
  throw new ProblemError('invalid_current_password')
}

async function checkAgainstUser(
  { store, users, passwordPolicy }: ChangePasswordDeps,
  userId: string,
  password: string,
  path: string,
  before: string | undefined,
): Promise<void> {
  checkNewPassword(passwordPolicy, password, await passwordOwner(store.db, users, userId), path)
  if (before !== undefined && password === normalisePassword(before)) {
    throw new ProblemError('validation_failed', {
      errors: [{ path, code: 'unchanged', message: 'must differ from the present password' }],
    })
  }
}
