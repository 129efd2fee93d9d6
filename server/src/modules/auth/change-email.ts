import type { Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { requireStepUp } from '../../http/step-up.ts'
import { addTime, type Clock } from '../../lib/clock.ts'
import { emailKey, readEmail } from '../../lib/text.ts'
import type { Origin } from '../audit/index.ts'
import type { Sessions } from '../sessions/index.ts'
import {
  aboutEmail,
  emailUndoTime,
  findOwner,
  findUserRecord,
  isEmailTaken,
  type LockedUser,
  lockUser,
  setEmail,
} from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { lockActingUser } from './acting-user.ts'
import { endAccess } from './end-access.ts'
import type { ContactCounter } from './metrics.ts'
import { nameOf } from './owner.ts'
import { sendWayIn } from './way-back.ts'

export type ChangeEmailDeps = {
  store: Store
  clock: Clock
  sessions: Sessions
  verification: Verification
  outbound: Outbound
  registrationPrivacy: boolean
  eraseAfterDays: number
  countEmailChange: ContactCounter
}

/**
 * First step: sends a code to the new address. Codes of a second factor may go to the address, so this wants the
 * highest proof there is. With REGISTRATION_PRIVACY a taken address gets the same replies as a free one, and its
 * owner a mail instead of the code, which nobody learns.
 * @param field what the caller calls the address
 * @throws ProblemError step_up_required, validation_failed, email_unchanged, email_taken (also while it is held
 *   for its old owner), otp_quota_exceeded, otp_cooldown
 */
export async function initiateEmailChange(
  deps: ChangeEmailDeps,
  principal: Principal,
  typed: string,
  field = 'new_email',
): Promise<{ new_email: string }> {
  const { store, verification, outbound } = deps
  const at = deps.clock.now()
  requireStepUp('highest', principal, at)
  const email = readEmail(typed)
  const target = email && emailKey(email)
  if (email === null || target === null) {
    const message = `${field} ${aboutEmail(typed)}`
    throw new ProblemError('validation_failed', { errors: [{ path: `/${field}`, code: 'email', message }] })
  }
  const user = await findUserRecord(store.db, principal.userId)
  if (!user?.is_active) throw new ProblemError('invalid_token')
  if (user.email_key === target) throw new ProblemError('email_unchanged')
  const isTaken = await isEmailTaken(store.db, at, user.id, target)
  if (isTaken && !deps.registrationPrivacy) throw new ProblemError('email_taken')
  await store.transact(async trx => {
    if (!(await lockUser(trx, user.id))?.is_active) throw new ProblemError('invalid_token')
    const code = await verification.issueCode(trx, at, {
      purpose: 'EMAIL_UPDATE',
      userId: user.id,
      target,
      data: { email },
      countedAs: countedAs(deps, target),
    })
    if (isTaken) return tellOwner(deps, trx, at, target)
    await outbound.mail(trx, {
      template: 'email_change_code',
      to: email,
      locale: user.locale,
      userId: user.id,
      data: { name: nameOf(user), code },
    })
  })
  deps.countEmailChange('initiated')
  return { new_email: email }
}

/**
 * With REGISTRATION_PRIVACY these codes are counted apart from whatever else goes to an address: the count of a
 * taken one would tell what its owner does, and strangers could close it to the codes that its owner needs.
 */
const countedAs = ({ registrationPrivacy }: ChangeEmailDeps, target: string): string | undefined =>
  registrationPrivacy ? `change to ${target}` : undefined

async function tellOwner(deps: ChangeEmailDeps, trx: Tx, at: Date, target: string): Promise<void> {
  const owner = await findOwner(trx, { column: 'email_key', value: target })
  if (owner) await sendWayIn(deps, trx, at, owner, 'address_already_registered')
}

/**
 * Second step: sets the address that the code was sent to, spelled as it was then. The other sessions end, and
 * the old address is told, with a link that undoes the change for 72 hours.
 * @throws ProblemError invalid_code, invalid_token (the session ended meanwhile), otp_cooldown, email_taken
 *   (somebody was faster; the code stays good)
 */
export async function completeEmailChange(
  deps: ChangeEmailDeps,
  origin: Origin,
  principal: Principal,
  input: { new_email: string; code: string },
): Promise<{ email: string; email_verified_at: Date }> {
  const at = deps.clock.now()
  const changed = await deps.store.transact(trx => setProvedEmail(deps, trx, at, origin, principal, input))
  deps.countEmailChange(changed === undefined ? 'failed' : 'completed')
  if (changed === undefined) throw new ProblemError('invalid_code')
  return { email: changed, email_verified_at: at }
}

/** The new address; undefined for a wrong code, which the transaction counts. */
async function setProvedEmail(
  deps: ChangeEmailDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  principal: Principal,
  input: { new_email: string; code: string },
): Promise<string | undefined> {
  const { user } = await lockActingUser(deps, trx, at, principal)
  const target = emailKey(input.new_email)
  if (target === null) return undefined
  const outcome = await deps.verification.consumeCode(trx, at, {
    purpose: 'EMAIL_UPDATE',
    userId: user.id,
    target,
    code: input.code,
    countedAs: countedAs(deps, target),
  })
  if (!outcome.valid) return undefined
  const email = String(outcome.data.email)
  await setEmail(trx, at, origin, user, email)
  await followEmailChange(deps, trx, at, origin, user, email, principal.sessionId)
  return email
}

/**
 * What comes with another address, whoever set it: what was sent to the old one proves nothing any more, that
 * one is told, with a link that undoes the change, and sessions end.
 * @param user as they were before
 * @param except a session that goes on
 */
export async function followEmailChange(
  {
    verification,
    sessions,
    outbound,
    store,
  }: Pick<ChangeEmailDeps, 'verification' | 'sessions' | 'outbound' | 'store'>,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  email: string,
  except?: string,
): Promise<void> {
  const userId = user.id
  await verification.cancel(trx, userId, ['EMAIL_VERIFICATION', 'PASSWORD_RESET', 'INVITATION'])
  const undo = await verification.issueLink(trx, at, {
    purpose: 'EMAIL_UNDO',
    userId,
    target: user.email_key,
    lifetime: emailUndoTime,
    data: {
      email: user.email,
      proved: user.email_verified_at !== null,
      apart: user.proved_apart,
      until: addTime(at, emailUndoTime).toISOString(),
    },
  })
  await outbound.mail(trx, {
    template: 'email_changed',
    to: user.email,
    locale: user.locale,
    userId,
    data: { name: nameOf(user), new_email_masked: maskEmail(email), undo_link: undo.url },
  })
  await endAccess({ store, sessions }, trx, at, origin, { userId, reason: 'email_updated', except })
}

/** Enough of an address for its owner to know it, and for nobody else to learn it. */
function maskEmail(email: string): string {
  const at = email.lastIndexOf('@')
  const [first = ''] = email
  return `${first}${'•'.repeat(5)}${email.slice(at)}`
}
