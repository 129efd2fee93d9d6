import type { Tx } from '../../db/store.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import type { Attempt } from '../lockout/index.ts'
import type { SessionProof, StartedSession } from '../sessions/index.ts'
import { lockActingUser } from './acting-user.ts'
import type { GivenProof } from './given-proof.ts'
import { examineProof, guessedFactor, provedBy, proves, type SecondFactorDeps } from './second-factor.ts'
import { afterStepUp } from './sign-in-machine.ts'

/**
 * Proves that the person is still there, with the password or a second factor. A new session, with its own
 * tokens, takes the place of the present one (ASVS 5.0, 7.2.4): of any number of steps from one session, one works.
 * @throws ProblemError invalid_current_password, invalid_code, invalid_token (the session ended meanwhile),
 *   too_many_attempts, otp_cooldown, service_busy
 */
export async function stepUp(
  deps: SecondFactorDeps,
  origin: Origin,
  principal: Principal,
  given: GivenProof,
): Promise<StartedSession> {
  const { userId } = principal
  const attempt = await deps.lockout.reserve(userId, guessedFactor(given), { address: origin.ip })
  const started = await attempt.during(async () => {
    const proof = await examineProof(deps, userId, given, 'step_up', origin.ip)
    return deps.store.transact(async trx => {
      const at = deps.clock.now()
      const { user, session } = await lockActingUser(deps, trx, at, principal)
      if (!(await proves(deps, trx, at, origin, user, proof))) return refuse(trx, at, origin, userId, attempt)
      const proved = { userId, ...afterStepUp(session, provedBy(proof), at) }
      await attempt.succeeded(trx)
      return replaceSession(deps, trx, at, origin, principal, proved)
    })
  })
  if (!started)
    throw new ProblemError(given.method === 'password' ? 'invalid_current_password' : 'invalid_code')
  return started
}

const entry = (userId: string) =>
  ({ action: 'session.stepped_up', subject: { type: 'user', id: userId } }) as const

async function refuse(
  trx: Tx,
  at: Date,
  origin: Origin,
  userId: string,
  attempt: Attempt,
): Promise<undefined> {
  await appendAudit(trx, at, origin, { ...entry(userId), outcome: 'failure' })
  await attempt.failed(trx)
}

async function replaceSession(
  { sessions }: SecondFactorDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  { userId, sessionId }: Principal,
  proof: SessionProof,
): Promise<StartedSession> {
  await sessions.endOneWithin(trx, at, origin, { userId, sessionId, reason: 'step_up' })
  const session = await sessions.start(trx, at, origin, proof)
  await appendAudit(trx, at, origin, { ...entry(userId), details: { session_id: session.id } })
  return session
}
