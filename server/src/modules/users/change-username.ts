import { type ConstraintProblems, orConflict } from '../../db/constraints.ts'
import type { Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import { type ProblemCode, ProblemError } from '../../http/problems.ts'
import { addTime, type Clock, days } from '../../lib/clock.ts'
import { usernameKey } from '../../lib/text.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import type { UsernameDeps } from './create-user.ts'
import { readFields } from './fields.ts'
import type { UsernameCounter } from './metrics.ts'
import { holdName, refuseHeldNames } from './name-holds.ts'
import { findOwner, type LockedUser, lockUser, updateUser } from './repo.ts'

export type ChangeUsernameDeps = UsernameDeps & {
  store: Store
  clock: Clock
  outbound: Outbound
  countUsernameChange: UsernameCounter
}

/** Days between two changes, and for which a released name is held for its old owner (document 2). */
const cooldownDays = 15

const taken: ConstraintProblems = { users__username_unique: 'username_taken' }

/**
 * Changes one's own username, once in 15 days of 24 hours each, whatever clocks do in between. Of two changes
 * at once the second waits for the first, and then for 15 days.
 * @throws ProblemError validation_failed, username_unchanged, username_cooldown, username_taken
 */
export async function changeUsername(
  deps: ChangeUsernameDeps,
  origin: Origin,
  userId: string,
  wanted: string,
): Promise<{ username: string; last_username_updated: Date }> {
  const at = deps.clock.now()
  const username = await countUsernameChange(deps, () =>
    deps.store.transact(trx => changeUsernameWithin(deps, trx, at, origin, userId, wanted)),
  )
  return { username, last_username_updated: at }
}

/** Runs a transaction that changes a username, and counts what came of it. */
export async function countUsernameChange<T>(
  { countUsernameChange: count }: Pick<ChangeUsernameDeps, 'countUsernameChange'>,
  change: () => Promise<T>,
): Promise<T> {
  try {
    const result = await change()
    count('changed')
    return result
  } catch (error) {
    const outcome = error instanceof ProblemError ? refusals[error.code] : undefined
    if (outcome) count(outcome)
    throw error
  }
}

const refusals: Partial<Record<ProblemCode, 'cooldown' | 'taken'>> = {
  username_cooldown: 'cooldown',
  username_taken: 'taken',
}

/**
 * {@link changeUsername} as part of a change.
 * @returns the username as it is kept
 */
export async function changeUsernameWithin(
  { store, outbound, isReservedUsername }: ChangeUsernameDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  userId: string,
  wanted: string,
): Promise<string> {
  const { username } = readFields({ username: wanted }, isReservedUsername)
  const user = await lockUser(trx, userId)
  if (!user || user.deleted_at) throw new ProblemError('not_found')
  if (user.username === username) throw new ProblemError('username_unchanged')
  refuseEarly(user.last_username_updated, at)
  await setUsername(trx, at, origin, user, username)
  await outbound.mail(trx, {
    template: 'username_changed',
    to: user.email,
    locale: user.locale,
    userId,
    data: { name: user.full_name ?? user.username, new_username: username },
  })
  await store.announce(trx, { kind: 'user', id: userId })
  return username
}

function refuseEarly(last: Date | null, at: Date): void {
  if (!last) return
  const left = addTime(last, days(cooldownDays)).getTime() - at.getTime()
  if (left <= 0) return
  throw new ProblemError('username_cooldown', {
    detail: `Username can only be updated once every ${cooldownDays} days. Please wait ${Math.ceil(left / days(1))} more days.`,
    retryAfter: left / 1000,
  })
}

/**
 * Sets another username, whenever the last change was; the old one is held for its owner.
 * @throws ProblemError username_taken
 */
export async function setUsername(
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  username: string,
): Promise<void> {
  await rename(trx, at, origin, user, username)
  await appendAudit(trx, at, origin, {
    action: 'user.username_updated',
    subject: { type: 'user', id: user.id },
    changedFields: ['username'],
  })
  await appendEvent(trx, at, {
    type: 'user.username_updated',
    userId: user.id,
    data: {
      userId: user.id,
      email: user.email,
      oldUsername: user.username,
      newUsername: username,
      updatedAt: at.toISOString(),
    },
  })
}

async function rename(trx: Tx, at: Date, origin: Origin, user: LockedUser, username: string): Promise<void> {
  const key = usernameKey(username)
  // The constraint decides. Asking first keeps two users who want each other's name from waiting for each other.
  const owner = await findOwner(trx, { column: 'username_key', value: key })
  if (owner && owner.id !== user.id) throw new ProblemError('username_taken')
  await orConflict(taken, () =>
    updateUser(trx, user.id, {
      username,
      username_key: key,
      last_username_updated: at,
      updated_at: at,
      updated_by: origin.actorId ?? null,
    }),
  )
  if (key === user.username_key) return
  await refuseHeldNames(trx, at, user.id, [{ kind: 'username', key }])
  await holdName(trx, at, {
    kind: 'username',
    key: user.username_key,
    userId: user.id,
    milliseconds: days(cooldownDays),
  })
}
