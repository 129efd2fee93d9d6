import type { Store } from '../../db/store.ts'
import type { PasswordHasher } from '../../hashing/pool.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import type { Sessions, Tokens } from '../sessions/index.ts'
import { findCredential, holdSignInState } from '../users/index.ts'
import { candidatePassword } from './password-policy.ts'

export type StepUpDeps = { store: Store; clock: Clock; hasher: PasswordHasher; sessions: Sessions }

/**
 * Proves with the password that the person is still there. A new session, with its own tokens, takes the place
 * of the present one (ASVS 5.0, 7.2.4); its assurance level stays.
 * @throws ProblemError invalid_current_password, service_busy
 */
export async function stepUp(
  { store, clock, hasher, sessions }: StepUpDeps,
  origin: Origin,
  { userId, sessionId, assuranceLevel }: Principal,
  password: string,
): Promise<Tokens & { user_id: string }> {
  const credential = await findCredential(store.db, userId)
  const candidate = candidatePassword(password)
  const hash = candidate === undefined ? undefined : (credential?.password_hash ?? undefined)
  const { valid } = await hasher.verify(hash, candidate ?? '')
  const entry = { action: 'session.stepped_up', subject: { type: 'user', id: userId } } as const
  const started = await store.transact(async trx => {
    const at = clock.now()
    if (!credential || !valid || !(await holdSignInState(trx, userId, credential.password_version))) {
      await appendAudit(trx, at, origin, { ...entry, outcome: 'failure' })
      return undefined
    }
    const session = await sessions.start(trx, at, origin, { userId, methods: ['pwd'], assuranceLevel })
    await appendAudit(trx, at, origin, { ...entry, details: { session_id: session.id } })
    await sessions.endOneWithin(trx, at, origin, { userId, sessionId, reason: 'step_up' })
    return session
  })
  if (!started) throw new ProblemError('invalid_current_password')
  return sessions.tokensFor(started)
}
