import type { Tx } from '../../db/store.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import type { SessionState, Sessions } from '../sessions/index.ts'
import { type LockedUser, lockUser } from '../users/index.ts'

/**
 * Locks whoever acts, and the session that they act in, until `trx` ends. The guard let them pass a while ago: a
 * session that was ended since changes nothing any more.
 * @throws ProblemError invalid_token
 */
export async function lockActingUser(
  { sessions }: { sessions: Sessions },
  trx: Tx,
  at: Date,
  { userId, sessionId }: Pick<Principal, 'userId' | 'sessionId'>,
): Promise<{ user: LockedUser; session: SessionState }> {
  const [user, session] = await Promise.all([
    lockUser(trx, userId),
    sessions.hold(trx, at, { userId, sessionId }),
  ])
  if (!user?.is_active || !session) throw new ProblemError('invalid_token')
  return { user, session }
}
