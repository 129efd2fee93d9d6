import type { Db, Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import { addTime, minutes } from '../../lib/clock.ts'
import { randomToken, sha256 } from '../../lib/secrets.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { type Factors, type Method, methodReference } from '../factors/index.ts'
import {
  noteDevice,
  type SessionProof,
  type SessionState,
  type Sessions,
  type StartedSession,
} from '../sessions/index.ts'
import { findCredential, holdPerson, recordLogin, type SignInState } from '../users/index.ts'
import { tellOfNewDevice } from './notices.ts'
import { deleteSignIns, insertSignIn } from './repo.ts'

/*
 * Signing in, as states. Whoever wants to get in, by whatever route, is in one of these; `advance()` is the one
 * place where anybody gets from one to the next, and the one place that starts a session for them. What a session
 * is worth once more was proved in it, `afterStepUp()` says.
 */

const endsSessions = [
  'expiry',
  'revocation',
  'change of password or factors in another session',
  'change of e-mail address or phone number in another session',
  'deactivation',
  'deletion',
] as const

/**
 * Each state: what can be done in it and where that may lead, and what ends it.
 *
 * - `anonymous`: nobody has proved anything. A reset link, an invitation and a restore link lead back here: they
 *   change a password or an account, and sign nobody in.
 * - `second_factor_due`: the first factor was right and a second one is due: any that is enrolled, or the password
 *   after a passkey that did not verify its person. Holds an `mfa_token`.
 * - `enrolment_due`: holds a session that can do nothing but enrol the factor that a role of theirs demands.
 * - `signed_in`: holds a session.
 */
export const signInMachine = {
  anonymous: {
    actions: {
      password: ['anonymous', 'second_factor_due', 'enrolment_due', 'signed_in'],
      passkey: ['anonymous', 'second_factor_due', 'enrolment_due', 'signed_in'],
      password_reset: ['anonymous'],
      accept_invitation: ['anonymous'],
      restore_account: ['anonymous'],
    },
    endedBy: [],
  },
  second_factor_due: {
    actions: {
      challenge: ['second_factor_due'],
      second_factor: ['anonymous', 'second_factor_due', 'enrolment_due', 'signed_in'],
    },
    endedBy: [
      '10 minutes',
      'its use',
      'change of password or factors',
      'change of e-mail address or phone number',
      'deactivation',
      'deletion',
    ],
  },
  enrolment_due: {
    actions: {
      enrol: ['enrolment_due', 'signed_in'],
      step_up: ['enrolment_due', 'signed_in'],
      log_out: ['anonymous'],
    },
    endedBy: [...endsSessions, 'loss of the role'],
  },
  signed_in: {
    actions: { step_up: ['signed_in'], log_out: ['anonymous'] },
    endedBy: endsSessions,
  },
} as const

type State = keyof typeof signInMachine

/** What can be asked for. */
export type ProofMethod = 'password' | Method

/**
 * What was proved. A `verified_passkey` is two factors: the key, and what its authenticator asks its person for. A
 * `doubted_passkey` may be that of somebody who used the account before its owner: the password goes with it.
 */
export type Proof = ProofMethod | 'verified_passkey' | 'doubted_passkey'

/** Somebody who has just proved something. */
export type Claim = {
  userId: string
  /** Everything since the sign-in began, in order. */
  proved: readonly Proof[]
  /** Of the password that was proved; null where none was. */
  passwordVersion: number | null
  /** The cookie by which a browser is recognised. */
  device: string | undefined
}

export type Arrival =
  | { state: 'anonymous'; reason: 'refused' | 'email_not_verified' }
  | { state: 'second_factor_due'; mfaToken: string; methods: ProofMethod[] }
  | { state: Extract<State, 'enrolment_due' | 'signed_in'>; session: StartedSession }

export type SignInDeps = {
  store: Store
  sessions: Sessions
  factors: Factors
  outbound: Outbound
  requireVerifiedEmail: boolean
}

/** Milliseconds that somebody has for the second factor. */
const patience = minutes(10)

/**
 * Where a claim leads. The user is held as they are until `trx` ends: a deactivation, a change of the password
 * or of the factors is seen here, or waits.
 */
export async function advance(
  deps: SignInDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  claim: Claim,
): Promise<Arrival> {
  const person = await holdPerson(trx, claim.userId)
  if (!person || !mayGoOn(person, claim)) return { state: 'anonymous', reason: 'refused' }
  if (deps.requireVerifiedEmail && !person.email_verified)
    return { state: 'anonymous', reason: 'email_not_verified' }
  const methods = person.mfa_enabled ? await dueMethods(deps, trx, claim) : []
  if (methods.length > 0) {
    const mfaToken = await keepSignIn(trx, at, claim)
    await appendAudit(trx, at, origin, {
      action: 'login.second_factor_due',
      subject: { type: 'user', id: claim.userId },
      details: { method: claim.proved.join('+') },
    })
    return { state: 'second_factor_due', mfaToken, methods }
  }
  // Whether a role demands a factor they lack is asked of every request, so it can't be missed here.
  return { state: 'signed_in', session: await enter(deps, trx, at, origin, claim) }
}

const mayGoOn = (person: SignInState, { passwordVersion }: Claim): boolean =>
  person.is_active && (passwordVersion === null || passwordVersion === person.password_version)

/** What may be asked for now; nothing once two factors are proved, or all that there are. */
async function dueMethods(
  { factors }: SignInDeps,
  trx: Tx,
  { userId, proved }: Claim,
): Promise<ProofMethod[]> {
  if (isTwoFactors(proved)) return []
  if (proved.includes('doubted_passkey')) return ['password']
  const methods = await provableMethods(factors, trx, userId)
  // A passkey that did not verify its person is one factor, and can't be the second one as well.
  return methods.filter(method => !proved.includes(method))
}

/** Everything that a user can prove: what they have enrolled, and their password. */
export async function provableMethods(factors: Factors, db: Db, userId: string): Promise<ProofMethod[]> {
  const [enrolled, credential] = await Promise.all([factors.list(db, userId), findCredential(db, userId)])
  const methods: ProofMethod[] = enrolled.map(({ method }) => method)
  return typeof credential?.password_hash === 'string' ? [...methods, 'password'] : methods
}

const isTwoFactors = (proved: readonly Proof[]): boolean =>
  proved.includes('doubted_passkey')
    ? proved.includes('password')
    : proved.includes('verified_passkey') || new Set(proved).size > 1

async function keepSignIn(trx: Tx, at: Date, { userId, proved, passwordVersion }: Claim): Promise<string> {
  const token = `mfa_${randomToken(32)}`
  await insertSignIn(trx, {
    token_hash: sha256(token),
    user_id: userId,
    proved: [...proved],
    password_version: passwordVersion,
    created_at: at,
    expires_at: addTime(at, patience),
  })
  return token
}

async function enter(
  { sessions, outbound, factors }: SignInDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  { userId, proved, device }: Claim,
): Promise<StartedSession> {
  if (proved.includes('doubted_passkey')) await factors.trustPasskeys(trx, userId)
  const assuranceLevel = isTwoFactors(proved) ? 'aal2' : 'aal1'
  const session = await sessions.start(trx, at, origin, { userId, methods: amrOf(proved), assuranceLevel })
  recordLogin(trx, userId, at)
  const isNew = await noteDevice(trx, at, {
    userId,
    userAgent: origin.userAgent,
    ip: origin.ip,
    cookie: device,
  })
  if (isNew) await tellOfNewDevice(outbound, trx, at, { userId, origin })
  const method = proved.join('+')
  await appendAudit(
    trx,
    at,
    { ...origin, actorType: 'user', actorId: userId, sessionId: session.id },
    { action: 'login', subject: { type: 'user', id: userId }, details: { method } },
  )
  await appendEvent(trx, at, {
    type: 'user.logged_in',
    userId,
    data: { userId, sessionId: session.id, method, loggedInAt: at.toISOString() },
  })
  return session
}

/**
 * What a session is worth in place of one in which one more thing was proved. A factor of another kind than the one
 * that it began with makes two; the password is the second only where there was no other.
 */
export function afterStepUp(
  { assurance_level, authentication_methods, second_factor_at }: SessionState,
  proved: Proof,
  at: Date,
): Omit<SessionProof, 'userId'> {
  const hadTwo = assurance_level === 'aal2'
  const isAnother = proved === 'verified_passkey' || !authentication_methods.includes(referenceOf(proved))
  if (!hadTwo && !isAnother) return { methods: amrOf([proved]), assuranceLevel: 'aal1' }
  return {
    methods: [...new Set([...amrOf([proved]), 'mfa'])],
    assuranceLevel: 'aal2',
    secondFactorAt: hadTwo && proved === 'password' ? second_factor_at : at,
  }
}

/** How a token names what was proved (RFC 8176). */
function amrOf(proved: readonly Proof[]): string[] {
  const names = proved.flatMap(proof =>
    proof === 'verified_passkey' ? [methodReference.passkey, 'user'] : [referenceOf(proof)],
  )
  return isTwoFactors(proved) ? [...new Set(names), 'mfa'] : names
}

const referenceOf = (proof: Exclude<Proof, 'verified_passkey'>): string =>
  methodReference[proof === 'doubted_passkey' ? 'passkey' : proof]

/** Ends every sign-in of a user that waits for a second factor. */
export const endSignIns = (trx: Tx, userId: string): Promise<void> => deleteSignIns(trx, userId)
