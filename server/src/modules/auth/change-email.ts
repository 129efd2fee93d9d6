import type { Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { addTime, type Clock } from '../../lib/clock.ts'
import { emailKey } from '../../lib/text.ts'
import type { Origin } from '../audit/index.ts'
import type { Sessions } from '../sessions/index.ts'
import {
  emailUndoTime,
  findOwner,
  findUserRecord,
  type LockedUser,
  lockUser,
  readFields,
  setEmail,
} from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import type { ContactCounter } from './metrics.ts'
import { findActiveByEmail, nameOf } from './owner.ts'
import { requireRecentAuthentication } from './recent-authentication.ts'
import { sendResetMail } from './reset-mail.ts'

export type ChangeEmailDeps = {
  store: Store
  clock: Clock
  sessions: Sessions
  verification: Verification
  outbound: Outbound
  registrationPrivacy: boolean
  countEmailChange: ContactCounter
}

/**
 * First step: sends a code to the new address. With REGISTRATION_PRIVACY a taken address gets the same reply,
 * and its owner a mail instead of the code.
 * @throws ProblemError step_up_required, validation_failed, email_unchanged, email_taken, otp_quota_exceeded,
 *   otp_cooldown
 */
export async function initiateEmailChange(
  deps: ChangeEmailDeps,
  principal: Principal,
  newEmail: string,
): Promise<{ new_email: string }> {
  const { store, verification, outbound } = deps
  const at = deps.clock.now()
  requireRecentAuthentication(principal, at)
  const { email } = readFields({ email: newEmail })
  const target = emailKey(email) ?? ''
  const user = await findUserRecord(store.db, principal.userId)
  if (!user?.is_active) throw new ProblemError('not_found')
  if (user.email_key === target) throw new ProblemError('email_unchanged')
  if (await findOwner(store.db, { column: 'email_key', value: target })) {
    if (!deps.registrationPrivacy) throw new ProblemError('email_taken')
    await tellOwner(deps, at, target)
    return { new_email: email }
  }
  await store.transact(async trx => {
    const code = await verification.issueCode(trx, at, {
      purpose: 'EMAIL_UPDATE',
      userId: user.id,
      target,
      data: { email },
    })
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

async function tellOwner(deps: ChangeEmailDeps, at: Date, target: string): Promise<void> {
  const owner = await findActiveByEmail(deps.store.db, target)
  if (!owner) return
  await deps.store.transact(trx => sendResetMail(deps, trx, at, owner, 'address_already_registered'))
}

/**
 * Second step: sets the address that the code was sent to, spelled as it was then. The other sessions end, and
 * the old address is told, with a link that undoes the change for 72 hours.
 * @throws ProblemError invalid_code, otp_cooldown, email_taken (somebody was faster; the code stays good)
 */
export async function completeEmailChange(
  deps: ChangeEmailDeps,
  origin: Origin,
  principal: Principal,
  input: { new_email: string; otp: string },
): Promise<{ email: string; email_verified_at: Date }> {
  const at = deps.clock.now()
  const changed = await deps.store.transact(trx => setProvedEmail(deps, trx, at, origin, principal, input))
  deps.countEmailChange(changed === undefined ? 'failed' : 'completed')
  if (changed === undefined) throw new ProblemError('invalid_code')
  return { email: changed, email_verified_at: at }
}

/** The new address; undefined for a wrong code, which the transaction counts. */
async function setProvedEmail(
  { verification, sessions, outbound, store }: ChangeEmailDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  { userId, sessionId }: Principal,
  input: { new_email: string; otp: string },
): Promise<string | undefined> {
  const user = await lockUser(trx, userId)
  const target = emailKey(input.new_email)
  if (!user?.is_active || target === null) return undefined
  const guess = { purpose: 'EMAIL_UPDATE', userId, target, code: input.otp } as const
  const outcome = await verification.consumeCode(trx, at, guess)
  if (!outcome.valid) return undefined
  const email = String(outcome.data.email)
  await setEmail(trx, at, origin, user, email)
  await followEmailChange(
    { verification, sessions, outbound, store },
    trx,
    at,
    origin,
    user,
    email,
    sessionId,
  )
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
    data: { email: user.email, until: addTime(at, emailUndoTime).toISOString() },
  })
  await outbound.mail(trx, {
    template: 'email_changed',
    to: user.email,
    locale: user.locale,
    userId,
    data: { name: nameOf(user), new_email_masked: maskEmail(email), undo_link: undo.url },
  })
  await sessions.endAllWithin(trx, at, origin, { userId, reason: 'email_updated', except })
  await store.announce(trx, { kind: 'user', id: userId })
}

/** Enough of an address for its owner to know it, and for nobody else to learn it. */
function maskEmail(email: string): string {
  const at = email.lastIndexOf('@')
  const [first = ''] = email
  return `${first}${'•'.repeat(5)}${email.slice(at)}`
}
