import { isObject, type Json } from '../../lib/json.ts'
import { codePoints, isPlainLine, localeTag, readEmail, trimSpace, webUrl } from '../../lib/text.ts'
import { timeZone } from '../../lib/time-zones.ts'
import type { ValidationRules } from './schemas.ts'
import type { SettingType } from './setting-types.ts'

export type RuleName = keyof ValidationRules

type TypeRules = {
  /** Whether a value is of the type at all. */
  is: (value: Json) => boolean
  /** A text of the type in the one form in which it is kept, where one value can be written in several. */
  keep?: (text: string) => string | null
  /** For people: `Must be …`. */
  takes: string
  /** The rules that mean something for the type. */
  rules: readonly RuleName[]
  /** Rules that hold where the definition has none of its own, and that its own can't exceed. */
  limits?: { max_length?: number; max_items?: number }
}

const isText = (value: Json): value is string => typeof value === 'string'
const textRules = ['allowed_values', 'min_length', 'max_length', 'pattern'] as const
const listRules = ['allowed_values', 'min_items', 'max_items', 'unique_items'] as const

/** What each type takes, and which rules it knows. */
export const types: Readonly<Record<SettingType, TypeRules>> = {
  string: {
    is: value => isText(value) && isPlainLine(value),
    takes: 'text of one line',
    rules: textRules,
    limits: { max_length: 1000 },
  },
  text: { is: isText, takes: 'text', rules: textRules, limits: { max_length: 20_000 } },
  integer: { is: Number.isSafeInteger, takes: 'a whole number', rules: ['allowed_values', 'min', 'max'] },
  number: { is: Number.isFinite, takes: 'a number', rules: ['allowed_values', 'min', 'max'] },
  boolean: { is: value => typeof value === 'boolean', takes: 'true or false', rules: [] },
  date: {
    is: value => isText(value) && isDate(value),
    takes: 'a date such as 2026-01-31',
    rules: ['allowed_values', 'min', 'max'],
  },
  time: {
    is: value => isText(value) && timePattern.test(value),
    takes: 'a time such as 09:30 or 09:30:15',
    rules: ['allowed_values', 'min', 'max'],
  },
  enum: { is: isText, takes: 'one of the allowed values', rules: ['allowed_values'] },
  multi_enum: {
    is: value => Array.isArray(value) && value.every(isText) && new Set(value).size === value.length,
    takes: 'a list of allowed values, each at most once',
    rules: ['allowed_values', 'min_items', 'max_items'],
    limits: { max_items: 500 },
  },
  list: {
    is: Array.isArray,
    takes: 'a list',
    rules: [...listRules, 'schema'],
    limits: { max_items: 1000 },
  },
  object: { is: value => isObject(value), takes: 'an object', rules: ['schema'] },
  color: {
    is: value => isText(value) && /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(value),
    takes: 'a colour such as #1f6feb',
    rules: ['allowed_values'],
  },
  url: {
    is: value => isText(value) && webUrl(value) !== null,
    keep: trimSpace,
    takes: 'an http or https address',
    rules: textRules,
    limits: { max_length: 2048 },
  },
  email: {
    is: value => isText(value) && readEmail(value) !== null,
    keep: readEmail,
    takes: 'an e-mail address',
    rules: textRules,
    limits: { max_length: 254 },
  },
  timezone: {
    is: value => isText(value) && timeZone(value) !== null,
    keep: timeZone,
    takes: 'an IANA time zone name such as Europe/Vienna',
    rules: ['allowed_values'],
  },
  locale: {
    is: value => isText(value) && localeTag(value) !== null,
    keep: localeTag,
    takes: 'a BCP 47 language tag such as de-AT',
    rules: ['allowed_values'],
  },
}

const timePattern = /^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/

/** A day that exists (ISO 8601, years 0001 to 9999). */
function isDate(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || text.startsWith('0000')) return false
  const at = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text)
}

/** Seconds count as 00 where they are left out, so that 09:30 and 09:30:00 compare as the same time. */
export const comparable = (type: SettingType, value: Json): Json =>
  type === 'time' && typeof value === 'string' && value.length === 5 ? `${value}:00` : value

/** A value as it is kept. One that is not of the type stays as it is, to be refused. */
export function keptForm(type: SettingType, value: Json): Json {
  // Of a type that a newer version of the service knows there is nothing here.
  const { keep }: Partial<TypeRules> = types[type] ?? {}
  return keep !== undefined && isText(value) ? (keep(value) ?? value) : value
}

/** Types whose values have an order. */
export const ordered: ReadonlySet<SettingType> = new Set(['integer', 'number', 'date', 'time'])

/** The kind of order, for comparing values of two keys: numbers with numbers, dates with dates. */
export const orderOf = (type: SettingType): string => (type === 'integer' ? 'number' : type)

export const lengthOf = codePoints
