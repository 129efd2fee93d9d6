import type { Tx } from '../../db/store.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import type { Passkeys, VerifiedPasskey } from '../factors/index.ts'

/**
 * Notes the use of a passkey whose signature held. A counter that went back means that there is a copy of the
 * key (WebAuthn Level 3, section 6.1.1): the use is refused, and its user and other services are told. That of a key
 * which was removed meanwhile is refused without a word.
 */
export async function notePasskeyUse(
  { passkeys }: { passkeys: Passkeys },
  trx: Tx,
  at: Date,
  origin: Origin,
  used: VerifiedPasskey,
): Promise<boolean> {
  const use = await passkeys.recordUse(trx, at, used)
  if (use !== 'behind') return use === 'noted'
  const { userId, passkeyId } = used
  await appendAudit(trx, at, origin, {
    action: 'passkey.clone_suspected',
    outcome: 'denied',
    subject: { type: 'user', id: userId },
    details: { passkey_id: passkeyId },
  })
  await appendEvent(trx, at, {
    type: 'user.passkey_clone_suspected',
    userId,
    data: { userId, passkeyId, occurredAt: at.toISOString() },
  })
  return false
}
