import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { keepAnAdministrator } from '../access/index.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { deleteOwnAccount, dropFactors, endAccess, sendResetMail, tellOfMfaChange } from '../auth/index.ts'
import { deactivateUser, eraseUser, restoreUser, softDeleteUser } from '../users/index.ts'
import { type AdministrationDeps, changeSubject } from './deps.ts'

/*
 * What administrators do to accounts. Each: lock, check that the account is not a mightier one, change, and end
 * what must not go on, in one transaction.
 */

/**
 * Closes an account at once, until it is restored; one that its owner deleted, to the link that they could restore
 * it with. @throws ProblemError not_found, forbidden, last_administrator
 */
export function deactivate(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  userId: string,
): Promise<void> {
  return changeSubject(deps, principal, userId, async (trx, at, user) => {
    if (user.deleted_at) {
      await deps.verification.cancel(trx, userId, ['ACCOUNT_RESTORE'])
      await appendAudit(trx, at, origin, {
        action: 'user.deactivated',
        subject: { type: 'user', id: userId },
      })
      return
    }
    if (!user.is_active) return
    await keepAnAdministrator(trx, userId, () => deactivateUser(trx, at, origin, user))
    await endAccess(deps, trx, at, origin, { userId, reason: 'deactivated' })
  })
}

/**
 * Deletes an account softly; one's own as its owner does.
 * @throws ProblemError not_found, forbidden, last_administrator
 */
export function remove(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  userId: string,
): Promise<void> {
  if (userId === principal.userId) return deleteOwnAccount(deps, origin, principal)
  return changeSubject(deps, principal, userId, async (trx, at, user) => {
    if (user.deleted_at) throw new ProblemError('not_found')
    await keepAnAdministrator(trx, userId, () => softDeleteUser(trx, at, origin, user))
    await endAccess(deps, trx, at, origin, { userId, reason: 'account_deleted' })
  })
}

/**
 * Erases an account for good, whether it was deleted before or not.
 * @throws ProblemError not_found, forbidden, last_administrator
 */
export function erase(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  userId: string,
): Promise<void> {
  return changeSubject(deps, principal, userId, async (trx, at, user) => {
    await keepAnAdministrator(trx, userId, async () => {
      await deps.sessions.endAllWithin(trx, at, origin, { userId, reason: 'account_deleted' })
      await eraseUser(deps, trx, at, origin, user)
    })
  })
}

/** Opens a deleted or deactivated account again. @throws ProblemError not_found, forbidden */
export function restore(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  userId: string,
): Promise<void> {
  return changeSubject(deps, principal, userId, async (trx, at, user) => {
    if (user.is_active) return
    await restoreUser(trx, at, origin, user)
    await deps.store.announce(trx, { kind: 'user', id: userId })
  })
}

/** Forgets failed attempts, so that the user may try again at once. @throws ProblemError not_found, forbidden */
export function unlock(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  userId: string,
): Promise<void> {
  return changeSubject(deps, principal, userId, async (trx, at, user) => {
    for (const forget of deps.unlockers) await forget(trx, at, user)
    await appendAudit(trx, at, origin, { action: 'user.unlocked', subject: { type: 'user', id: userId } })
  })
}

/**
 * Takes every second factor and passkey from a user who has lost them: their password signs them in until they
 * enrol anew. @throws ProblemError not_found, forbidden
 */
export function resetMfa(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  userId: string,
): Promise<void> {
  return changeSubject(deps, principal, userId, async (trx, at, user) => {
    if (!(await dropFactors(deps, trx, at, origin, userId))) return
    await endAccess(deps, trx, at, origin, { userId, reason: 'mfa_changed' })
    await tellOfMfaChange(deps.outbound, trx, user, 'all_removed')
  })
}

/** Ends every session. Returns how many. @throws ProblemError not_found, forbidden */
export function logOut(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  userId: string,
): Promise<number> {
  return changeSubject(deps, principal, userId, (trx, at) =>
    deps.sessions.endAllWithin(trx, at, origin, { userId, reason: 'revoked' }),
  )
}

/** Ends one session. @throws ProblemError not_found, forbidden */
export function logOutOne(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  userId: string,
  sessionId: string,
): Promise<void> {
  return changeSubject(deps, principal, userId, async (trx, at) => {
    const ended = await deps.sessions.endOneWithin(trx, at, origin, { userId, sessionId, reason: 'revoked' })
    if (!ended) throw new ProblemError('not_found')
  })
}

/**
 * Sends the user a link for choosing a new password; nobody else ever learns or chooses it. The present one works
 * until then.
 * @throws ProblemError not_found (also inactive), forbidden, otp_quota_exceeded
 */
export function sendReset(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  userId: string,
): Promise<void> {
  return changeSubject(deps, principal, userId, async (trx, at, user) => {
    if (!user.is_active) throw new ProblemError('not_found')
    await sendResetMail(deps, trx, at, user)
    await appendAudit(trx, at, origin, {
      action: 'password.reset_requested',
      subject: { type: 'user', id: userId },
    })
  })
}
