import type { FieldError } from '../../http/problem-schema.ts'
import { ProblemError } from '../../http/problems.ts'
import { phoneFault, phoneKey } from '../../lib/phone.ts'
import {
  codePoints,
  emailKey,
  localeTag,
  readEmail,
  readName,
  readText,
  readUsername,
  webUrl,
} from '../../lib/text.ts'
import { timeZone } from '../../lib/time-zones.ts'
import type { IsReserved } from './reserved-usernames.ts'

/**
 * One field's rule: the value as it is kept, or null where it breaks the rule, and what the rule says, in general or
 * to the text that breaks it.
 */
type Rule = {
  read: (text: string) => string | null
  code: string
  takes: string | ((text: string) => string)
}

const longestName = 150

const name = (longest: number): Rule => ({
  read: text => readName(text, longest),
  code: 'name',
  takes: `takes 1 to ${longest} characters, at least one that can be seen, none of them control characters`,
})

/** A web address; of one site, where that is given. */
const address = (site?: string): Rule => ({
  read(text) {
    const url = webUrl(text)
    const host = url === null ? '' : new URL(url).hostname
    return site === undefined || host === site || host.endsWith(`.${site}`) ? url : null
  },
  code: 'url',
  takes: `takes an http or https address${site ? ` at ${site}` : ''} of at most 2048 characters`,
})

/** What an e-mail address takes, or why this one is none. */
export const aboutEmail = (text: string): string =>
  emailKey(text) === null
    ? 'takes one e-mail address of at most 254 characters'
    : 'has letters that only look like others (ligatures, full-width letters): type it with plain ones'

const rules = {
  username: {
    read: readUsername,
    code: 'username',
    takes:
      'takes 3 to 30 of the letters A–Z and a–z, digits, “.”, “_” and “-”, with a letter or digit at both ends',
  },
  email: {
    read: readEmail,
    code: 'email',
    takes: aboutEmail,
  },
  phone_number: {
    read: phoneKey,
    code: 'phone_number',
    takes: phoneFault,
  },
  full_name: name(longestName),
  first_name: name(75),
  last_name: name(75),
  current_title: name(150),
  location: name(150),
  avatar_url: {
    read: webUrl,
    code: 'url',
    takes: 'takes an http or https address of at most 2048 characters',
  },
  locale: { read: localeTag, code: 'locale', takes: 'takes a BCP 47 language tag, e.g. de-AT' },
  timezone: { read: timeZone, code: 'timezone', takes: 'takes an IANA time zone name, e.g. Europe/Vienna' },
  headline: name(200),
  company: name(150),
  city: name(100),
  country: name(100),
  bio: {
    read: text => readText(text, 2000),
    code: 'text',
    takes: 'takes 1 to 2000 characters, at least one that can be seen',
  },
  website_url: address(),
  linkedin_url: address('linkedin.com'),
  github_url: address('github.com'),
} satisfies Record<string, Rule>

export type UserField = keyof typeof rules

/**
 * Brings text fields into the form in which they are kept. `null` and absent fields stay as they are.
 * @param isReserved where a username would be a new one
 * @throws ProblemError validation_failed, naming every field that breaks its rule
 */
export function readFields<T extends { [field in UserField]?: string | null | undefined }>(
  input: T,
  isReserved?: IsReserved,
): T {
  const errors: FieldError[] = []
  const kept: Partial<Record<UserField, string | null>> = {}
  for (const field of Object.keys(rules) as UserField[]) {
    // the keys of the table above
    const text = input[field]
    if (text === undefined) continue
    const rule: Rule = rules[field]
    const value = text === null ? null : rule.read(text)
    if (text !== null && value === null) {
      const takes = typeof rule.takes === 'string' ? rule.takes : rule.takes(text)
      errors.push({ path: `/${field}`, code: rule.code, message: `${field} ${takes}` })
    }
    kept[field] = value
  }
  if (isReserved && kept.username != null && isReserved(kept.username)) errors.push(reservedUsername)
  if (errors.length > 0) throw new ProblemError('validation_failed', { errors })
  return { ...input, ...kept }
}

const reservedUsername: FieldError = {
  path: '/username',
  code: 'username',
  message: 'username is reserved: take another one',
}

/**
 * First and last name as one; null where there is neither.
 * @throws ProblemError validation_failed where that is longer than a full name may be
 */
export function joinNames(first?: string | null, last?: string | null): string | null {
  const joined = [first, last].filter(Boolean).join(' ') || null
  if (joined === null || codePoints(joined) <= longestName) return joined
  const message = `first_name and last_name are too long together: give a full_name of at most ${longestName} characters`
  throw new ProblemError('validation_failed', { errors: [{ path: '/full_name', code: 'name', message }] })
}
