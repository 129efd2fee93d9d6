import { argon2Parameters } from './parameters.ts'

/** The form in which passwords are hashed and compared (NIST SP 800-63B-4, 3.1.1.2): NFC, never truncated. */
export const normalisePassword = (password: string): string => password.normalize('NFC')

const { memoryCost, timeCost, parallelism } = argon2Parameters
const ownPrefix = `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$`

/**
 * The texts to try against a hash, each once. Our own is of the normal form. Where a foreign one came from
 * nobody normalised: it may be of what was typed, or of the same letters in another form.
 */
export function candidatesFor(hash: string, password: string): readonly string[] {
  const normal = normalisePassword(password)
  if (hash.startsWith(ownPrefix)) return [normal]
  return [...new Set([normal, password, password.normalize('NFD')])]
}
