import type { components } from '../generated/api.ts'

type Schemas = components['schemas']

/** How a browser asks: `conditional` offers passkeys in the name field's autofill, without a dialogue. */
export type Asking = { mediation?: 'optional' | 'required' | 'conditional'; signal?: AbortSignal }

/** What of WebAuthn Level 3 is used here; typed so that the core needs no types of the DOM. */
type WebAuthn = {
  navigator: {
    credentials: Record<'get' | 'create', (options: object) => Promise<{ toJSON(): unknown } | null>>
  }
  PublicKeyCredential: Record<
    'parseRequestOptionsFromJSON' | 'parseCreationOptionsFromJSON',
    (options: Schemas['PasskeyOptions']) => object
  >
}

/** Signs a challenge with a passkey. @throws DOMException NotAllowedError where the person declines */
export async function signWithPasskey(
  options: Schemas['PasskeyOptions'],
  { mediation, signal }: Asking = {},
): Promise<Schemas['PasskeyAssertion']> {
  const { navigator, PublicKeyCredential } = platform()
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options)
  const credential = await navigator.credentials.get({
    publicKey,
    ...(mediation && { mediation }),
    ...(signal && { signal }),
  })
  return credential?.toJSON() as Schemas['PasskeyAssertion'] // what the options ask for
}

/** Makes a passkey. @throws DOMException NotAllowedError where the person declines, InvalidStateError where there is one */
export async function makePasskey(
  options: Schemas['PasskeyOptions'],
): Promise<Schemas['PasskeyRegistration']> {
  const { navigator, PublicKeyCredential } = platform()
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options)
  const credential = await navigator.credentials.create({ publicKey })
  return credential?.toJSON() as Schemas['PasskeyRegistration'] // what the options ask for
}

const platform = (): WebAuthn => globalThis as unknown as WebAuthn // in browsers; elsewhere its absence is the error
