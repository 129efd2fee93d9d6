import { type ConstraintProblems, orConflict } from '../../db/constraints.ts'
import type { Db, Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { hours } from '../../lib/clock.ts'
import { emailKey } from '../../lib/text.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { holdName, refuseHeldNames } from './name-holds.ts'
import { findForeignHold, findOwner, type LockedUser, lockUser, type SignInName, updateUser } from './repo.ts'

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
  await refuseTaken(trx, user.id, { column: 'email_key', value: key })
  await orConflict(taken, () =>
    updateUser(trx, user.id, {
      email,
      email_key: key,
      email_verified_at: verified ? at : null,
      proved_apart: false,
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

/**
 * The constraints decide. Asking first keeps two users who want each other's address from waiting for each
 * other, which PostgreSQL would end with an error for one of them.
 */
async function refuseTaken(trx: Tx, userId: string, name: SignInName): Promise<void> {
  const owner = await findOwner(trx, name)
  if (owner && owner.id !== userId) {
    throw new ProblemError(name.column === 'email_key' ? 'email_taken' : 'phone_taken')
  }
}

/** Whether an address, in compared form, is somebody else's, or held for them. */
export async function isEmailTaken(db: Db, at: Date, userId: string, key: string): Promise<boolean> {
  const owner = await findOwner(db, { column: 'email_key', value: key })
  if (owner && owner.id !== userId) return true
  return (await findForeignHold(db, { at, userId, names: [{ kind: 'email', key }] })) !== undefined
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
  if (phone !== null) await refuseTaken(trx, user.id, { column: 'phone_number', value: phone })
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

/**
 * Takes a number from whoever registered it and never proved it, for somebody who just did.
 * @returns the loser's id, to be announced
 */
export async function releaseUnprovedPhone(
  trx: Tx,
  at: Date,
  phone: string,
  provedBy: string,
): Promise<string | undefined> {
  const holder = await findOwner(trx, { column: 'phone_number', value: phone })
  if (!holder || holder.id === provedBy) return undefined
  const user = await lockUser(trx, holder.id)
  if (user?.phone_number !== phone || user.phone_verified_at) return undefined
  await setPhone(trx, at, { actorType: 'system' }, user, null, false)
  return user.id
}

/**
 * Marks the present address as proved. One that is already keeps its time; `updated_at` never moves.
 * @param apart by somebody with the mailbox alone: whoever signs in may be another
 */
export async function setEmailVerified(
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  apart = false,
): Promise<void> {
  if (user.email_verified_at) {
    if (user.proved_apart && !apart) await updateUser(trx, user.id, { proved_apart: false })
    return
  }
  await updateUser(trx, user.id, { email_verified_at: at, proved_apart: apart })
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
