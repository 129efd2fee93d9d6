import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { requireStepUp } from '../../http/step-up.ts'
import type { Origin } from '../audit/index.ts'
import { followEmailChange } from '../auth/index.ts'
import {
  type LockedUser,
  readFields,
  setEmail,
  setEmailVerified,
  setPhone,
  setUsername,
  updateProfileWithin,
} from '../users/index.ts'
import { type AdministrationDeps, lockSubject } from './deps.ts'
import type { UserChanges } from './schemas.ts'

/**
 * Changes a user’s record. An e-mail address or phone number counts as not proved unless the administrator says
 * so; another address ends the sessions, and the old one gets a link that undoes the change, as when its owner
 * changes it. What is the same already is no change.
 * @throws ProblemError validation_failed, not_found, forbidden, step_up_required (for what the user signs in with), email_taken, username_taken, phone_taken
 */
export async function changeUser(
  deps: AdministrationDeps,
  origin: Origin,
  principal: Principal,
  userId: string,
  input: UserChanges,
): Promise<void> {
  const { email, username, phone_number, email_verified, ...profile } = readFields(
    input,
    deps.isReservedUsername,
  )
  const { store, clock } = deps
  await store.transact(async trx => {
    const at = clock.now()
    const user = await lockSubject(trx, principal, userId)
    if (user.deleted_at) throw new ProblemError('not_found')
    if (changesWayIn(user, { email, username, phone_number, email_verified })) {
      requireStepUp('highest', principal, at)
    }
    if (username !== undefined && username !== user.username) {
      await setUsername(trx, at, origin, user, username)
    }
    if (phone_number !== undefined && phone_number !== user.phone_number) {
      await setPhone(trx, at, origin, user, phone_number, false)
    }
    if (email !== undefined && email !== user.email) {
      await setEmail(trx, at, origin, user, email, email_verified === true)
      await followEmailChange(deps, trx, at, origin, user, email)
    } else if (email_verified === true) await setEmailVerified(trx, at, origin, user)
    await updateProfileWithin(store, trx, at, origin, userId, profile)
    await store.announce(trx, { kind: 'user', id: userId })
  })
}

type WaysIn = {
  [Field in 'email' | 'username' | 'phone_number' | 'email_verified']: UserChanges[Field] | undefined
}

/** Whether a change touches what the user signs in with, or gets codes and links at. */
const changesWayIn = (user: LockedUser, { email, username, phone_number, email_verified }: WaysIn): boolean =>
  (username !== undefined && username !== user.username) ||
  (phone_number !== undefined && phone_number !== user.phone_number) ||
  (email !== undefined && email !== user.email) ||
  (email_verified === true && user.email_verified_at === null)
