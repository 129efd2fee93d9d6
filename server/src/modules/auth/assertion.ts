import type { AuthenticationResponseJSON } from '@simplewebauthn/server'

/** An answer of an authenticator, as it comes over the wire. */
export type Assertion = {
  id: string
  rawId: string
  type: 'public-key'
  response: {
    clientDataJSON: string
    authenticatorData: string
    signature: string
    userHandle?: string | null | undefined
  }
}

/** As the library takes it: a user handle that is null, as some browsers send it, is left out. */
export function toAssertion({ id, rawId, type, response }: Assertion): AuthenticationResponseJSON {
  const { userHandle, ...rest } = response
  const signed = typeof userHandle === 'string' ? { ...rest, userHandle } : rest
  return { id, rawId, type, response: signed, clientExtensionResults: {} }
}
