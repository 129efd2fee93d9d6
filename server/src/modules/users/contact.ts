import { type ConstraintProblems, orConflict } from '../../db/constraints.ts'
import type { Tx } from '../../db/store.ts'
import { hours } from '../../lib/clock.ts'
import { emailKey } from '../../lib/text.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { holdName, refuseHeldNames } from './name-holds.ts'
import { type LockedUser, updateUser } from './repo.ts'

/*
 * Changes of a record's addresses, each with its audit row and event. The record is locked, and its new address
 * was proved, before.
 */

const taken: ConstraintProblems = { users__email_unique: 'email_taken', users__phone_unique: 'phone_taken' }

/** Milliseconds for which nobody else can take an address that was given up: as long as that can be undone. */
export const emailUndoTime = hours(72)

/**
 * Sets an e-mail address that its owner, or else an administrator, answers for (`verified`).
 * @throws ProblemError email_taken, also while it is held for its old owner
 */
export async function setEmail(
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  email: string,
  verified = true,
): Promise<void> {
  const key = emailKey(email) ?? ''
  await orConflict(taken, () =>
    updateUser(trx, user.id, {
      email,
      email_key: key,
      email_verified_at: verified ? at : null,
      updated_at: at,
      updated_by: origin.actorId ?? user.id,
    }),
  )
  await refuseHeldNames(trx, at, user.id, [{ kind: 'email', key }])
  await holdName(trx, at, {
    kind: 'email',
    key: user.email_key,
    userId: user.id,
    milliseconds: emailUndoTime,
  })
  await appendAudit(trx, at, origin, {
    action: 'user.email_updated',
    subject: { type: 'user', id: user.id },
    changedFields: ['email'],
  })
  await appendEvent(trx, at, {
    type: 'user.email_updated',
    userId: user.id,
    data: {
      userId: user.id,
      oldEmail: user.email,
      newEmail: email,
      emailVerified: verified,
      updatedAt: at.toISOString(),
    },
  })
}

/** Sets a phone number, proved or not, or takes it away. @throws ProblemError phone_taken */
export async function setPhone(
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  phone: string | null,
  verified = true,
): Promise<void> {
  await orConflict(taken, () =>
    updateUser(trx, user.id, {
      phone_number: phone,
      phone_verified_at: verified ? at : null,
      updated_at: at,
      updated_by: origin.actorId ?? user.id,
    }),
  )
  await appendAudit(trx, at, origin, {
    action: 'user.phone_updated',
    subject: { type: 'user', id: user.id },
    changedFields: ['phone_number'],
  })
  await appendEvent(trx, at, {
    type: 'user.phone_updated',
    userId: user.id,
    data: {
      userId: user.id,
      oldPhoneNumber: user.phone_number,
      newPhoneNumber: phone,
      phoneVerified: verified,
      updatedAt: at.toISOString(),
    },
  })
}

/** Marks the present address as proved. One that is already is left alone; `updated_at` never moves. */
export async function setEmailVerified(trx: Tx, at: Date, origin: Origin, user: LockedUser): Promise<void> {
  if (user.email_verified_at) return
  await updateUser(trx, user.id, { email_verified_at: at })
  await appendAudit(trx, at, origin, {
    action: 'user.email_verified',
    subject: { type: 'user', id: user.id },
  })
  await appendEvent(trx, at, {
    type: 'user.email_verified',
    userId: user.id,
    data: { userId: user.id, email: user.email, emailVerifiedAt: at.toISOString() },
  })
}
