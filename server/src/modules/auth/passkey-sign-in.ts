import type { AuthenticationResponseJSON } from '@simplewebauthn/server'
import { ProblemError } from '../../http/problems.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import type { VerifiedPasskey } from '../factors/index.ts'
import { lockUser } from '../users/index.ts'
import { notePasskeyUse } from './passkey-use.ts'
import type { SecondFactorDeps } from './second-factor.ts'
import { type Arrival, advance, type Proof } from './sign-in-machine.ts'

/**
 * Signs in with a passkey alone; who it is, the passkey says. Locked accounts too: a signature can't be guessed,
 * so nobody keeps an owner out by guessing. Failures count for the address, apart from those with passwords.
 * A key that is not known gets an answer of its own, for the browser to offer it no longer: that tells nothing of any
 * account, since key ids are random.
 * @throws ProblemError invalid_credentials, unknown_passkey, email_not_verified, too_many_attempts
 */
export async function signInWithPasskey(
  deps: SecondFactorDeps,
  origin: Origin,
  credential: AuthenticationResponseJSON,
  device: string | undefined,
): Promise<Arrival> {
  const { store, clock, lockout, passkeys } = deps
  const attempt = await lockout.reserve(undefined, 'passkey', { address: origin.ip })
  const arrival = await attempt.during(async () => {
    const used = await passkeys.verify('sign_in', credential)
    return store.transact(async trx => {
      const at = clock.now()
      if (used) await lockUser(trx, used.userId)
      if (used && (await notePasskeyUse(deps, trx, at, origin, used))) {
        await attempt.succeeded(trx)
        const proved = [proofOf(used)]
        const claim = { userId: used.userId, proved, passwordVersion: null, device } as const
        return advance(deps, trx, at, origin, claim)
      }
      await attempt.failed(trx)
      await appendAudit(trx, at, origin, {
        action: 'login',
        outcome: 'failure',
        ...(used && { subject: { type: 'user', id: used.userId } }),
        details: { method: 'passkey' },
      })
      return undefined
    })
  })
  if (!arrival)
    throw new ProblemError(
      (await passkeys.isKnown(credential.id)) ? 'invalid_credentials' : 'unknown_passkey',
    )
  return arrival
}

const proofOf = ({ isDoubted, userVerified }: VerifiedPasskey): Proof => {
  if (isDoubted) return 'doubted_passkey'
  return userVerified ? 'verified_passkey' : 'passkey'
}
