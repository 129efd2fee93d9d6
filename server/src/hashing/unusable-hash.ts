import { randomBytes } from 'node:crypto'
import { argon2Parameters } from './parameters.ts'

/**
 * A hash in today's form that belongs to no password: checking one against it costs what every check costs,
 * and fails.
 */
export function unusablePasswordHash(): string {
  const { memoryCost, timeCost, parallelism } = argon2Parameters
  const [salt, hash] = [randomBytes(16), randomBytes(32)].map(bytes =>
    bytes.toString('base64').replace(/=+$/, ''),
  )
  return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$${salt}$${hash}`
}
