import type { components } from '../generated/api.ts'
import type { Session, User } from './session.ts'

type Schemas = components['schemas']

export type Method = Schemas['MfaRequired']['methods'][number]
/** A second factor, or the password, as the API takes it. */
export type Proof = Schemas['StepUp']

/** Where a sign-in has got to: done, or a second factor is due. */
export type SignIn =
  | { status: 'signed_in'; user: User; session: Session }
  | {
      status: 'second_factor'
      /** What may be given. */
      methods: readonly Method[]
      /** Sends the code of `sms` or `email`, or answers the options for a passkey. */
      challenge(method: Method): Promise<Schemas['MfaChallenged']>
      /** @throws RosterError invalid_mfa_code, too_many_attempts, … */
      verify(proof: Omit<Schemas['MfaVerification'], 'mfa_token'>): Promise<SignIn>
    }

/** What came of a call that may need a fresh proof of who asks. */
export type Guarded<T> =
  | { status: 'done'; data: T }
  | {
      status: 'step_up_required'
      /** Sends the code of `sms` or `email`, or answers the options for a passkey. */
      challenge(method: Method): Promise<Schemas['MfaChallenged']>
      /** Proves it, and makes the call again. @throws RosterError invalid_code, invalid_current_password, … */
      prove(proof: Proof): Promise<Guarded<T>>
    }
