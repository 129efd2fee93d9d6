import { pbkdf2Sync, scryptSync, timingSafeEqual } from 'node:crypto'
import { hashSync, verifySync } from '@node-rs/argon2'
import bcrypt from 'bcryptjs'

/* What a hashing worker does. Synchronous on purpose: a worker does one thing at a time, on one core. */

/** argon2id, 19 MiB, 2 passes, 1 lane (OWASP's first choice; NIST SP 800-63B-4 asks for a memory-hard hash). */
export const argon2Parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** A PHC string: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`. */
export const hashPassword = (password: string): string => hashSync(password, argon2Parameters)

/**
 * Whether `password` is the one behind `hash`: argon2 of any kind, bcrypt, and scrypt and PBKDF2 as PHC
 * strings, for users who come from elsewhere. An unknown form is a false, never an exception.
 */
export function verifyPassword(hash: string, password: string): boolean {
  try {
    const scheme = schemes.find(({ prefix }) => hash.startsWith(prefix))
    return scheme?.form.test(hash) ? scheme.verify(hash, password) : false
  } catch {
    return false
  }
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

/** Whether users may be imported with this hash: its form is known and its cost bounded. */
export const isKnownHash = (hash: string): boolean => schemes.some(({ form }) => form.test(hash))

const base64 = '[A-Za-z0-9+/]+={0,2}'
/** 16 bytes at least: a shorter one fits too many passwords, an empty one all of them. */
const digest = '[A-Za-z0-9+/]{22,}={0,2}'

/** Costs are bounded by the forms: a hash from outside must not be able to hold a worker for minutes. */
const schemes = [
  {
    prefix: '$argon2',
    form: new RegExp(`^\\$argon2(id|i|d)\\$v=19\\$m=\\d{1,6},t=\\d,p=\\d{1,2}\\$${base64}\\$${digest}$`),
    verify: (hash: string, password: string) => verifySync(hash, password),
  },
  {
    prefix: '$2',
    form: /^\$2[aby]\$(0[4-9]|1[0-5])\$[A-Za-z0-9./]{53}$/,
    verify: (hash: string, password: string) => bcrypt.compareSync(password, hash),
  },
  {
    prefix: '$scrypt$',
    form: new RegExp(`^\\$scrypt\\$ln=(1[0-8]|[4-9]),r=\\d{1,2},p=\\d\\$${base64}\\$${digest}$`),
    verify: verifyScrypt,
  },
  {
    prefix: '$pbkdf2-',
    form: new RegExp(`^\\$pbkdf2-sha(1|256|512)\\$i=\\d{3,7}\\$${base64}\\$${digest}$`),
    verify: verifyPbkdf2,
  },
]

function verifyScrypt(hash: string, password: string): boolean {
  const [, , parameters = '', salt = '', expected = ''] = hash.split('$')
  const { ln = 0, r = 0, p = 0 } = phcNumbers(parameters)
  const wanted = Buffer.from(expected, 'base64')
  const options = { N: 2 ** ln, r, p, maxmem: 512 * 1024 * 1024 }
  return timingSafeEqual(scryptSync(password, Buffer.from(salt, 'base64'), wanted.length, options), wanted)
}

function verifyPbkdf2(hash: string, password: string): boolean {
  const [, name = '', parameters = '', salt = '', expected = ''] = hash.split('$')
  const { i = 0 } = phcNumbers(parameters)
  const wanted = Buffer.from(expected, 'base64')
  const digest = name.replace('pbkdf2-', '')
  return timingSafeEqual(pbkdf2Sync(password, Buffer.from(salt, 'base64'), i, wanted.length, digest), wanted)
}

const phcNumbers = (parameters: string): Record<string, number> =>
  Object.fromEntries(parameters.split(',').map(pair => [pair.split('=')[0], Number(pair.split('=')[1])]))
