import type { LockedUser } from '../repo.ts'

export type Subscription = { tier: 'free' | 'premium'; since: Date | null; expiresAt: Date | null }

/**
 * A user's subscription at `now`. Premium that has run out was over at its end, whether somebody has noted it
 * yet or not.
 */
export function subscriptionOf(
  user: Pick<LockedUser, 'subscription_tier' | 'subscription_since' | 'subscription_expires_at'>,
  now: Date,
): Subscription {
  const { subscription_since: since, subscription_expires_at: expiresAt } = user
  if (user.subscription_tier !== 'premium') return { tier: 'free', since, expiresAt: null }
  const isOver = expiresAt !== null && expiresAt <= now
  return isOver ? { tier: 'free', since: expiresAt, expiresAt: null } : { tier: 'premium', since, expiresAt }
}
