import { Secret, TOTP } from 'otpauth'
import { sixDigits } from '../../lib/bare-text.ts'

/** Seconds that a code lives, and how many digits it has: what every authenticator app takes (RFC 6238). */
const period = 30
const digits = 6

/** Steps before and after the present one that are accepted, for clocks that go wrong (RFC 6238, 5.2). */
const tolerance = 1

/** A new secret of 160 bits (RFC 4226, section 4, R6), and the URL that an authenticator app reads. */
export function newTotp(brand: string, label: string): { secret: string; url: string } {
  // The format has a colon between issuer and label, and in neither.
  const issuer = brand.replaceAll(':', ' ').replaceAll(/\s+/g, ' ').trim()
  const totp = new TOTP({ issuer, label, secret: new Secret({ size: 20 }), digits, period })
  return { secret: totp.secret.base32, url: totp.toString() }
}

/** The time step that a code is of, if it is one that is accepted now. However it was typed or pasted. */
export function stepOfCode(secret: string, typed: string, now: Date): number | undefined {
  const code = sixDigits(typed)
  if (code === null) return undefined
  const totp = new TOTP({ secret: Secret.fromBase32(secret), digits, period })
  const delta = totp.validate({ token: code, timestamp: now.getTime(), window: tolerance })
  return delta === null ? undefined : Math.floor(now.getTime() / 1000 / period) + delta
}
