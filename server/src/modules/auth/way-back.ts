import type { Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import { ProblemError } from '../../http/problems.ts'
import { enqueue } from '../../jobs/worker.ts'
import { addTime, type Clock, days } from '../../lib/clock.ts'
import { emailKey } from '../../lib/text.ts'
import { findOwner, type LockedUser, lockUser } from '../users/index.ts'
import type { Verification } from '../verification/index.ts'
import { nameOf, unlessLimited } from './owner.ts'
import { type ResetTemplate, sendResetMail } from './reset-mail.ts'

/* Ways back into an account for the owner of its address, whoever asked: nothing here is told to the asker. */

export type WayBackDeps = {
  verification: Verification
  outbound: Outbound
  /** For which somebody who deleted their account can have it back. */
  eraseAfterDays: number
}

type AskedReturn = { email_key: string | null }

export const offerReturnJob = { name: 'auth.offer_return' }

/**
 * Sends the owner of an address, in compared form, what lets them in: a mail to choose a password; where they
 * deleted the account, one to restore it. Nothing beyond the quota of the address, and nothing where an administrator
 * closed the account.
 */
export async function sendWayIn(
  deps: WayBackDeps,
  trx: Tx,
  at: Date,
  owner: LockedUser,
  template: ResetTemplate = 'password_reset',
): Promise<void> {
  if (owner.is_active) await unlessLimited(() => sendResetMail(deps, trx, at, owner, { template }))
  else await unlessLimited(() => offerReturn(deps, trx, at, owner.id))
}

/**
 * Creates an account. Where its address is taken, a job offers the way back if its owner deleted theirs: the reply and
 * its time are the same for all.
 * @throws ProblemError whatever `create` throws
 */
export async function offeringReturn<T>(
  { store }: { store: Store },
  email: string,
  create: () => Promise<T>,
): Promise<T> {
  try {
    return await create()
  } catch (error) {
    if (!(error instanceof ProblemError) || error.code !== 'email_taken') throw error
    const email_key = emailKey(email)
    await store.transact(trx => enqueue<AskedReturn>(trx, offerReturnJob, { email_key }))
    throw new ProblemError('email_taken', {
      detail:
        'The address has an account. Sign in, or reset the password; if the account was deleted and can still be ' +
        'restored, a mail with the way back is on its way to the address.',
    })
  }
}

/** Sends the restore mail that {@link offeringReturn} left for later. */
export async function sendOfferedReturn(
  deps: WayBackDeps & { store: Store; clock: Clock },
  { email_key }: AskedReturn,
): Promise<void> {
  if (email_key === null) return
  const owner = await findOwner(deps.store.db, { column: 'email_key', value: email_key })
  if (!owner?.deleted_at) return
  const at = deps.clock.now()
  await deps.store.transact(trx => unlessLimited(() => offerReturn(deps, trx, at, owner.id)))
}

/**
 * Sends another mail with a link that restores an account, if its holder deleted it: then they were sent one, and
 * administrators send none. Anybody may have asked, so where nobody had proved the address, its owner need not be who
 * made the account: the link hands it over as well.
 * @throws ProblemError otp_quota_exceeded
 */
async function offerReturn(
  { verification, outbound, eraseAfterDays }: WayBackDeps,
  trx: Tx,
  at: Date,
  userId: string,
): Promise<void> {
  const purpose = 'ACCOUNT_RESTORE'
  const user = await lockUser(trx, userId)
  if (!user?.deleted_at) return
  const target = user.deleted_at.toISOString()
  const links = await verification.listLinks(trx, at, { userId, purpose })
  if (!links.some(link => link.target === target)) return
  const eraseAt = addTime(user.deleted_at, days(eraseAfterDays))
  const lifetime = eraseAt.getTime() - at.getTime()
  if (lifetime <= 0) return
  const { url } = await verification.issueLink(trx, at, {
    purpose,
    userId,
    target,
    lifetime,
    data: { hands_over: user.email_verified_at === null },
    counted: true,
    countedAs: user.email_key,
  })
  await outbound.mail(trx, {
    template: 'account_deleted',
    to: user.email,
    locale: user.locale,
    userId,
    data: { name: nameOf(user), restore_link: url, erase_at: eraseAt },
  })
}
