import type { Store, Tx } from '../../../db/store.ts'
import { ProblemError } from '../../../http/problems.ts'
import { appendAudit, type Origin } from '../../audit/index.ts'
import { appendEvent } from '../../events/index.ts'
import { type LockedUser, lockUser, updateUser } from '../repo.ts'
import { findEndedSubscriptions } from './repo.ts'

type Subscription = { tier: 'free' | 'premium'; expiresAt: Date | null }

/**
 * Sets a user's subscription. The same as it is already is no change and leaves no trace.
 * @throws ProblemError not_found, validation_failed for an end that has passed
 */
export function setSubscription(
  store: Store,
  at: Date,
  origin: Origin,
  userId: string,
  wanted: (present: Subscription) => Subscription,
): Promise<void> {
  return store.transact(async trx => {
    const user = await lockUser(trx, userId)
    if (!user || user.deleted_at) throw new ProblemError('not_found')
    const present = presentOf(user, at)
    const next = wanted(present)
    if (next.expiresAt && next.expiresAt <= at) throw pastEnd()
    const isStored = user.subscription_tier === next.tier
    if (isStored && next.expiresAt?.getTime() === user.subscription_expires_at?.getTime()) return
    await write(store, trx, at, origin, user, present, next)
  })
}

/** Premium from now on: for some months, counted from the end of what is left, or until further notice. */
export function upgraded(present: Subscription, at: Date, months: number | undefined): Subscription {
  if (months === undefined) return { tier: 'premium', expiresAt: null }
  if (present.tier === 'premium' && present.expiresAt === null) return present
  const from = present.tier === 'premium' ? (present.expiresAt ?? at) : at
  return { tier: 'premium', expiresAt: addMonths(from, months) }
}

export const downgraded: Subscription = { tier: 'free', expiresAt: null }

/** The same day some months on; the last of the month where it has no such day. */
export function addMonths(at: Date, months: number): Date {
  const next = new Date(at)
  next.setUTCDate(1)
  next.setUTCMonth(next.getUTCMonth() + months)
  const lastDay = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0)).getUTCDate()
  next.setUTCDate(Math.min(at.getUTCDate(), lastDay))
  return next
}

/** Premium that has run out counts as over, whether somebody has noted it yet or not. */
function presentOf(user: LockedUser, at: Date): Subscription {
  const expiresAt = user.subscription_expires_at
  const isOver = expiresAt !== null && expiresAt <= at
  return user.subscription_tier === 'premium' && !isOver ? { tier: 'premium', expiresAt } : downgraded
}

async function write(
  store: Store,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  present: Subscription,
  next: Subscription,
): Promise<void> {
  const since = next.tier === present.tier ? user.subscription_since : at
  await updateUser(trx, user.id, {
    subscription_tier: next.tier,
    subscription_since: since,
    subscription_expires_at: next.expiresAt,
    updated_at: at,
    updated_by: origin.actorId ?? null,
  })
  await appendAudit(trx, at, origin, {
    action: 'user.subscription_updated',
    subject: { type: 'user', id: user.id },
    changedFields: ['subscription'],
    details: { from: present.tier, to: next.tier, expires_at: next.expiresAt?.toISOString() ?? null },
  })
  await appendEvent(trx, at, {
    type: 'user.subscription_updated',
    userId: user.id,
    data: {
      userId: user.id,
      email: user.email,
      oldTier: present.tier,
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
    for (const id of ids) await store.transact(trx => endOne(store, trx, at, id))
    if (ids.length < 200) return
  }
}

async function endOne(store: Store, trx: Tx, at: Date, id: string): Promise<void> {
  const user = await lockUser(trx, id)
  const expiresAt = user?.subscription_expires_at
  if (user?.subscription_tier !== 'premium' || !expiresAt || expiresAt > at) return
  await write(store, trx, at, { actorType: 'system' }, user, { tier: 'premium', expiresAt }, downgraded)
}
