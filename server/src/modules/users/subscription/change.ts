import type { Store, Tx } from '../../../db/store.ts'
import type { Principal } from '../../../http/principal.ts'
import { ProblemError } from '../../../http/problems.ts'
import { latestTime } from '../../../lib/clock.ts'
import { noteProgress } from '../../../lib/progress.ts'
import { refuseMightier } from '../../access/index.ts'
import { appendAudit, type Origin } from '../../audit/index.ts'
import { appendEvent } from '../../events/index.ts'
import { type LockedUser, lockUser, updateUser } from '../repo.ts'
import { type Subscription, subscriptionOf } from './present.ts'
import { findEndedSubscriptions } from './repo.ts'

/** What a subscription is set to; since when follows. */
export type Terms = Omit<Subscription, 'since'>

/**
 * Sets a user's subscription. The same as it is already is no change and leaves no trace.
 * @throws ProblemError not_found, validation_failed for an end that has passed, forbidden (of somebody who may
 *   more)
 */
export function setSubscription(
  store: Store,
  at: Date,
  origin: Origin,
  { principal, userId }: { principal: Principal; userId: string },
  wanted: (present: Subscription) => Terms,
): Promise<void> {
  return store.transact(async trx => {
    const user = await lockUser(trx, userId)
    if (!user || user.deleted_at) throw new ProblemError('not_found')
    await refuseMightier(trx, principal, userId)
    await noteEnd(store, trx, at, user)
    const present = subscriptionOf(user, at)
    const next = wanted(present)
    if (next.expiresAt && next.expiresAt <= at) throw pastEnd()
    const isSameTier = next.tier === present.tier
    if (isSameTier && next.expiresAt?.getTime() === present.expiresAt?.getTime()) return
    const since = isSameTier ? present.since : at
    await write(store, trx, at, origin, user, present.tier, { ...next, since })
  })
}

/** Premium from now on: for some months, counted from the end of what is left, or until further notice. */
export function upgraded(present: Subscription, at: Date, months: number | undefined): Terms {
  if (months === undefined) return { tier: 'premium', expiresAt: null }
  if (present.tier === 'premium' && present.expiresAt === null) return present
  return { tier: 'premium', expiresAt: addMonths(present.expiresAt ?? at, months) }
}

export const downgraded: Terms = { tier: 'free', expiresAt: null }

/** The same day some months on; the last of the month where it has no such day. Time ends with the year 9999. */
export function addMonths(at: Date, months: number): Date {
  const next = new Date(at)
  next.setUTCDate(1)
  next.setUTCMonth(next.getUTCMonth() + months)
  const lastDay = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0)).getUTCDate()
  next.setUTCDate(Math.min(at.getUTCDate(), lastDay))
  return next < latestTime ? next : latestTime
}

/** Writes down the end of premium that has run out. */
async function noteEnd(store: Store, trx: Tx, at: Date, user: LockedUser): Promise<void> {
  const present = subscriptionOf(user, at)
  if (user.subscription_tier === present.tier) return
  await write(store, trx, at, { actorType: 'system' }, user, 'premium', present)
}

async function write(
  store: Store,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  oldTier: Subscription['tier'],
  next: Subscription,
): Promise<void> {
  await updateUser(trx, user.id, {
    subscription_tier: next.tier,
    subscription_since: next.since,
    subscription_expires_at: next.expiresAt,
    updated_at: at,
    updated_by: origin.actorId ?? null,
  })
  await appendAudit(trx, at, origin, {
    action: 'user.subscription_updated',
    subject: { type: 'user', id: user.id },
    changedFields: ['subscription'],
    details: { from: oldTier, to: next.tier, expires_at: next.expiresAt?.toISOString() ?? null },
  })
  await appendEvent(trx, at, {
    type: 'user.subscription_updated',
    userId: user.id,
    data: {
      userId: user.id,
      email: user.email,
      oldTier,
      newTier: next.tier,
      expiresAt: next.expiresAt?.toISOString() ?? null,
      updatedAt: at.toISOString(),
    },
  })
  await store.announce(trx, { kind: 'user', id: user.id })
}

const pastEnd = (): ProblemError =>
  new ProblemError('validation_failed', {
    errors: [{ path: '/expires_at', code: 'too_small', message: 'Must lie in the future.' }],
  })

/** Notes the end of what has run out: until then it is only left out of account. */
export async function endExpired(store: Store, at: Date): Promise<void> {
  for (;;) {
    const ids = await findEndedSubscriptions(store.db, at, 200)
    for (const id of ids) {
      await store.transact(async trx => {
        const user = await lockUser(trx, id)
        if (user) await noteEnd(store, trx, at, user)
      })
      noteProgress()
    }
    if (ids.length < 200) return
  }
}
