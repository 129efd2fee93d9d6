import { argon2Parameters } from './parameters.ts'

/** A stored hash, read. `cost` is what one check takes, in hashes of our own; `memory` what it needs, in KiB. */
export type StoredHash = { cost: number; memory: number } & (
  | { scheme: 'argon2'; text: string }
  | {
      scheme: 'bcrypt'
      /** As `crypt` writes it. */
      text: string
      /** What the password is keyed with before bcrypt sees it (passlib's `bcrypt_sha256`). */
      keyedWith?: string
    }
  | { scheme: 'scrypt'; n: number; r: number; p: number; salt: Buffer; digest: Buffer }
  | { scheme: 'pbkdf2'; algorithm: string; iterations: number; salt: Buffer; digest: Buffer }
)

/** How many of our own hashes one check of a foreign one may cost. */
const maxCost = 30
/** KiB that one check may need. */
const maxMemory = 131_072

/** What {@link maxCost} and {@link maxMemory} come to, for people. */
export const hashBounds =
  'argon2 with m × t up to 1,167,360 and m up to 131,072, bcrypt up to cost 13, scrypt up to ln=17, r=8, p=1, ' +
  'PBKDF2 up to 2,000,000 rounds of SHA-1, 1,700,000 of SHA-256 or 690,000 of SHA-512'

/**
 * Reads a hash in any form of {@link standardForm}. Undefined for what is none; whether it may be used at all is
 * another question: {@link isTooDear}.
 */
export function readHash(text: string): StoredHash | undefined {
  const standard = standardForm(text)
  for (const { form, read } of readers) {
    const found = form.exec(standard)
    if (found?.groups) return read(found.groups, standard)
  }
  return undefined
}

export const isTooDear = ({ cost, memory }: StoredHash): boolean => cost > maxCost || memory > maxMemory

/**
 * The one form in which a hash is stored: a PHC string, or bcrypt's own. Also takes what passlib, Django and
 * Werkzeug write; what is none of these stays as it is.
 */
export function standardForm(text: string): string {
  for (const { form, write } of writers) {
    const found = form.exec(text)
    if (found?.groups) return write(found.groups)
  }
  return text
}

type Groups = Record<string, string>
type Parameters = Record<string, number>

const b64 = '[A-Za-z0-9+/]'
/** 16 to 64 bytes: a shorter one fits too many passwords, an empty one all of them. */
const digest = `(?<digest>${b64}{22,86}={0,2})`
const salt = `(?<salt>${b64}{1,172}={0,2})`
const bcryptText = '[A-Za-z0-9./]'

const readers: readonly { form: RegExp; read(groups: Groups, text: string): StoredHash }[] = [
  {
    form: new RegExp(
      `^\\$argon2(id|i|d)\\$v=(16|19)\\$m=(?<m>[1-9]\\d{0,7}),t=(?<t>[1-9]\\d{0,5}),p=(?<p>[1-9]\\d{0,2})` +
        `\\$(?<salt>${b64}{11,86})\\$(?<digest>${b64}{22,86})$`,
    ),
    read(groups, text) {
      const { m = 0, t = 0 } = numbers(groups, 'm', 't')
      const own = argon2Parameters.memoryCost * argon2Parameters.timeCost
      return { scheme: 'argon2', text, cost: (m * t) / own, memory: m }
    },
  },
  {
    form: new RegExp(`^\\$2[abxy]\\$(?<rounds>0[4-9]|[12]\\d|3[01])\\$${bcryptText}{53}$`),
    read: (groups, text) => ({ scheme: 'bcrypt', text, ...bcryptCost(groups.rounds) }),
  },
  {
    form: new RegExp(
      `^\\$bcrypt-sha256\\$v=2,t=2b,r=(?<rounds>[4-9]|[12]\\d|3[01])\\$(?<salt>${bcryptText}{22})\\$(?<digest>${bcryptText}{31})$`,
    ),
    read: ({ rounds = '', salt = '', digest = '' }) => ({
      scheme: 'bcrypt',
      text: `$2b$${rounds.padStart(2, '0')}$${salt}${digest}`,
      keyedWith: salt,
      ...bcryptCost(rounds),
    }),
  },
  {
    form: new RegExp(
      `^\\$scrypt\\$ln=(?<ln>[1-9]|[12]\\d|3[01]),r=(?<r>[1-9]\\d{0,2}),p=(?<p>[1-9]\\d{0,2})\\$${salt}\\$${digest}$`,
    ),
    read(groups) {
      const { ln = 0, r = 0, p = 0 } = numbers(groups, 'ln', 'r', 'p')
      const n = 2 ** ln
      const work = { cost: (28 * n * r * p) / (2 ** 17 * 8), memory: (n * r) / 8 }
      return { scheme: 'scrypt', n, r, p, ...secretsOf(groups), ...work }
    },
  },
  {
    form: new RegExp(
      `^\\$pbkdf2-(?<algorithm>sha1|sha256|sha512)\\$i=(?<i>[1-9]\\d{2,8})\\$${salt}\\$${digest}$`,
    ),
    read(groups) {
      const { i: iterations = 0 } = numbers(groups, 'i')
      const { algorithm = '' } = groups
      const { salt, digest } = secretsOf(groups)
      const { bytes, perRound } = pbkdf2[algorithm] ?? { bytes: 1, perRound: Number.POSITIVE_INFINITY }
      const cost = iterations * perRound * Math.ceil(digest.length / bytes)
      return { scheme: 'pbkdf2', algorithm, iterations, salt, digest, cost, memory: 0 }
    },
  },
]

/** Bytes that one run gives, and what a round of it costs in hashes of our own. */
const pbkdf2: Readonly<Record<string, { bytes: number; perRound: number }>> = {
  sha1: { bytes: 20, perRound: 1.5e-5 },
  sha256: { bytes: 32, perRound: 1.75e-5 },
  sha512: { bytes: 64, perRound: 4.3e-5 },
}

const bcryptCost = (rounds = '') => ({ cost: 25 * 2 ** (Number(rounds) - 13), memory: 4 })

const numbers = (groups: Groups, ...names: string[]): Parameters =>
  Object.fromEntries(names.map(name => [name, Number(groups[name])]))

const secretsOf = ({ salt = '', digest = '' }: Groups) => ({
  salt: Buffer.from(salt, 'base64'),
  digest: Buffer.from(digest, 'base64'),
})

const plain = '(?<salt>[^$]{1,128})'
const hex = '(?<digest>(?:[0-9a-f]{2}){16,64})'
const anyDigest = `(?<digest>${b64}{22,86}={0,2})`

const writers: readonly { form: RegExp; write(groups: Groups): string }[] = [
  {
    // passlib: `$pbkdf2$` is SHA-1, and `.` stands for `+`.
    form: /^\$pbkdf2(?<algorithm>-sha256|-sha512)?\$(?<i>\d+)\$(?<salt>[A-Za-z0-9./]+)\$(?<digest>[A-Za-z0-9./]+)$/,
    write: ({ algorithm = '-sha1', i, salt = '', digest = '' }) =>
      `$pbkdf2${algorithm}$i=${i}$${salt.replaceAll('.', '+')}$${digest.replaceAll('.', '+')}`,
  },
  {
    form: new RegExp(`^pbkdf2_(?<algorithm>sha1|sha256)\\$(?<i>\\d+)\\$${plain}\\$${anyDigest}$`),
    write: ({ algorithm, i, salt = '', digest }) => `$pbkdf2-${algorithm}$i=${i}$${encode(salt)}$${digest}`,
  },
  {
    form: new RegExp(`^scrypt\\$(?<n>\\d+)\\$${plain}\\$(?<r>\\d+)\\$(?<p>\\d+)\\$${anyDigest}$`),
    write: ({ n, r, p, salt = '', digest }) =>
      `$scrypt$ln=${Math.log2(Number(n))},r=${r},p=${p}$${encode(salt)}$${digest}`,
  },
  {
    // Django names the algorithm once more in front.
    form: /^(argon2|bcrypt)\$(?<rest>(argon2(id|i|d)\$|\$2[abxy]\$).+)$/,
    write: ({ rest = '' }) => standardForm(rest.startsWith('$') ? rest : `$${rest}`),
  },
  {
    // Argon2 before it wrote its version.
    form: /^\$(?<kind>argon2(id|i|d))\$(?<rest>m=.+)$/,
    write: ({ kind, rest }) => `$${kind}$v=16$${rest}`,
  },
  {
    form: new RegExp(`^pbkdf2:(?<algorithm>sha1|sha256|sha512):(?<i>\\d+)\\$${plain}\\$${hex}$`),
    write: ({ algorithm, i, salt = '', digest = '' }) =>
      `$pbkdf2-${algorithm}$i=${i}$${encode(salt)}$${encode(digest, 'hex')}`,
  },
  {
    form: new RegExp(`^scrypt:(?<n>\\d+):(?<r>\\d+):(?<p>\\d+)\\$${plain}\\$${hex}$`),
    write: ({ n, r, p, salt = '', digest = '' }) =>
      `$scrypt$ln=${Math.log2(Number(n))},r=${r},p=${p}$${encode(salt)}$${encode(digest, 'hex')}`,
  },
]

const encode = (text: string, encoding: BufferEncoding = 'utf8'): string =>
  Buffer.from(text, encoding).toString('base64').replace(/=+$/, '')
