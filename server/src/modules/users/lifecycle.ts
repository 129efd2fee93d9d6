import type { Tx } from '../../db/store.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { type LockedUser, updateUser } from './repo.ts'

/** Deletes a user softly: inactive at once, and restorable until they are erased. End their sessions with it. */
export async function softDeleteUser(trx: Tx, at: Date, origin: Origin, user: LockedUser): Promise<void> {
  await updateUser(trx, user.id, {
    is_active: false,
    deleted_at: at,
    updated_at: at,
    updated_by: origin.actorId ?? null,
  })
  await appendAudit(trx, at, origin, { action: 'user.deleted', subject: { type: 'user', id: user.id } })
  await appendEvent(trx, at, {
    type: 'user.deleted',
    userId: user.id,
    data: { userId: user.id, email: user.email, deletedAt: at.toISOString() },
  })
}

/** Closes an account until it is restored. End their sessions with it. */
export async function deactivateUser(trx: Tx, at: Date, origin: Origin, user: LockedUser): Promise<void> {
  await updateUser(trx, user.id, {
    is_active: false,
    updated_at: at,
    updated_by: origin.actorId ?? null,
  })
  await appendAudit(trx, at, origin, { action: 'user.deactivated', subject: { type: 'user', id: user.id } })
  await appendEvent(trx, at, {
    type: 'user.deactivated',
    userId: user.id,
    data: { userId: user.id, email: user.email, deactivatedAt: at.toISOString() },
  })
}

/**
 * Makes a deleted or deactivated user whole again: active, with everything they had but their sessions. Whoever is
 * not signed in does it to themselves, by a link of theirs.
 */
export async function restoreUser(trx: Tx, at: Date, origin: Origin, user: LockedUser): Promise<void> {
  await updateUser(trx, user.id, {
    is_active: true,
    deleted_at: null,
    updated_at: at,
    updated_by: origin.actorId ?? user.id,
  })
  await appendAudit(trx, at, origin, { action: 'user.restored', subject: { type: 'user', id: user.id } })
  await appendEvent(trx, at, {
    type: 'user.restored',
    userId: user.id,
    data: { userId: user.id, email: user.email, restoredAt: at.toISOString() },
  })
}
