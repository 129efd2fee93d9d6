import type { RegistrationResponseJSON } from '@simplewebauthn/server'
import { Value } from 'typebox/value'
import { ProblemError } from '../http/problems.ts'
import { type Assertion, PasskeyAssertionSchema, PasskeyRegistrationSchema } from '../modules/auth/index.ts'

/** What an authenticator signed, from a form. @throws ProblemError invalid_credentials for anything else */
export function readAssertion(text: string | undefined): Assertion {
  const given = parse(text)
  if (!Value.Check(PasskeyAssertionSchema, given)) throw new ProblemError('invalid_credentials')
  return given
}

/** A new passkey, from a form. @throws ProblemError invalid_passkey for anything else */
export function readNewPasskey(text: string | undefined): RegistrationResponseJSON {
  const given = parse(text)
  if (!Value.Check(PasskeyRegistrationSchema, given)) throw new ProblemError('invalid_passkey')
  // The schema has what the library's type names; which strings it takes for its enumerations it checks itself.
  return given as unknown as RegistrationResponseJSON
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
