import { canonical, type Json } from '../../lib/json.ts'
import { allOf, type Check, type Finding, finding } from './findings.ts'
import { compileSchema } from './json-schema.ts'
import { checkPattern } from './patterns.ts'
import type { ValidationRules } from './schemas.ts'
import type { SettingType } from './setting-types.ts'
import { comparable, keptForm, lengthOf, type RuleName, types } from './types.ts'

/**
 * Compiles what a definition says of its values to one function. Null never reaches it: it means «no value of
 * one's own».
 * @throws Error with a message for people where a pattern or a schema can't be compiled
 */
export function compileRules(type: SettingType, rules: ValidationRules): Check {
  const { is, takes, limits } = types[type]
  const all: ValidationRules = { ...limits, ...rules }
  const checks = ruleNames.flatMap(name => {
    const wanted = all[name]
    return wanted === undefined ? [] : [compilers[name](wanted as never, type)] // the rule's own value
  })
  return allOf([
    value => (is(value) ? undefined : finding('wrong_type', 'setting_type', `Must be ${takes}.`, type)),
    ...checks,
  ])
}

type Compilers = {
  [Name in RuleName]-?: (wanted: NonNullable<ValidationRules[Name]>, type: SettingType) => Check
}

const compilers: Compilers = {
  allowed_values(allowed, type) {
    const keyOf = (value: Json) => canonical(keptForm(type, value))
    const known = new Set(allowed.map(keyOf))
    const refuse = (pointer: string): Finding => ({
      ...finding('not_allowed', 'allowed_values', `Must be one of: ${listed(allowed)}.`, allowed),
      pointer,
    })
    return value => {
      if (!Array.isArray(value)) return known.has(keyOf(value)) ? undefined : refuse('')
      const at = value.findIndex(item => !known.has(keyOf(item)))
      return at === -1 ? undefined : refuse(`/${at}`)
    }
  },
  min: (least, type) => value =>
    isBelow(type, value, least)
      ? finding('too_small', 'min', `Must be at least ${least}.`, least)
      : undefined,
  max: (most, type) => value =>
    isBelow(type, most, value) ? finding('too_large', 'max', `Must be at most ${most}.`, most) : undefined,
  min_length: least => value =>
    typeof value === 'string' && lengthOf(value) < least
      ? finding('too_short', 'min_length', `Must have at least ${count(least, 'character')}.`, least)
      : undefined,
  max_length: most => value =>
    typeof value === 'string' && value.length > most && lengthOf(value) > most
      ? finding('too_long', 'max_length', `Must have at most ${count(most, 'character')}.`, most)
      : undefined,
  pattern: checkPattern,
  min_items: least => value =>
    Array.isArray(value) && value.length < least
      ? finding('too_few', 'min_items', `Must have at least ${count(least, 'item')}.`, least)
      : undefined,
  max_items: most => value =>
    Array.isArray(value) && value.length > most
      ? finding('too_many', 'max_items', `Must have at most ${count(most, 'item')}.`, most)
      : undefined,
  unique_items: wanted => value =>
    wanted && Array.isArray(value) && new Set(value.map(canonical)).size < value.length
      ? finding('not_unique', 'unique_items', 'Must not have the same item twice.', true)
      : undefined,
  schema(schema) {
    const check = compileSchema(schema)
    return (value, effort) => {
      const found = check(value, effort)
      return found && { ...found, rule: 'schema' }
    }
  },
}

// Lengths and sizes before patterns and schemas: what is too long is refused before it is looked into.
const ruleNames: readonly RuleName[] = [
  'max_length',
  'max_items',
  'min_length',
  'min_items',
  'min',
  'max',
  'allowed_values',
  'unique_items',
  'pattern',
  'schema',
]

function isBelow(type: SettingType, value: Json, limit: Json): boolean {
  const [a, b] = [comparable(type, value), comparable(type, limit)]
  return (typeof a === 'number' && typeof b === 'number') || (typeof a === 'string' && typeof b === 'string')
    ? a < b
    : false
}

const count = (n: number, unit: string): string => `${n} ${unit}${n === 1 ? '' : 's'}`

const listed = (values: readonly Json[]): string =>
  values
    .slice(0, 20)
    .map(value => (typeof value === 'string' ? value : JSON.stringify(value)))
    .join(', ') + (values.length > 20 ? ' …' : '')
