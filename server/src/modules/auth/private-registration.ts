import type { Store } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { enqueue } from '../../jobs/worker.ts'
import type { Clock } from '../../lib/clock.ts'
import { seal, unseal } from '../../lib/secrets.ts'
import { emailKey } from '../../lib/text.ts'
import type { Origin } from '../audit/index.ts'
import { findOwner, type UsernameDeps } from '../users/index.ts'
import { type AcceptedRegistration, createRegistered } from './register.ts'
import type { VerificationMailDeps } from './verification-mail.ts'
import { sendWayIn, type WayBackDeps } from './way-back.ts'

export type PrivateRegistrationDeps = UsernameDeps &
  VerificationMailDeps &
  WayBackDeps & {
    store: Store
    clock: Clock
    /** Seals what waits in the job queue: a password's hash is among it. */
    registrationKey: Buffer
  }

type SealedRegistration = { sealed: string }

export const registerPrivatelyJob = { name: 'auth.register_privately' }

const context = 'private registration'

/**
 * Registers later, in a job (REGISTRATION_PRIVACY). The request writes the same for every address, so neither
 * its reply nor its time tells whether the address has an account.
 */
export async function registerLater(
  { store, registrationKey }: PrivateRegistrationDeps,
  origin: Origin,
  accepted: AcceptedRegistration,
): Promise<void> {
  const sealed = seal(registrationKey, JSON.stringify({ origin, accepted }), context).toString('base64')
  await store.transact(trx => enqueue<SealedRegistration>(trx, registerPrivatelyJob, { sealed }))
}

/**
 * Creates the user, or sends the owner of a taken address a mail instead. A username or phone number that is
 * taken can't be told to anybody any more: the user gets a free name, and no number.
 */
export async function registerSealed(
  deps: PrivateRegistrationDeps,
  { sealed }: SealedRegistration,
): Promise<void> {
  const text = unseal(deps.registrationKey, Buffer.from(sealed, 'base64'), context).toString()
  // Written by registerLater() above.
  const { origin, accepted } = JSON.parse(text) as { origin: Origin; accepted: AcceptedRegistration }
  await attempt(deps, origin, accepted)
}

async function attempt(
  deps: PrivateRegistrationDeps,
  origin: Origin,
  accepted: AcceptedRegistration,
): Promise<void> {
  const { user } = accepted
  try {
    await createRegistered(deps, origin, accepted)
  } catch (error) {
    const code = error instanceof ProblemError ? error.code : undefined
    if (code === 'email_taken') return tellOwner(deps, user.email)
    if (code === 'username_taken' && user.username !== undefined) {
      return attempt(deps, origin, { ...accepted, user: { ...user, username: undefined } })
    }
    if (code === 'phone_taken' && user.phone_number !== undefined) {
      return attempt(deps, origin, { ...accepted, user: { ...user, phone_number: undefined } })
    }
    throw error
  }
}

async function tellOwner(deps: PrivateRegistrationDeps, email: string): Promise<void> {
  const owner = await findOwner(deps.store.db, { column: 'email_key', value: emailKey(email) ?? '' })
  if (!owner) return
  const at = deps.clock.now()
  await deps.store.transact(trx => sendWayIn(deps, trx, at, owner, 'address_already_registered'))
}
