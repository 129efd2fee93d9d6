import type { Store } from '../../db/store.ts'
import type { PasswordHasher, Verification } from '../../hashing/pool.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { emailKey, phoneKey, usernameKey } from '../../lib/text.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import type { Sessions, Tokens } from '../sessions/index.ts'
import {
  type Credential,
  findForSignIn,
  holdSignInState,
  recordLogin,
  type SignInName,
  strengthenPasswordHash,
  type UserReader,
} from '../users/index.ts'
import { candidatePassword } from './password-policy.ts'
import type { Login } from './schemas.ts'

export type LoginDeps = {
  store: Store
  clock: Clock
  hasher: PasswordHasher
  sessions: Sessions
  users: UserReader
}

/**
 * Signs in with a password. Whatever is wrong — name, password, a deactivated or deleted account — the reply
 * is one and the same, after the same work: one look-up, one hash, one audit row.
 * @throws ProblemError validation_failed, invalid_credentials, service_busy
 */
export async function login(
  deps: LoginDeps,
  origin: Origin,
  input: Login,
): Promise<Tokens & { user_id: string }> {
  const name = signInName(input)
  const credential = name && (await findForSignIn(deps.store.db, name))
  const verification = await verify(deps.hasher, credential, input.password)
  if (!credential || !verification.valid || !credential.is_active) {
    return refuse(deps, origin, credential)
  }
  await strengthen(deps.store, credential, verification)
  return (await enter(deps, origin, credential)) ?? refuse(deps, origin, credential)
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

async function strengthen(store: Store, { id, password_hash }: Credential, { rehashed }: Verification) {
  if (rehashed === undefined || password_hash === null) return
  await strengthenPasswordHash(store.db, { userId: id, from: password_hash, to: rehashed })
}

/** Undefined where a deactivation or a password change came between the check and here. */
async function enter(
  { store, clock, sessions, users }: LoginDeps,
  origin: Origin,
  { id: userId, password_version }: Credential,
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
