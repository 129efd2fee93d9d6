import { createRequire } from 'node:module'
import type { FieldError } from '../../http/problem-schema.ts'
import { ProblemError } from '../../http/problems.ts'
import { codePoints, fold } from '../../lib/text.ts'

export type PasswordPolicy = 'standard' | 'nist'

/** What a password must not be: names and addresses of its own user. */
export type PasswordOwner = {
  email?: string | undefined
  username?: string | undefined
  names?: readonly (string | null | undefined)[]
  /** Whether a role of theirs demands a second factor. */
  needsSecondFactor?: boolean
}

/** Characters: far above any passphrase. */
const maxPasswordLength = 128

/**
 * Checks a new password: document 5's rule (8 characters, upper case, lower case, digit), or NIST's (15
 * characters, 8 where a second factor is enforced, no composition); in both at most 128, none of the 49,000
 * commonest, not the user's own name.
 * @param field the JSON pointer of the field, for the errors
 * @throws ProblemError validation_failed, with every rule that is broken
 */
export function checkNewPassword(
  policy: PasswordPolicy,
  password: string,
  owner: PasswordOwner,
  field = '/password',
): void {
  const ruleSet = policy === 'nist' && owner.needsSecondFactor ? 'nist_with_mfa' : policy
  const broken = rules.filter(rule => rule.sets.includes(ruleSet) && !rule.holds(password, owner))
  if (broken.length === 0) return
  const errors: FieldError[] = broken.map(({ code, message }) => ({ path: field, code, message }))
  throw new ProblemError('validation_failed', { errors })
}

type RuleSet = PasswordPolicy | 'nist_with_mfa'

type Rule = {
  code: string
  message: string
  sets: readonly RuleSet[]
  holds(password: string, owner: PasswordOwner): boolean
}

const every = ['standard', 'nist', 'nist_with_mfa'] as const

const rules: readonly Rule[] = [
  {
    code: 'too_short',
    message: 'takes at least 8 characters',
    sets: ['standard', 'nist_with_mfa'],
    holds: password => codePoints(password) >= 8,
  },
  {
    code: 'too_short',
    message: 'takes at least 15 characters',
    sets: ['nist'],
    holds: password => codePoints(password) >= 15,
  },
  {
    code: 'too_long',
    message: `takes at most ${maxPasswordLength} characters`,
    sets: every,
    holds: password => codePoints(password) <= maxPasswordLength,
  },
  {
    code: 'no_upper_case',
    message: 'needs an upper-case letter',
    sets: ['standard'],
    holds: password => /\p{Lu}/u.test(password),
  },
  {
    code: 'no_lower_case',
    message: 'needs a lower-case letter',
    sets: ['standard'],
    holds: password => /\p{Ll}/u.test(password),
  },
  {
    code: 'no_digit',
    message: 'needs a digit',
    sets: ['standard'],
    holds: password => /\p{Nd}/u.test(password),
  },
  {
    code: 'common',
    message: 'is one of the most common passwords',
    sets: every,
    holds: password => !isCommon(fold(password)),
  },
  {
    code: 'own_name',
    message: 'must not be the user’s own name, username or e-mail address',
    sets: every,
    holds: (password, owner) => !ownWords(owner).has(fold(password)),
  },
]

/**
 * The list as one text, loaded with the first new password: as a set of strings it is 20 MB of a process at
 * rest, as a text 0.4, and searching that takes some microseconds.
 */
let commonPasswords: string | undefined

function isCommon(password: string): boolean {
  commonPasswords ??= loadCommonPasswords()
  return !password.includes('\n') && commonPasswords.includes(`\n${password}\n`)
}

function loadCommonPasswords(): string {
  const require = createRequire(import.meta.url)
  const { dictionary }: typeof import('@zxcvbn-ts/language-common') = require('@zxcvbn-ts/language-common')
  const text = `\n${dictionary['passwords-common'].join('\n')}\n`
  // What has been read is not needed twice.
  for (const file of Object.keys(require.cache)) {
    if (file.includes('language-common')) delete require.cache[file]
  }
  return text
}

function ownWords({ email, username, names = [] }: PasswordOwner): Set<string> {
  const words = [email, email?.slice(0, email.indexOf('@')), username, ...names]
  const present = words.filter((word): word is string => Boolean(word))
  return new Set(present.flatMap(word => [fold(word), fold(word).replaceAll(' ', '')]))
}
