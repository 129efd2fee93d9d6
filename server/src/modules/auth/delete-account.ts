import type { Store } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { requireStepUp } from '../../http/step-up.ts'
import { addTime, type Clock, days } from '../../lib/clock.ts'
import { keepAnAdministrator } from '../access/index.ts'
import type { Origin } from '../audit/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { lockUser, restoreUser, setEmailVerified, softDeleteUser } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { lockActingUser } from './acting-user.ts'
import { endAccess } from './end-access.ts'
import { type HandOverDeps, handOverByMail } from './hand-over.ts'
import { nameOf } from './owner.ts'

export type DeleteAccountDeps = {
  store: Store
  clock: Clock
  sessions: Sessions
  verification: Verification
  outbound: Outbound
  eraseAfterDays: number
}

/**
 * Deletes one's own account softly: inactive at once, every session ended, and a mail with a link that
 * restores it until it is erased.
 * @throws ProblemError step_up_required, last_administrator, invalid_token (the session ended meanwhile)
 */
export async function deleteOwnAccount(
  deps: DeleteAccountDeps,
  origin: Origin,
  principal: Principal,
): Promise<void> {
  const { store, verification, outbound } = deps
  const { userId } = principal
  await store.transact(async trx => {
    const at = deps.clock.now()
    requireStepUp('recent', principal, at)
    const { user } = await lockActingUser(deps, trx, at, principal)
    await keepAnAdministrator(trx, userId, () => softDeleteUser(trx, at, origin, user))
    await endAccess(deps, trx, at, origin, { userId, reason: 'account_deleted' })
    if (deps.eraseAfterDays === 0) return
    const lifetime = days(deps.eraseAfterDays)
    const { url } = await verification.issueLink(trx, at, {
      purpose: 'ACCOUNT_RESTORE',
      userId,
      target: at.toISOString(),
      lifetime,
    })
    await outbound.mail(trx, {
      template: 'account_deleted',
      to: user.email,
      locale: user.locale,
      userId,
      data: { name: nameOf(user), restore_link: url, erase_at: addTime(at, lifetime) },
    })
  })
}

/**
 * Restores the account for whoever has the link of a mail about its deletion; of that deletion, not of a
 * later one. Does not sign in. By a link that anybody may have asked for, an account whose address nobody had proved
 * is handed over.
 * @throws ProblemError invalid_link
 */
export async function restoreOwnAccount(
  deps: DeleteAccountDeps & HandOverDeps,
  origin: Origin,
  token: string,
): Promise<{ handedOver: boolean }> {
  const { store, verification } = deps
  const purpose = 'ACCOUNT_RESTORE'
  return store.transact(async trx => {
    const at = deps.clock.now()
    const { userId, target, data } = await verification.consumeLink(trx, at, { purpose, token })
    const user = await lockUser(trx, userId)
    if (user?.deleted_at?.toISOString() !== target) throw new ProblemError('invalid_link')
    await restoreUser(trx, at, origin, user)
    await verification.cancel(trx, userId, [purpose])
    const handedOver = data.hands_over === true
    if (handedOver) {
      await handOverByMail(deps, trx, at, origin, user)
      await setEmailVerified(trx, at, origin, user)
    }
    await store.announce(trx, { kind: 'user', id: userId })
    return { handedOver }
  })
}
