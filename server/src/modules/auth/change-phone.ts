import type { Store } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { requireStepUp } from '../../http/step-up.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Origin } from '../audit/index.ts'
import type { Sessions } from '../sessions/index.ts'
import {
  findOwner,
  findUserRecord,
  lockUser,
  lockUsers,
  readFields,
  releaseUnprovedPhone,
  setPhone,
} from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { lockActingUser } from './acting-user.ts'
import { endAccess } from './end-access.ts'
import { tellOfNewPhone } from './notices.ts'

export type ChangePhoneDeps = {
  store: Store
  clock: Clock
  sessions: Sessions
  verification: Verification
  outbound: Outbound
}

/**
 * First step: sends a code to the new number; to the present one where it was never verified. A number that
 * somebody else has without having verified it counts as free.
 * @throws ProblemError step_up_required, validation_failed, phone_unchanged, phone_taken, otp_quota_exceeded,
 *   otp_cooldown, sms_unavailable
 */
export async function initiatePhoneChange(
  { store, clock, verification, outbound }: ChangePhoneDeps,
  principal: Principal,
  number: string,
): Promise<{ phone_number: string }> {
  const at = clock.now()
  requireStepUp('recent', principal, at)
  const { phone_number } = readFields({ phone_number: number })
  const user = await findUserRecord(store.db, principal.userId)
  if (!user?.is_active) throw new ProblemError('invalid_token')
  if (user.phone_number === phone_number && user.phone_verified_at) throw new ProblemError('phone_unchanged')
  const owner = await findOwner(store.db, { column: 'phone_number', value: phone_number })
  if (owner?.phone_verified_at && owner.id !== user.id) throw new ProblemError('phone_taken')
  await store.transact(async trx => {
    if (!(await lockUser(trx, user.id))?.is_active) throw new ProblemError('invalid_token')
    const code = await verification.issueCode(trx, at, {
      purpose: 'PHONE_VERIFICATION',
      userId: user.id,
      target: phone_number,
    })
    await outbound.sms(trx, {
      template: 'phone_code',
      to: phone_number,
      locale: user.locale,
      userId: user.id,
      data: { code },
    })
  })
  return { phone_number }
}

/**
 * Second step: sets the number that the code was sent to, and ends the other sessions. Another number than before
 * is told by mail.
 * @throws ProblemError validation_failed, invalid_code, invalid_token (the session ended meanwhile), otp_cooldown,
 *   phone_taken
 */
export async function completePhoneChange(
  deps: ChangePhoneDeps,
  origin: Origin,
  principal: Principal,
  input: { phone_number: string; code: string },
): Promise<{ phone_number: string; phone_verified_at: Date }> {
  const at = deps.clock.now()
  const { userId, sessionId } = principal
  const { phone_number: target } = readFields({ phone_number: input.phone_number })
  const holder = await findOwner(deps.store.db, { column: 'phone_number', value: target })
  const isSet = await deps.store.transact(async trx => {
    // Whoever loses the number may be proving ours.
    if (holder && !holder.phone_verified_at) await lockUsers(trx, [holder.id, userId])
    const { user } = await lockActingUser(deps, trx, at, principal)
    const guess = { purpose: 'PHONE_VERIFICATION', userId, target, code: input.code } as const
    const outcome = await deps.verification.consumeCode(trx, at, guess)
    if (!outcome.valid) return false
    const loser = await releaseUnprovedPhone(trx, at, target, userId)
    if (loser !== undefined) await deps.store.announce(trx, { kind: 'user', id: loser })
    await setPhone(trx, at, origin, user, target)
    await endAccess(deps, trx, at, origin, { userId, reason: 'phone_updated', except: sessionId })
    if (user.phone_number !== target) await tellOfNewPhone(deps.outbound, trx, at, user, target)
    return true
  })
  if (!isSet) throw new ProblemError('invalid_code')
  return { phone_number: target, phone_verified_at: at }
}
