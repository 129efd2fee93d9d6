import { randomBytes } from 'node:crypto'
import { sha256 } from '../../lib/secrets.ts'

const count = 10
/** Crockford's base 32: no I, L, O or U. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** Ten codes of 80 random bits, as a person writes them down: `7k3m-x9pq-2f8d-h4ta`. */
export const newRecoveryCodes = (): string[] => Array.from({ length: count }, newCode)

function newCode(): string {
  const characters = [...randomBytes(16)].map(byte => alphabet[byte % 32])
  return characters.join('').replace(/(.{4})(?!$)/g, '$1-')
}

/** As kept: 80 random bits need no slow hash. Bound to the user, so that a row means nothing elsewhere. */
export const recoveryCodeHash = (userId: string, code: string): Buffer =>
  sha256(`recovery code ${userId} ${tidy(code)}`)

/** However it was typed: case and separators don't matter, and letters that are not in use are digits. */
const tidy = (code: string): string =>
  code
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '')
    .replaceAll('o', '0')
    .replace(/[il]/g, '1')
