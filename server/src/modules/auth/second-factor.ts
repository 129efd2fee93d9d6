import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server'
import type { Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { sha256 } from '../../lib/secrets.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import type { Passkeys, VerifiedPasskey } from '../factors/index.ts'
import type { GuessedFactor, Lockout } from '../lockout/index.ts'
import { type Credential, holdSignInState, type LockedUser, lockUser } from '../users/index.ts'
import { toAssertion } from './assertion.ts'
import type { GivenProof } from './given-proof.ts'
import { tellOfMfaChange } from './notices.ts'
import { notePasskeyUse } from './passkey-use.ts'
import { findSignIn, type SignIn, takeSignIn } from './repo.ts'
import {
  type Arrival,
  advance,
  type Proof,
  type ProofMethod,
  provableMethods,
  type SignInDeps,
} from './sign-in-machine.ts'
import { type PasswordDeps, verifyPassword } from './verify-password.ts'

export type SecondFactorDeps = SignInDeps &
  PasswordDeps & { clock: Clock; lockout: Lockout; passkeys: Passkeys }

/** A proof with what it takes a while to find out: whose password it is, or whose signature. */
export type ExaminedProof = {
  given: GivenProof
  credential?: Credential | undefined
  passkey?: VerifiedPasskey | undefined
}

export type Challenge = { method: ProofMethod; options?: PublicKeyCredentialRequestOptionsJSON }

/**
 * Prepares a second factor: sends a code by SMS or mail, or makes the options for a passkey. What needs no
 * preparation gets none.
 * @throws ProblemError invalid_mfa_token, mfa_not_enrolled, otp_quota_exceeded, otp_cooldown, sms_unavailable
 */
export async function challengeSecondFactor(
  deps: SecondFactorDeps,
  mfaToken: string,
  method: ProofMethod,
): Promise<Challenge> {
  const signIn = await findSignIn(deps.store.db, sha256(mfaToken), deps.clock.now())
  if (!signIn) throw new ProblemError('invalid_mfa_token')
  if (isGiven(signIn, method)) throw new ProblemError('mfa_not_enrolled')
  return prepareFactor(deps, signIn.user_id, method, 'second_factor')
}

/** The same for somebody who is known already. */
export async function prepareFactor(
  { store, clock, factors, passkeys }: SecondFactorDeps,
  userId: string,
  method: ProofMethod,
  purpose: 'second_factor' | 'step_up',
): Promise<Challenge> {
  const provable = await provableMethods(factors, store.db, userId)
  if (!provable.includes(method)) throw new ProblemError('mfa_not_enrolled')
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
 * Completes a sign-in with its second factor. A wrong one is counted and leaves the `mfa_token` good.
 * @throws ProblemError invalid_mfa_token, invalid_mfa_code, too_many_attempts, otp_cooldown, service_busy
 */
export async function verifySecondFactor(
  deps: SecondFactorDeps,
  origin: Origin,
  mfaToken: string,
  given: GivenProof,
  device: string | undefined,
): Promise<Arrival> {
  const { store, clock, lockout } = deps
  const token = sha256(mfaToken)
  const waiting = await findSignIn(store.db, token, clock.now())
  if (!waiting) throw new ProblemError('invalid_mfa_token')
  // Whoever has the password already must not use up its owner's attempts at it.
  if (isGiven(waiting, given.method)) throw new ProblemError('invalid_mfa_code')
  const attempt = await lockout.reserve(waiting.user_id, guessedFactor(given), { address: origin.ip })
  const arrival = await attempt.during(async () => {
    const proof = await examineProof(deps, waiting.user_id, given, 'second_factor', origin.ip)
    return store.transact(async trx => {
      const at = clock.now()
      const user = await lockUser(trx, waiting.user_id)
      const signIn = await findSignIn(trx, token, at)
      if (!user || !signIn) throw new ProblemError('invalid_mfa_token')
      const proved = provedBy(proof)
      // The passkey that was the first factor is not the second one as well, unless it verifies its person now.
      if (signIn.proved.includes(proved) || !(await proves(deps, trx, at, origin, user, proof))) {
        await attempt.failed(trx)
        await recordFailure(trx, at, origin, user.id, given.method)
        return undefined
      }
      await attempt.succeeded(trx)
      await takeSignIn(trx, token)
      return advance(deps, trx, at, origin, {
        userId: user.id,
        // What is stored was written by the machine.
        proved: [...(signIn.proved as Proof[]), proved],
        passwordVersion: proof.credential?.password_version ?? signIn.password_version,
        device,
      })
    })
  })
  if (!arrival) throw new ProblemError('invalid_mfa_code')
  return arrival
}

/** Whether it was the first factor, and can't be the second one. A passkey can, where it verifies its person now. */
const isGiven = ({ proved }: SignIn, method: ProofMethod): boolean =>
  method === 'password' && proved.includes(method)

/** What an attempt counts as. Strangers, who know a name alone, can't use up attempts at the password here. */
export const guessedFactor = ({ method }: GivenProof): GuessedFactor =>
  method === 'password' ? 'password_again' : method

/**
 * What may take a while, before the transaction: hashes a password; checks a passkey's signature, which uses its
 * challenge up. @throws ProblemError service_busy
 */
export async function examineProof(
  deps: SecondFactorDeps,
  userId: string,
  given: GivenProof,
  purpose: 'second_factor' | 'step_up',
  address: string | undefined,
): Promise<ExaminedProof> {
  if (given.method === 'password')
    return { given, credential: await verifyPassword(deps, userId, given.password, address) }
  if (given.method !== 'passkey') return { given }
  return { given, passkey: await deps.passkeys.verify(purpose, toAssertion(given.credential), userId) }
}

/** Judges a proof of a user who is locked, and uses it up. @throws ProblemError otp_cooldown */
export async function proves(
  deps: SecondFactorDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  { given, credential, passkey }: ExaminedProof,
): Promise<boolean> {
  if (given.method === 'password')
    return credential !== undefined && holdSignInState(trx, user.id, credential.password_version)
  if (given.method === 'passkey')
    return passkey !== undefined && notePasskeyUse(deps, trx, at, origin, passkey)
  if (!(await deps.factors.check(trx, at, user, given.method, given.code))) return false
  if (given.method === 'recovery_code') await tellOfMfaChange(deps.outbound, trx, user, 'recovery_code_used')
  return true
}

export const provedBy = ({ given, passkey }: ExaminedProof): Proof =>
  passkey?.userVerified ? 'verified_passkey' : given.method

const recordFailure = (
  trx: Tx,
  at: Date,
  origin: Origin,
  userId: string,
  method: ProofMethod,
): Promise<void> =>
  appendAudit(trx, at, origin, {
    action: 'mfa.verified',
    outcome: 'failure',
    subject: { type: 'user', id: userId },
    details: { method },
  })
