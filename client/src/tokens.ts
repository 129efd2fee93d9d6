import {
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWTHeaderParameters,
  jwtVerify,
} from 'jose'

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

/** Seconds for which keys count whose reply does not say (`Cache-Control: max-age`), and the most that are believed. */
const usualAge = 300
const longestAge = 600
/** Seconds beyond that for which keys go on counting while the service can't be reached. */
const grace = 300
/** Milliseconds from one look at the keys to the next for one that is not known: forged ids cause no requests. */
const lookAgainAfter = 10_000
/** Seconds by which clocks may differ. */
const clockTolerance = 5

const algorithms = ['EdDSA', 'Ed25519', 'ES256', 'RS256']

/**
 * Verifies access tokens with the service's public keys (JWKS, RFC 7517), without asking it for each.
 *
 * Keys are fetched anew once they are older than their reply's `max-age`, which the service sets to 300 seconds. So
 * a key that was removed (`roster keys rotate --immediately`) is refused **300 seconds** later at the latest, and 600
 * while the service can't be reached; after that every verification fails with the error of the fetch. A sign-out
 * is not known before the token expires; where that matters, ask `POST /api/v1/auth/introspect`.
 * @param options.url the service's public address, which is issuer and audience
 * @returns a function that answers a token's claims. It throws {@link InvalidToken} for a token that does not
 *   count, and another error where the keys can't be had
 */
export function createTokenVerifier(options: {
  url: string
  audience?: string
  /** Where the keys are, if not at the usual place below `url`. */
  keysUrl?: string
}): TokenVerifier {
  const { url, audience = url, keysUrl = `${url}/.well-known/jwks.json` } = options
  const keys = createKeys(keysUrl)
  return async token => {
    const rules = {
      issuer: url,
      audience,
      typ: 'at+jwt',
      algorithms,
      clockTolerance,
      requiredClaims: ['exp'],
    }
    const { payload } = await jwtVerify(token, keys, rules).catch(error => {
      throw error instanceof errors.JOSEError ? new InvalidToken(reasonOf(error), { cause: error }) : error
    })
    return payload as AccessTokenClaims // signed by the service
  }
}

type FindKey = ReturnType<typeof createLocalJWKSet>
type Published = { find: FindKey; at: number; maxAge: number }

/** Finds a token's key among those that are published, which it remembers as long as they may be. */
function createKeys(
  keysUrl: string,
): (header: JWTHeaderParameters, token: FlattenedJWSInput) => ReturnType<FindKey> {
  let published: Published | undefined
  let looking: Promise<void> | undefined
  let lookedAt = 0

  function look(): Promise<void> {
    lookedAt = Date.now()
    looking ??= fetchKeys(keysUrl)
      .then(found => {
        published = found
      })
      .finally(() => {
        looking = undefined
      })
    return looking
  }

  /** Whether the keys count for so many milliseconds longer than they say. A clock that was set back makes them old. */
  const counts = (extra = 0) => {
    const age = published ? Date.now() - published.at : -1
    return published !== undefined && age >= 0 && age < published.maxAge + extra
  }

  const mayLook = () => looking !== undefined || Math.abs(Date.now() - lookedAt) > lookAgainAfter

  return async (header, token) => {
    if (typeof header.kid !== 'string') throw new errors.JWSInvalid('no key id')
    if (!counts()) {
      const isBorne = counts(grace * 1000)
      if (!isBorne || mayLook()) {
        await look().catch(error => {
          if (!isBorne) throw error
        })
      }
    }
    try {
      return await find(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !mayLook()) throw error
      await look()
      return find(header, token)
    }
  }

  function find(header: JWTHeaderParameters, token: FlattenedJWSInput): ReturnType<FindKey> {
    if (!published) throw new errors.JWKSNoMatchingKey()
    return published.find(header, token)
  }
}

async function fetchKeys(keysUrl: string): Promise<Published> {
  const at = Date.now()
  const reply = await fetch(keysUrl, { signal: AbortSignal.timeout(5000) })
  if (!reply.ok) throw new Error(`jwks.json answered ${reply.status}`)
  const find = createLocalJWKSet((await reply.json()) as JSONWebKeySet) // which looks at it
  const said = /(?:^|[\s,])max-age=(\d{1,9})/.exec(reply.headers.get('cache-control') ?? '')?.[1]
  // A cache on the way may have had it for a while (RFC 9111, 5.1).
  const age = Number(reply.headers.get('age') ?? 0) || 0
  return { find, at, maxAge: (Math.min(Number(said ?? usualAge), longestAge) - age) * 1000 }
}

function reasonOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return 'expired'
  if (error instanceof errors.JWKSNoMatchingKey) return 'unknown key or kind'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'wrong signature'
  if (error instanceof errors.JWTClaimValidationFailed && ['iss', 'aud'].includes(error.claim)) {
    return 'made by or for somebody else'
  }
  return 'malformed'
}
