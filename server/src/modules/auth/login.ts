import type { Store } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { PasswordHasher, Verification } from '../../hashing/pool.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { emailKey, phoneKey, usernameKey } from '../../lib/text.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { noteDevice, type Sessions, type Tokens } from '../sessions/index.ts'
import {
  type Credential,
  findForSignIn,
  findUserRecord,
  holdSignInState,
  recordLogin,
  type SignInName,
  strengthenPasswordHash,
  type UserReader,
} from '../users/index.ts'
import { tellOfNewDevice } from './notices.ts'
import { nameOf, unlessLimited } from './owner.ts'
import { candidatePassword } from './password-policy.ts'
import type { Login } from './schemas.ts'
import { sendVerificationMail, type VerificationMailDeps } from './verification-mail.ts'

export type LoginDeps = {
  store: Store
  clock: Clock
  hasher: PasswordHasher
  sessions: Sessions
  users: UserReader
  verification: VerificationMailDeps['verification']
  outbound: Outbound
  requireVerifiedEmail: boolean
}

/**
 * Signs in with a password. Whatever is wrong — name, password, a deactivated or deleted account — the reply
 * is one and the same, after the same work: one look-up, one hash, one audit row.
 * @param device what a browser is recognised by, where it has a cookie for that
 * @throws ProblemError validation_failed, invalid_credentials, email_not_verified, service_busy
 */
export async function login(
  deps: LoginDeps,
  origin: Origin,
  input: Login,
  device?: string,
): Promise<Tokens & { user_id: string }> {
  const name = signInName(input)
  const credential = name && (await findForSignIn(deps.store.db, name))
  const verification = await verify(deps.hasher, credential, input.password)
  if (!credential || !verification.valid || !credential.is_active) {
    return refuse(deps, origin, credential)
  }
  await strengthen(deps.store, credential, verification)
  if (deps.requireVerifiedEmail && !credential.email_verified)
    return refuseUnverified(deps, origin, credential)
  return (await enter(deps, origin, credential, device)) ?? refuse(deps, origin, credential)
}

/** The one name given, in compared form; undefined where it can't be anybody's. */
function signInName({ email, username, phone_number }: Login): SignInName | undefined {
  const given: [SignInName['column'], string | null][] = []
  if (email !== undefined) given.push(['email_key', emailKey(email)])
  if (username !== undefined) given.push(['username_key', usernameKey(username)])
  if (phone_number !== undefined) given.push(['phone_number', phoneKey(phone_number)])
  const [first, ...others] = given
  if (!first || others.length > 0) {
    throw new ProblemError('validation_failed', {
      errors: [
        { path: '', code: 'one_name', message: 'takes exactly one of email, username and phone_number' },
      ],
    })
  }
  const [column, value] = first
  return value === null ? undefined : { column, value }
}

/** Always one hash: also for nobody, for a user without password, and for a password too long to be one. */
function verify(
  hasher: PasswordHasher,
  credential: Credential | undefined,
  password: string,
): Promise<Verification> {
  const candidate = candidatePassword(password)
  const hash = candidate === undefined ? undefined : (credential?.password_hash ?? undefined)
  return hasher.verify(hash, candidate ?? '')
}

async function refuse(
  { store, clock }: LoginDeps,
  origin: Origin,
  credential: Credential | undefined,
): Promise<never> {
  await store.transact(trx =>
    appendAudit(trx, clock.now(), origin, {
      action: 'login',
      outcome: 'failure',
      ...(credential && { subject: { type: 'user', id: credential.id } }),
      details: { method: 'password' },
    }),
  )
  throw new ProblemError('invalid_credentials')
}

/** The password is right, so this tells its owner nothing new; a fresh mail shows the way on. */
async function refuseUnverified(deps: LoginDeps, origin: Origin, { id }: Credential): Promise<never> {
  const at = deps.clock.now()
  await deps.store.transact(async trx => {
    await appendAudit(trx, at, origin, {
      action: 'login',
      outcome: 'denied',
      subject: { type: 'user', id },
      details: { method: 'password', reason: 'email_not_verified' },
    })
    const user = await findUserRecord(trx, id)
    if (!user) return
    const recipient = { ...user, name: nameOf(user) }
    await unlessLimited(() => sendVerificationMail(deps, trx, at, recipient, 'owner'))
  })
  throw new ProblemError('email_not_verified')
}

async function strengthen(store: Store, { id, password_hash }: Credential, { rehashed }: Verification) {
  if (rehashed === undefined || password_hash === null) return
  await strengthenPasswordHash(store.db, { userId: id, from: password_hash, to: rehashed })
}

/** Undefined where a deactivation or a password change came between the check and here. */
async function enter(
  { store, clock, sessions, users, outbound }: LoginDeps,
  origin: Origin,
  { id: userId, password_version }: Credential,
  device: string | undefined,
): Promise<(Tokens & { user_id: string }) | undefined> {
  const started = await store.transact(async trx => {
    const at = clock.now()
    if (!(await holdSignInState(trx, userId, password_version))) return undefined
    const session = await sessions.start(trx, at, origin, {
      userId,
      methods: ['pwd'],
      assuranceLevel: 'aal1',
    })
    await recordLogin(trx, userId, at)
    const isNew = await noteDevice(trx, at, { userId, userAgent: origin.userAgent, cookie: device })
    if (isNew) await tellOfNewDevice(outbound, trx, at, { userId, origin })
    const signedIn = { ...origin, actorType: 'user', actorId: userId, sessionId: session.id } as const
    await appendAudit(trx, at, signedIn, {
      action: 'login',
      subject: { type: 'user', id: userId },
      details: { method: 'password' },
    })
    await appendEvent(trx, at, {
      type: 'user.logged_in',
      userId,
      data: { userId, sessionId: session.id, method: 'password', loggedInAt: at.toISOString() },
    })
    return session
  })
  if (!started) return undefined
  users.forget(userId)
  return sessions.tokensFor(started)
}
