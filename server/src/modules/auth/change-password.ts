import type { Store } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { PasswordHasher } from '../../hashing/pool.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { changePasswordHash, findCredential, type UserReader } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { tellOfNewPassword } from './notices.ts'
import {
  candidatePassword,
  checkNewPassword,
  normalisePassword,
  type PasswordPolicy,
} from './password-policy.ts'
import type { PasswordChange } from './schemas.ts'

export type ChangePasswordDeps = {
  store: Store
  clock: Clock
  hasher: PasswordHasher
  sessions: Sessions
  users: UserReader
  passwordPolicy: PasswordPolicy
  verification: Verification
  outbound: Outbound
}

/**
 * Changes one's own password and ends every other session.
 * @throws ProblemError invalid_current_password, validation_failed, conflict (another change was faster),
 *   service_busy
 */
export async function changePassword(
  deps: ChangePasswordDeps,
  origin: Origin,
  { userId, sessionId }: Principal,
  input: PasswordChange,
): Promise<void> {
  const current = await findCredential(deps.store.db, userId)
  const candidate = candidatePassword(input.current_password)
  const known = candidate === undefined ? undefined : (current?.password_hash ?? undefined)
  const { valid } = await deps.hasher.verify(known, candidate ?? '')
  if (!current || !valid) return refuse(deps, origin, userId)
  const password = normalisePassword(input.new_password)
  await checkAgainstUser(deps, userId, password, input.current_password)
  const hash = await deps.hasher.hash(password)
  await deps.store.transact(async trx => {
    const at = deps.clock.now()
    const changed = await changePasswordHash(trx, { userId, version: current.password_version, hash, at })
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
    await deps.sessions.endAllWithin(trx, at, origin, {
      userId,
      reason: 'password_changed',
      except: sessionId,
    })
    await deps.verification.cancel(trx, userId, ['PASSWORD_RESET'])
    await tellOfNewPassword(deps.outbound, trx, at, userId)
    await deps.store.announce(trx, { kind: 'user', id: userId })
  })
}

async function refuse({ store, clock }: ChangePasswordDeps, origin: Origin, userId: string): Promise<never> {
  await store.transact(trx =>
    appendAudit(trx, clock.now(), origin, {
      action: 'user.password_changed',
      outcome: 'failure',
      subject: { type: 'user', id: userId },
    }),
  )
  throw new ProblemError('invalid_current_password')
}

async function checkAgainstUser(
  { users, passwordPolicy }: ChangePasswordDeps,
  userId: string,
  password: string,
  before: string,
): Promise<void> {
  const user = await users.read(userId)
  const names = [user.full_name, user.first_name, user.last_name]
  checkNewPassword(passwordPolicy, password, { ...user, names }, '/new_password')
  if (password === normalisePassword(before)) {
    throw new ProblemError('validation_failed', {
      errors: [
        { path: '/new_password', code: 'unchanged', message: 'must differ from the present password' },
      ],
    })
  }
}
