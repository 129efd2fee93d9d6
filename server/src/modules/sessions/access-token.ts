import { isUuid } from '../../lib/ids.ts'
import { randomToken } from '../../lib/secrets.ts'
import { adminRole, defaultRole } from '../access/index.ts'
import type { PrincipalRow } from './repo.ts'
import type { KeyRing, SigningKey } from './signing-keys.ts'

export type TokenSettings = {
  issuer: string
  audience: string
  /** Seconds */
  lifetime: number
}

export type VerifiedToken = {
  userId: string
  sessionId: string
  /** Milliseconds since 1970 */
  expiresAt: number
}

const type = 'at+jwt'
const maxLength = 4096

/**
 * Who the token of a session is for that can only enrol a second factor: this service, and no other that
 * checks a token's audience.
 */
const enrolmentAudience = ({ audience }: TokenSettings): string => `${audience}#mfa-enrolment`

/** An access token (RFC 9068) for a living session. Profile data and settings never go into one. */
export function issueAccessToken(
  keys: KeyRing,
  settings: TokenSettings,
  principal: PrincipalRow,
  now: Date,
): string {
  const at = Math.floor(now.getTime() / 1000)
  const roles = [...principal.granted_roles, defaultRole].sort()
  return keys.current().sign({
    iss: settings.issuer,
    sub: principal.user_id,
    aud: principal.enrolment_due ? enrolmentAudience(settings) : settings.audience,
    // Who verifies it alone must not believe in a session that is over.
    exp: Math.min(at + settings.lifetime, Math.floor(principal.expires_at.getTime() / 1000)),
    iat: at,
    jti: randomToken(12),
    sid: principal.session_id,
    role: roles.includes(adminRole) ? 'admin' : 'user',
    roles,
    amr: principal.authentication_methods,
    aal: principal.assurance_level,
    auth_time: Math.floor(principal.authenticated_at.getTime() / 1000),
  })
}

/**
 * Checks everything about a token but whether its session lives: key, algorithm, signature, type, issuer,
 * audience, times (RFC 8725, RFC 9068 section 4). Undefined where any of it is wrong. With `askForKey` the
 * database is asked for the key, whatever this process remembers.
 */
export async function verifyAccessToken(
  keys: KeyRing,
  settings: TokenSettings,
  token: string,
  now: Date,
  { askForKey }: { askForKey: boolean },
): Promise<VerifiedToken | undefined> {
  const kid = token.length <= maxLength ? keyId(token) : undefined
  const key = kid === undefined ? undefined : await findKey(keys, kid, askForKey)
  const claims = key && signedClaims(key, token)
  return claims && readClaims(claims, settings, now)
}

async function findKey(keys: KeyRing, kid: string, ask: boolean): Promise<SigningKey | undefined> {
  if (ask) await keys.reload()
  return keys.find(kid) ?? keys.findOrLoad(kid)
}

const headerFields = new Set(['alg', 'typ', 'kid'])

/** The `kid` of a header that says nothing we didn't write: no `jku`, `x5u`, `jwk` or `crit`. */
function keyId(token: string): string | undefined {
  try {
    const header: unknown = JSON.parse(
      Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString(),
    )
    if (typeof header !== 'object' || header === null) return undefined
    if (!Object.keys(header).every(name => headerFields.has(name))) return undefined
    if (!('typ' in header) || header.typ !== type) return undefined
    return 'kid' in header && typeof header.kid === 'string' ? header.kid : undefined
  } catch {
    return undefined
  }
}

function signedClaims(key: SigningKey, token: string): Record<string, unknown> | undefined {
  try {
    return key.verify(token).payload
  } catch {
    return undefined
  }
}

/** Seconds by which another machine's clock may be ahead of ours. */
const leeway = 5

function readClaims(
  claims: Record<string, unknown>,
  settings: TokenSettings,
  now: Date,
): VerifiedToken | undefined {
  const { iss, aud, sub, sid, exp, iat, nbf } = claims
  const seconds = now.getTime() / 1000
  if (iss !== settings.issuer) return undefined
  // What the session may do is in the database; the audience is for others who read the token.
  if (aud !== settings.audience && aud !== enrolmentAudience(settings)) return undefined
  if (typeof exp !== 'number' || exp <= seconds) return undefined
  if (typeof iat !== 'number' || iat > seconds + leeway) return undefined
  if (nbf !== undefined && (typeof nbf !== 'number' || nbf > seconds + leeway)) return undefined
  if (typeof sub !== 'string' || !isUuid(sub) || typeof sid !== 'string' || !isUuid(sid)) return undefined
  return { userId: sub, sessionId: sid, expiresAt: exp * 1000 }
}
