import type { Tx } from '../../db/store.ts'
import type { MfaChange } from '../../delivery/index.ts'
import { addressGroup } from '../../http/client-address.ts'
import { ProblemError } from '../../http/problems.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { type LockedUser, lockUser, restoreUser, setEmail, setMfaEnabled } from '../users/index.ts'
import type { ContactCounter } from './metrics.ts'
import { tellOfMfaChange } from './notices.ts'
import { checkedPassword, type ResetPasswordDeps, takePossession } from './reset-password.ts'

/**
 * Undoes an e-mail change for whoever has the link that the old address was sent: restores that address
 * whatever came after it, ends every session, and sets a new password, since the old one may be in other hands.
 * Factors and passkeys that came after it go; all of them where nobody had proved the old address, whose owner need
 * not be who made the account. An account that its holder has deleted since comes back.
 * @returns the restored address
 * @throws ProblemError invalid_link, validation_failed (the link stays good), service_busy
 */
export async function undoEmailChange(
  deps: ResetPasswordDeps & { countEmailChange: ContactCounter },
  origin: Origin,
  input: { token: string; new_password: string },
): Promise<{ email: string }> {
  const purpose = 'EMAIL_UNDO'
  const found = await deps.verification.findLink(deps.store.db, purpose, input.token)
  if (!found) throw new ProblemError('invalid_link')
  const password = await checkedPassword(deps, found.userId, input.new_password)
  const hash = await deps.hasher.hash(password, { address: addressGroup(origin.ip ?? 'none') })
  const email = await deps.store.transact(async trx => {
    const at = deps.clock.now()
    const proof = await deps.verification.consumeLink(trx, at, { purpose, token: input.token })
    const user = await lockUser(trx, proof.userId)
    if (!user) throw new ProblemError('invalid_link')
    if (!user.is_active) await restoreIfOwnDeletion(deps, trx, at, origin, user)
    const before = String(proof.data.email)
    await setEmail(trx, at, origin, user, before)
    const restored = { ...user, email: before }
    const isHandedOver = proof.data.proved === false
    // Links of later changes lead to addresses that came later; those of earlier ones are their owners', unless
    // the account was never in the hands of this one's.
    if (isHandedOver) await deps.verification.cancel(trx, user.id)
    else await deps.verification.cancel(trx, user.id, [purpose], proof.issuedAt)
    const since = isHandedOver ? new Date(0) : proof.issuedAt
    const told = isHandedOver ? 'all_handed_over' : 'newer_removed'
    await dropFactorsSince(deps, trx, at, origin, restored, since, told)
    const apart = proof.data.apart === true
    await takePossession(deps, trx, at, origin, restored, hash, { reason: 'email_update_undone', apart })
    return before
  })
  deps.countEmailChange('undone')
  return { email }
}

/**
 * Restores an account that was deleted from inside, which only its present holder could do. What an administrator
 * closed stays closed: they send no restore link.
 * @throws ProblemError invalid_link
 */
async function restoreIfOwnDeletion(
  { verification }: ResetPasswordDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
): Promise<void> {
  const purpose = 'ACCOUNT_RESTORE'
  const links = await verification.listLinks(trx, at, { userId: user.id, purpose })
  if (!links.some(({ target }) => target === user.deleted_at?.toISOString()))
    throw new ProblemError('invalid_link')
  await verification.cancel(trx, user.id, [purpose])
  await restoreUser(trx, at, origin, user)
}

/** Factors, passkeys and recovery codes that were added since may be those of whoever changed the address. */
async function dropFactorsSince(
  { factors, outbound }: ResetPasswordDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  since: Date,
  told: MfaChange,
): Promise<void> {
  const userId = user.id
  if (!(await factors.removeSince(trx, userId, since))) return
  await appendAudit(trx, at, origin, {
    action: 'mfa.removed',
    subject: { type: 'user', id: userId },
    details: { reason: 'email_update_undone' },
  })
  await tellOfMfaChange(outbound, trx, user, told)
  if (await factors.isEnrolled(trx, userId)) return
  await factors.removeRecoveryCodes(trx, userId)
  if (!(await setMfaEnabled(trx, userId, false))) return
  await appendEvent(trx, at, {
    type: 'user.mfa_disabled',
    userId,
    data: { userId, method: 'all', disabledAt: at.toISOString() },
  })
}
