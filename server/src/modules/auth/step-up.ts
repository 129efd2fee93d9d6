import type { Tx } from '../../db/store.ts'
import type { PasswordHasher } from '../../hashing/pool.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import type { Attempt } from '../lockout/index.ts'
import type { SessionProof, StartedSession } from '../sessions/index.ts'
import { findCredential, holdSignInState, lockUser } from '../users/index.ts'
import { candidatePassword } from './password-policy.ts'
import { type FactorProof, proves, type SecondFactorDeps, verifyPasskey } from './second-factor.ts'
import { amrOf, type Proof } from './sign-in-machine.ts'

export type StepUpDeps = SecondFactorDeps & { hasher: PasswordHasher }

/**
 * Proves that the person is still there, with the password or a second factor. A new session, with its own
 * tokens, takes the place of the present one (ASVS 5.0, 7.2.4). A second factor makes it one with two factors;
 * with the password it keeps the level that it had.
 * @throws ProblemError invalid_current_password, invalid_code, too_many_attempts, otp_cooldown, service_busy
 */
export const stepUp = (
  deps: StepUpDeps,
  origin: Origin,
  principal: Principal,
  proof: { password: string } | FactorProof,
): Promise<StartedSession> =>
  'password' in proof
    ? withPassword(deps, origin, principal, proof.password)
    : withSecondFactor(deps, origin, principal, proof)

async function withPassword(
  deps: StepUpDeps,
  origin: Origin,
  principal: Principal,
  password: string,
): Promise<StartedSession> {
  const { userId, assuranceLevel, secondFactorAt } = principal
  const attempt = await deps.lockout.reserve(userId, 'password_again', { address: origin.ip })
  const started = await attempt.during(async () => {
    const credential = await findCredential(deps.store.db, userId)
    const candidate = candidatePassword(password)
    const hash = candidate === undefined ? undefined : (credential?.password_hash ?? undefined)
    const { valid } = await deps.hasher.verify(hash, candidate ?? '')
    return deps.store.transact(async trx => {
      const version = credential?.password_version ?? 0
      if (!credential || !valid || !(await holdSignInState(trx, userId, version)))
        return refuse(deps, trx, origin, userId, attempt)
      const kept = { userId, methods: methodsOf('password', assuranceLevel), assuranceLevel, secondFactorAt }
      return replaceSession(deps, trx, origin, principal, kept, attempt)
    })
  })
  if (!started) throw new ProblemError('invalid_current_password')
  return started
}

async function withSecondFactor(
  deps: StepUpDeps,
  origin: Origin,
  principal: Principal,
  proof: FactorProof,
): Promise<StartedSession> {
  const { userId } = principal
  const attempt = await deps.lockout.reserve(userId, proof.method, { address: origin.ip })
  const started = await attempt.during(async () => {
    const passkey = await verifyPasskey(deps, proof, userId, 'step_up')
    return deps.store.transact(async trx => {
      const at = deps.clock.now()
      const user = await lockUser(trx, userId)
      if (!user?.is_active || !(await proves(deps, trx, at, origin, user, proof, passkey)))
        return refuse(deps, trx, origin, userId, attempt)
      // A passkey that did not verify its person adds nothing to a session that such a one began.
      const assuranceLevel = passkey?.userVerified === false ? principal.assuranceLevel : 'aal2'
      const proved = passkey?.userVerified ? 'verified_passkey' : proof.method
      const raised = { userId, methods: methodsOf(proved, assuranceLevel), assuranceLevel }
      return replaceSession(deps, trx, origin, principal, raised, attempt)
    })
  })
  if (!started) throw new ProblemError('invalid_code')
  return started
}

/** What was proved now; and that there were two factors, where there were. */
const methodsOf = (proved: Proof, level: 'aal1' | 'aal2'): string[] => [
  ...new Set([...amrOf([proved]), ...(level === 'aal2' ? ['mfa'] : [])]),
]

const entry = (userId: string) =>
  ({ action: 'session.stepped_up', subject: { type: 'user', id: userId } }) as const

async function refuse(
  { clock }: StepUpDeps,
  trx: Tx,
  origin: Origin,
  userId: string,
  attempt: Attempt,
): Promise<undefined> {
  await appendAudit(trx, clock.now(), origin, { ...entry(userId), outcome: 'failure' })
  await attempt.failed(trx)
}

async function replaceSession(
  { sessions, clock }: StepUpDeps,
  trx: Tx,
  origin: Origin,
  { userId, sessionId }: Principal,
  proof: SessionProof,
  attempt: Attempt,
): Promise<StartedSession> {
  const at = clock.now()
  const session = await sessions.start(trx, at, origin, proof)
  await appendAudit(trx, at, origin, { ...entry(userId), details: { session_id: session.id } })
  await sessions.endOneWithin(trx, at, origin, { userId, sessionId, reason: 'step_up' })
  await attempt.succeeded(trx)
  return session
}
