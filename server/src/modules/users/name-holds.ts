import type { Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { addTime } from '../../lib/clock.ts'
import { findForeignHold, upsertNameHold } from './repo.ts'

export type HeldName = { kind: 'username' | 'email'; key: string }

const taken = { username: 'username_taken', email: 'email_taken' } as const

/** Keeps a name that its owner gave up from everybody else for `milliseconds`. */
export async function holdName(
  trx: Tx,
  at: Date,
  hold: HeldName & { userId: string; milliseconds: number },
): Promise<void> {
  await upsertNameHold(trx, {
    kind: hold.kind,
    name_key: hold.key,
    user_id: hold.userId,
    held_until: addTime(at, hold.milliseconds),
  })
}

/**
 * Refuses names that are held for somebody else. Call it after the write that takes them: that write waited
 * for whoever was giving the name up, so their hold is seen here however close the two came.
 * @throws ProblemError username_taken, email_taken
 */
export async function refuseHeldNames(
  trx: Tx,
  at: Date,
  userId: string,
  names: readonly HeldName[],
): Promise<void> {
  const held = await findForeignHold(trx, { at, userId, names })
  if (held) throw new ProblemError(taken[held])
}
