import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server'
import type { Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { sha256 } from '../../lib/secrets.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import type { Method, Passkeys, VerifiedPasskey } from '../factors/index.ts'
import type { Lockout } from '../lockout/index.ts'
import { type LockedUser, lockUser } from '../users/index.ts'
import { type Assertion, toAssertion } from './assertion.ts'
import { tellOfMfaChange } from './notices.ts'
import { notePasskeyUse } from './passkey-use.ts'
import { findSignIn, type SignIn, takeSignIn } from './repo.ts'
import { type Arrival, advance, type Proof, type SignInDeps } from './sign-in-machine.ts'

export type SecondFactorDeps = SignInDeps & { clock: Clock; lockout: Lockout; passkeys: Passkeys }

/** A proof by code, or by a passkey's signature. */
export type FactorProof = {
  method: Method
  code?: string | undefined
  credential?: Assertion | undefined
}

export type Challenge = { method: Method; options?: PublicKeyCredentialRequestOptionsJSON }

/**
 * Prepares a second factor: sends a code by SMS or mail, or makes the options for a passkey. What needs no
 * preparation gets none.
 * @throws ProblemError invalid_mfa_token, mfa_not_enrolled, otp_quota_exceeded, otp_cooldown, sms_unavailable
 */
export async function challengeSecondFactor(
  deps: SecondFactorDeps,
  mfaToken: string,
  method: Method,
): Promise<Challenge> {
  const signIn = await findSignIn(deps.store.db, sha256(mfaToken), deps.clock.now())
  if (!signIn) throw new ProblemError('invalid_mfa_token')
  return prepareFactor(deps, signIn.user_id, method, 'second_factor')
}

/** The same for somebody who is known already. */
export async function prepareFactor(
  { store, clock, factors, passkeys }: SecondFactorDeps,
  userId: string,
  method: Method,
  purpose: 'second_factor' | 'step_up',
): Promise<Challenge> {
  if (method === 'passkey') return { method, options: await passkeys.authenticationOptions(purpose, userId) }
  if (method !== 'sms' && method !== 'email') return { method }
  await store.transact(async trx => {
    const user = await lockUser(trx, userId)
    if (!user?.is_active || !(await factors.send(trx, clock.now(), user, method)))
      throw new ProblemError('mfa_not_enrolled')
  })
  return { method }
}

/**
 * Completes a sign-in with its second factor. A wrong code is counted and leaves the `mfa_token` good.
 * @throws ProblemError invalid_mfa_token, invalid_mfa_code, too_many_attempts, otp_cooldown
 */
export async function verifySecondFactor(
  deps: SecondFactorDeps,
  origin: Origin,
  mfaToken: string,
  proof: FactorProof,
  device: string | undefined,
): Promise<Arrival> {
  const { store, clock, lockout } = deps
  const token = sha256(mfaToken)
  const waiting = await findSignIn(store.db, token, clock.now())
  if (!waiting) throw new ProblemError('invalid_mfa_token')
  const attempt = await lockout.reserve(waiting.user_id, proof.method, { address: origin.ip })
  const arrival = await attempt.during(async () => {
    const passkey = await verifyPasskey(deps, proof, waiting.user_id, 'second_factor')
    return store.transact(async trx => {
      const at = clock.now()
      const user = await lockUser(trx, waiting.user_id)
      const signIn = await findSignIn(trx, token, at)
      if (!user || !signIn) throw new ProblemError('invalid_mfa_token')
      const proved = provedWith(signIn, proof, passkey)
      if (!(await isRight(deps, trx, at, origin, user, signIn, proof, passkey))) {
        await attempt.failed(trx)
        await recordFailure(trx, at, origin, user.id, proof.method)
        return undefined
      }
      await attempt.succeeded(trx)
      await takeSignIn(trx, token)
      const claim = { userId: user.id, proved, passwordVersion: signIn.password_version, device }
      return advance(deps, trx, at, origin, claim)
    })
  })
  if (!arrival) throw new ProblemError('invalid_mfa_code')
  return arrival
}

/** Checks a passkey's signature before the transaction: it may take a while, and uses its challenge up. */
export async function verifyPasskey(
  { passkeys }: SecondFactorDeps,
  { method, credential }: FactorProof,
  userId: string,
  purpose: 'second_factor' | 'step_up',
): Promise<VerifiedPasskey | undefined> {
  return method === 'passkey' && credential
    ? passkeys.verify(purpose, toAssertion(credential), userId)
    : undefined
}

/** Judges a proof and uses it up. */
export async function proves(
  deps: SecondFactorDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  { method, code = '' }: FactorProof,
  passkey: VerifiedPasskey | undefined,
): Promise<boolean> {
  if (method === 'passkey') return passkey !== undefined && notePasskeyUse(deps, trx, at, origin, passkey)
  if (!(await deps.factors.check(trx, at, user, method, code))) return false
  if (method === 'recovery_code') await tellOfMfaChange(deps.outbound, trx, user, 'recovery_code_used')
  return true
}

async function isRight(
  deps: SecondFactorDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  signIn: SignIn,
  proof: FactorProof,
  passkey: VerifiedPasskey | undefined,
): Promise<boolean> {
  // The passkey that was the first factor is not the second one as well, unless it verifies its person now.
  if (signIn.proved.includes(proof.method) && !passkey?.userVerified) return false
  return proves(deps, trx, at, origin, user, proof, passkey)
}

/** The proofs of a sign-in with the one that came now. What is stored was written by the machine. */
const provedWith = (
  signIn: SignIn,
  { method }: FactorProof,
  passkey: VerifiedPasskey | undefined,
): Proof[] => [
  ...(signIn.proved as Proof[]),
  method === 'passkey' && passkey?.userVerified ? 'verified_passkey' : method,
]

const recordFailure = (trx: Tx, at: Date, origin: Origin, userId: string, method: Method): Promise<void> =>
  appendAudit(trx, at, origin, {
    action: 'mfa.verified',
    outcome: 'failure',
    subject: { type: 'user', id: userId },
    details: { method },
  })
