import { ProblemError } from '../../http/problems.ts'
import type { Origin } from '../audit/index.ts'
import { lockUser, setEmail } from '../users/index.ts'
import type { ContactCounter } from './metrics.ts'
import { checkedPassword, type ResetPasswordDeps, takePossession } from './reset-password.ts'

/**
 * Undoes an e-mail change for whoever has the link that the old address was sent: restores that address
 * whatever came after it, ends every session, and sets a new password, since the old one may be in other hands.
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
  const hash = await deps.hasher.hash(password)
  const email = await deps.store.transact(async trx => {
    const at = deps.clock.now()
    const proof = await deps.verification.consumeLink(trx, at, { purpose, token: input.token })
    const user = await lockUser(trx, proof.userId)
    if (!user?.is_active) throw new ProblemError('invalid_link')
    const before = String(proof.data.email)
    await setEmail(trx, at, origin, user, before)
    // Every other undo link too: they lead to addresses that came later.
    await deps.verification.cancel(trx, user.id)
    await takePossession(deps, trx, at, origin, { ...user, email: before }, hash, 'email_update_undone')
    return before
  })
  deps.countEmailChange('undone')
  return { email }
}
