import type { ErasedPerson, Eraser } from '../../db/eraser.ts'
import type { Store, Tx } from '../../db/store.ts'
import { addTime, days } from '../../lib/clock.ts'
import { noteProgress } from '../../lib/progress.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { deleteUser, findDueForErasure, type LockedUser, lockUser } from './repo.ts'

export type EraseDeps = { store: Store; erasers: readonly Eraser[] }

/**
 * Erases a user for good: their row, with all that refers to it, and every copy that a module holds. What stays is
 * their id, in the audit log and in the event that tells other services. Their names are free from then on.
 * @param user locked by `trx`
 */
export async function eraseUser(
  { store, erasers }: EraseDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
): Promise<void> {
  const person: ErasedPerson = { userId: user.id, email: user.email, phoneNumber: user.phone_number }
  // First: it waits for every transaction that holds a row of the user, and what those wrote is then erased too.
  await deleteUser(trx, user.id)
  for (const erase of erasers) await erase(trx, person)
  await appendAudit(trx, at, origin, { action: 'user.erased', subject: { type: 'user', id: user.id } })
  await appendEvent(trx, at, {
    type: 'user.erased',
    userId: user.id,
    data: { userId: user.id, erasedAt: at.toISOString() },
  })
  await store.announce(trx, { kind: 'user', id: user.id })
}

/** Erases who was deleted more than `afterDays` days ago, each in a transaction of their own. Returns how many. */
export async function eraseDueUsers(deps: EraseDeps, at: Date, afterDays: number): Promise<number> {
  const before = addTime(at, -days(afterDays))
  let erased = 0
  for (;;) {
    const due = await findDueForErasure(deps.store.db, before, 100)
    for (const id of due) {
      await deps.store.transact(async trx => {
        const user = await lockUser(trx, id)
        // Restored, or erased by another process, since it was found.
        if (!user?.deleted_at || user.deleted_at > before) return
        await eraseUser(deps, trx, at, { actorType: 'system' }, user)
        erased += 1
      })
      noteProgress()
    }
    if (due.length < 100) return erased
  }
}
