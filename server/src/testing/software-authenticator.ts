import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { isoCBOR } from '@simplewebauthn/server/helpers'
import { sha256 } from '../lib/secrets.ts'
import type { SignedUp, TestApp } from './harness.ts'

/** One passkey in software, for tests that need no browser: a security key that verifies its person, or does not. */
export type SoftwareAuthenticator = {
  /** Makes the passkey. @param userPresent whether somebody touches it meanwhile */
  register(options: { challenge: string }, userPresent?: boolean): SoftwareCredential
  /** Signs a challenge. @param userVerified whether it asks for its person's PIN or fingerprint this time */
  sign(options: { challenge: string }, userVerified: boolean): SoftwareCredential
}

type SoftwareCredential = { id: string; rawId: string; type: string; response: Record<string, string> }

type Cbor = Parameters<typeof isoCBOR.encode>[0]

const flags = { userPresent: 0x01, userVerified: 0x04, attested: 0x40 }

/** @param origin of the page or app that it is used from */
export function softwareAuthenticator(origin = 'http://localhost:8000'): SoftwareAuthenticator {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const id = randomBytes(32)
  let counter = 0

  const clientData = (type: string, challenge: string): Buffer =>
    Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }))

  function authenticatorData(flag: number, attested = Buffer.alloc(0)): Buffer {
    counter += 1
    const head = Buffer.alloc(5)
    head.writeUInt8(flag)
    head.writeUInt32BE(counter, 1)
    return Buffer.concat([sha256('localhost'), head, attested])
  }

  function credential(response: Record<string, Buffer>) {
    const texts = Object.entries(response).map(([name, bytes]) => [name, bytes.toString('base64url')])
    const text = id.toString('base64url')
    return { id: text, rawId: text, type: 'public-key', response: Object.fromEntries(texts) }
  }

  return {
    register({ challenge }, userPresent = true) {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(id.length)
      const attested = Buffer.concat([
        Buffer.alloc(16),
        length,
        id,
        coseKey(publicKey.export({ format: 'jwk' }).x),
      ])
      const flag = flags.attested | (userPresent ? flags.userPresent : 0)
      const authData = new Uint8Array(authenticatorData(flag, attested))
      const attestation = new Map<string, Cbor>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authData],
      ])
      return credential({
        clientDataJSON: clientData('webauthn.create', challenge),
        attestationObject: Buffer.from(isoCBOR.encode(attestation)),
      })
    },
    sign({ challenge }, userVerified) {
      const data = authenticatorData(flags.userPresent | (userVerified ? flags.userVerified : 0))
      const clientDataJSON = clientData('webauthn.get', challenge)
      const signature = sign(null, Buffer.concat([data, sha256(clientDataJSON)]), privateKey)
      return credential({ clientDataJSON, authenticatorData: data, signature })
    },
  }
}

/** An Ed25519 key as COSE writes it (RFC 9053, section 7.2): kty OKP, alg EdDSA, crv Ed25519, x. */
function coseKey(x = ''): Buffer {
  const key = new Map<number, Cbor>([
    [1, 1],
    [3, -8],
    [-1, 6],
    [-2, new Uint8Array(Buffer.from(x, 'base64url'))],
  ])
  return Buffer.from(isoCBOR.encode(key))
}

/** Registers a passkey for the signed-in user. */
export async function registerPasskey(
  roster: TestApp,
  { token }: Pick<SignedUp, 'token'>,
  name?: string,
): Promise<SoftwareAuthenticator> {
  const key = softwareAuthenticator()
  const { status, text } = await offerPasskey(roster, { token }, key, name)
  if (status !== 201) throw new Error(`registration failed: ${text}`)
  return key
}

/** The same, with the reply for an answer. */
export async function offerPasskey(
  roster: TestApp,
  { token }: Pick<SignedUp, 'token'>,
  key: SoftwareAuthenticator,
  name?: string,
) {
  const options = await roster.post('/api/v1/auth/passkeys/register/options', undefined, { token })
  if (options.status !== 200) return options
  const body = { credential: key.register(options.body), ...(name !== undefined && { name }) }
  return roster.post('/api/v1/auth/passkeys/register/verify', body, { token })
}

/** Signs in with the passkey alone. */
export async function signInWithPasskey(roster: TestApp, key: SoftwareAuthenticator, userVerified: boolean) {
  const { body } = await roster.post('/api/v1/auth/passkeys/login/options')
  return roster.post('/api/v1/auth/passkeys/login/verify', { credential: key.sign(body, userVerified) })
}
