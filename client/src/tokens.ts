import { createPublicKey, type KeyObject, verify } from 'node:crypto'

/** What an access token says (RFC 9068's claims and the service's own). */
export type AccessTokenClaims = {
  iss: string
  sub: string
  aud: string
  exp: number
  iat: number
  jti: string
  sid: string
  role: string
  roles: string[]
  amr: string[]
  aal: string
  auth_time: number
}

export class InvalidToken extends Error {
  override readonly name = 'InvalidToken'
}

export type TokenVerifier = (token: string) => Promise<AccessTokenClaims>

type Jwk = { kid?: string; alg?: string; kty: string; crv?: string }

/** How each algorithm verifies; a key counts for the one algorithm that it names. */
const algorithms: Readonly<Record<string, (data: Buffer, key: KeyObject, signature: Buffer) => boolean>> = {
  EdDSA: (data, key, signature) => verify(null, data, key, signature),
  ES256: (data, key, signature) => verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature),
  RS256: (data, key, signature) => verify('sha256', data, key, signature),
}

/** Milliseconds from one look at the keys to the next for one that is not known: forged ids cause no requests. */
const lookAgainAfter = 10_000
/** Seconds by which clocks may differ. */
const skew = 5

/**
 * Verifies access tokens with the service's public keys, without asking it for each. It can't know of a sign-out
 * before the token expires; where that matters, ask `POST /api/v1/auth/introspect`.
 * @param options.url the service's public address, which is issuer and audience
 */
export function createTokenVerifier(options: {
  url: string
  audience?: string
  /** Where the keys are, if not at the usual place below `url`. */
  keysUrl?: string
}): TokenVerifier {
  const keys = new Map<string, { key: KeyObject; algorithm: string }>()
  let lookedAt = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined

  async function fetchKeys(): Promise<void> {
    const reply = await fetch(options.keysUrl ?? `${options.url}/.well-known/jwks.json`, {
      signal: AbortSignal.timeout(5000),
    })
    if (!reply.ok) throw new Error(`jwks.json answered ${reply.status}`)
    const { keys: published } = (await reply.json()) as { keys: Jwk[] } // RFC 7517
    keys.clear()
    for (const jwk of published) {
      if (!jwk.kid || !jwk.alg || !algorithms[jwk.alg]) continue
      keys.set(jwk.kid, { key: createPublicKey({ key: jwk, format: 'jwk' }), algorithm: jwk.alg })
    }
    lookedAt = performance.now()
  }

  async function findKey(kid: string) {
    const known = keys.get(kid)
    if (known) return known
    if (performance.now() - lookedAt > lookAgainAfter) {
      looking ??= fetchKeys().finally(() => {
        looking = undefined
      })
    }
    await looking
    return keys.get(kid)
  }

  return async token => {
    const [header = '', payload = '', signature = '', ...rest] = token.split('.')
    const { alg, kid, typ } = parse(header)
    if (rest.length > 0 || typeof kid !== 'string') throw new InvalidToken('malformed')
    const found = await findKey(kid)
    if (!found || found.algorithm !== alg || typ !== 'at+jwt') throw new InvalidToken('unknown key or kind')
    const data = Buffer.from(`${header}.${payload}`)
    if (!algorithms[found.algorithm]?.(data, found.key, Buffer.from(signature, 'base64url'))) {
      throw new InvalidToken('wrong signature')
    }
    const claims = parse(payload)
    const now = Date.now() / 1000
    if (claims.iss !== options.url || claims.aud !== (options.audience ?? options.url)) {
      throw new InvalidToken('made by or for somebody else')
    }
    if (typeof claims.exp !== 'number' || claims.exp <= now - skew) throw new InvalidToken('expired')
    return claims as AccessTokenClaims // signed by the service
  }
}

function parse(part: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown> // just checked
  } catch {}
  throw new InvalidToken('malformed')
}
