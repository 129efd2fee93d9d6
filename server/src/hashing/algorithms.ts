import { createHmac, pbkdf2Sync, scryptSync, timingSafeEqual } from 'node:crypto'
import { hashSync, verifySync } from '@node-rs/argon2'
import { verifySync as verifyBcryptSync } from '@node-rs/bcrypt'
import { argon2Parameters } from './parameters.ts'
import { isTooDear, readHash, type StoredHash } from './stored-hash.ts'

/* What a hashing worker does. Synchronous on purpose: a worker does one thing at a time, on one core. */

/** A PHC string: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`. */
export const hashPassword = (password: string): string => hashSync(password, argon2Parameters)

/**
 * Whether `password`, byte by byte, is the one behind `hash`. What is no hash, or would cost too much, fits
 * nothing, after one hash of our own: never an exception.
 */
export function verifyPassword(hash: string, password: string): boolean {
  const stored = readHash(hash)
  try {
    if (stored && !isTooDear(stored)) return fits(stored, password)
  } catch {}
  hashPassword(password)
  return false
}

function fits(stored: StoredHash, password: string): boolean {
  switch (stored.scheme) {
    case 'argon2':
      return verifySync(stored.text, password)
    case 'bcrypt':
      return verifyBcryptSync(bcryptKey(stored, password), stored.text)
    case 'scrypt': {
      const { n: N, r, p, salt, digest } = stored
      const options = { N, r, p, maxmem: 256 * 1024 * 1024 }
      return timingSafeEqual(scryptSync(password, salt, digest.length, options), digest)
    }
    case 'pbkdf2': {
      const { algorithm, iterations, salt, digest } = stored
      return timingSafeEqual(pbkdf2Sync(password, salt, iterations, digest.length, algorithm), digest)
    }
  }
}

/** What bcrypt is given. It looks at the first 72 bytes, as its origin did. */
function bcryptKey(stored: StoredHash & { scheme: 'bcrypt' }, password: string): string | Buffer {
  if (stored.keyedWith !== undefined) {
    return createHmac('sha256', stored.keyedWith).update(password).digest('base64')
  }
  return stored.text.startsWith('$2x$') ? signExtendedKey(password) : password
}

/**
 * `$2x$` marks hashes by a crypt_blowfish that took bytes from 0x80 on as negative numbers. Its key is 18 words;
 * returned are the 72 bytes of which a sound bcrypt makes the same words.
 */
function signExtendedKey(password: string): Buffer {
  const text = Buffer.from(`${password}\0`)
  const key = Buffer.alloc(72)
  for (let word = 0; word < 18; word += 1) {
    let value = 0
    for (let byte = 0; byte < 4; byte += 1) {
      value = (value << 8) | text.readInt8((word * 4 + byte) % text.length)
    }
    key.writeInt32BE(value, word * 4)
  }
  return key
}

/** Whether a hash is foreign or weaker than {@link hashPassword} makes it, and so due at the next login. */
export function needsRehash(hash: string): boolean {
  const found = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$/.exec(hash)
  return (
    !found ||
    Number(found[1]) < argon2Parameters.memoryCost ||
    Number(found[2]) < argon2Parameters.timeCost ||
    Number(found[3]) < argon2Parameters.parallelism
  )
}
