import type { Store, Tx } from '../../db/store.ts'
import type { Origin } from '../audit/index.ts'
import type { EndReason, Sessions } from '../sessions/index.ts'
import { endSignIns } from './sign-in-machine.ts'

/**
 * Ends every way in that a user has open: their sessions, and sign-ins that wait for a second factor, so that a
 * later restore revives neither. Every process hears of it with the commit.
 */
export async function endAccess(
  { store, sessions }: { store: Store; sessions: Sessions },
  trx: Tx,
  at: Date,
  origin: Origin,
  ended: { userId: string; reason: EndReason; except?: string | undefined },
): Promise<void> {
  await endSignIns(trx, ended.userId)
  await sessions.endAllWithin(trx, at, origin, ended)
  await store.announce(trx, { kind: 'user', id: ended.userId })
}
