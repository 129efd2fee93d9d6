import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { phoneKey } from '../../lib/phone.ts'
import { emailKey, usernameKey } from '../../lib/text.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import type { Attempt, Lockout } from '../lockout/index.ts'
import { type Credential, lockUser, type SignInName } from '../users/index.ts'
import { nameOf, unlessLimited } from './owner.ts'
import type { Login } from './schemas.ts'
import { type Arrival, advance, type SignInDeps } from './sign-in-machine.ts'
import { sendVerificationMail, type VerificationMailDeps } from './verification-mail.ts'
import { isPasswordOf, type PasswordDeps } from './verify-password.ts'

export type LoginDeps = SignInDeps & VerificationMailDeps & PasswordDeps & { clock: Clock; lockout: Lockout }

/**
 * Signs in with a password. Whatever is wrong — name, password, a deactivated or deleted account — the reply
 * is one and the same, after the same work: one look-up that reserves the attempt, one hash, one audit row.
 * @param device what a browser is recognised by, where it has a cookie for that
 * @throws ProblemError validation_failed, invalid_credentials, too_many_attempts, email_not_verified,
 *   service_busy
 */
export async function login(
  deps: LoginDeps,
  origin: Origin,
  input: Login,
  device?: string,
): Promise<Arrival> {
  const { name, given } = signInName(input)
  const { credential, isKnownDevice, attempt } = await deps.lockout.reserveSignIn(name, given, {
    address: origin.ip,
    device,
  })
  const arrival = await attempt.during(async () => {
    const claimed = {
      name: `${name?.column} ${name?.value ?? given}`,
      credential,
      address: origin.ip,
      isKnown: isKnownDevice,
    }
    const isRight = await isPasswordOf(deps, claimed, input.password)
    if (!credential || !isRight || !credential.is_active) return undefined
    return enter(deps, origin, credential, attempt, device)
  })
  if (arrival?.state === 'anonymous' && arrival.reason === 'email_not_verified' && credential) {
    return refuseUnverified(deps, origin, credential)
  }
  if (arrival && arrival.state !== 'anonymous') return arrival
  return refuse(deps, origin, credential, arrival === undefined ? attempt : undefined)
}

/** The one name given: as it was typed, and in compared form; undefined where it can't be anybody's. */
function signInName({ email, username, phone_number }: Login): {
  name: SignInName | undefined
  given: string
} {
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
  const typed = email ?? username ?? phone_number ?? ''
  return { name: value === null ? undefined : { column, value }, given: typed }
}

/** @param attempt counted as failed, where it was not settled before */
async function refuse(
  { store, clock }: LoginDeps,
  origin: Origin,
  credential: Credential | undefined,
  attempt: Attempt | undefined,
): Promise<never> {
  await store.transact(async trx => {
    await appendAudit(trx, clock.now(), origin, {
      action: 'login',
      outcome: 'failure',
      ...(credential && { subject: { type: 'user', id: credential.id } }),
      details: { method: 'password' },
    })
    await attempt?.failed(trx)
  })
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
    const user = await lockUser(trx, id)
    if (!user) return
    const recipient = { ...user, name: nameOf(user) }
    await unlessLimited(() => sendVerificationMail(deps, trx, at, recipient, 'owner'))
  })
  throw new ProblemError('email_not_verified')
}

/** The password was right: its failures are forgotten, whatever the machine says of the rest. */
function enter(
  deps: LoginDeps,
  origin: Origin,
  { id: userId, password_version }: Credential,
  attempt: Attempt,
  device: string | undefined,
): Promise<Arrival> {
  return deps.store.transact(async trx => {
    const claim = { userId, proved: ['password'], passwordVersion: password_version, device } as const
    const arrival = await advance(deps, trx, deps.clock.now(), origin, claim)
    await attempt.succeeded(trx)
    return arrival
  })
}
