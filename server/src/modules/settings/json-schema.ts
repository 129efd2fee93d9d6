import { canonical, isObject, type Json, type JsonObject } from '../../lib/json.ts'
import { allOf, type Check, escapePointer, type Finding, finding } from './findings.ts'
import { checkPattern } from './patterns.ts'
import { lengthOf } from './types.ts'

const maxDepth = 8
const maxSchemas = 200
/** Characters of all patterns together: each takes up to some milliseconds to compile. */
const maxPatterns = 2000

/**
 * Compiles the part of JSON Schema (2020-12) that describes a form: no references, no combinations, no
 * formats. A check takes time linear in the value; unknown keywords are refused rather than ignored.
 * @throws Error with a message for people
 */
export function compileSchema(schema: Json): Check {
  return compileAt(schema, { depth: 0, path: '', budget: { schemas: maxSchemas, patterns: maxPatterns } })
}

type Place = { depth: number; path: string; budget: { schemas: number; patterns: number } }

function compileAt(schema: Json, place: Place): Check {
  if (!isObject(schema)) throw new Error(`the schema at ${place.path || 'its root'} must be an object`)
  if (place.depth > maxDepth) throw new Error(`the schema is deeper than ${maxDepth} levels`)
  if (--place.budget.schemas < 0) throw new Error(`the schema has more than ${maxSchemas} parts`)
  const checks: Check[] = []
  for (const [keyword, wanted] of Object.entries(schema)) {
    const compile = Object.hasOwn(keywords, keyword) ? keywords[keyword] : undefined
    if (!compile) throw new Error(`the schema’s keyword ${JSON.stringify(keyword)} is not known here`)
    const check = compile(wanted, schema, { ...place, path: `${place.path}/${keyword}` })
    if (check) checks.push(check)
  }
  refuseContradictions(schema, place)
  return allOf(checks)
}

function refuseContradictions(schema: JsonObject, { path }: Place): void {
  for (const [low, high] of pairs) {
    const [least, most] = [schema[low] ?? null, schema[high] ?? null]
    if (least !== null && most !== null && least > most) {
      throw new Error(`${path}/${low} must not be more than ${high}`)
    }
  }
}

const pairs = [
  ['minimum', 'maximum'],
  ['minLength', 'maxLength'],
  ['minItems', 'maxItems'],
] as const

type Keyword = (wanted: Json, schema: JsonObject, place: Place) => Check | undefined

const note: Keyword = (wanted, _schema, { path }) => {
  if (typeof wanted !== 'string') throw new Error(`${path} must be text`)
  return undefined
}

const keywords: Readonly<Record<string, Keyword>> = {
  title: note,
  description: note,
  type(wanted, _schema, { path }) {
    const is = typeof wanted === 'string' && Object.hasOwn(kinds, wanted) ? kinds[wanted] : undefined
    if (!is) throw new Error(`${path} must be one of: ${Object.keys(kinds).join(', ')}`)
    return value =>
      is(value) ? undefined : finding('wrong_type', 'type', `Must be of type ${wanted}.`, wanted)
  },
  enum(wanted, _schema, { path }) {
    if (!Array.isArray(wanted) || wanted.length === 0) throw new Error(`${path} must be a list of values`)
    const known = new Set(wanted.map(canonical))
    return value =>
      known.has(canonical(value))
        ? undefined
        : finding(
            'not_allowed',
            'enum',
            `Must be one of: ${wanted.slice(0, 20).map(canonical).join(', ')}.`,
            wanted,
          )
  },
  const(wanted) {
    const known = canonical(wanted)
    return value =>
      canonical(value) === known ? undefined : finding('not_allowed', 'const', `Must be ${known}.`, wanted)
  },
  minimum: limit('number', (value, least) =>
    value >= least ? undefined : finding('too_small', 'minimum', `Must be at least ${least}.`, least),
  ),
  maximum: limit('number', (value, most) =>
    value <= most ? undefined : finding('too_large', 'maximum', `Must be at most ${most}.`, most),
  ),
  minLength: limit('string', (length, least) =>
    length >= least
      ? undefined
      : finding('too_short', 'minLength', `Must have at least ${least} characters.`, least),
  ),
  maxLength: limit('string', (length, most) =>
    length <= most
      ? undefined
      : finding('too_long', 'maxLength', `Must have at most ${most} characters.`, most),
  ),
  minItems: limit('array', (size, least) =>
    size >= least ? undefined : finding('too_few', 'minItems', `Must have at least ${least} items.`, least),
  ),
  maxItems: limit('array', (size, most) =>
    size <= most ? undefined : finding('too_many', 'maxItems', `Must have at most ${most} items.`, most),
  ),
  uniqueItems(wanted, _schema, { path }) {
    if (typeof wanted !== 'boolean') throw new Error(`${path} must be true or false`)
    return value =>
      wanted && Array.isArray(value) && new Set(value.map(canonical)).size < value.length
        ? finding('not_unique', 'uniqueItems', 'Must not have the same item twice.', true)
        : undefined
  },
  pattern(wanted, _schema, { path, budget }) {
    if (typeof wanted !== 'string' || wanted.length > 500) throw new Error(`${path} must be a pattern`)
    budget.patterns -= wanted.length
    if (budget.patterns < 0) {
      throw new Error(`the schema’s patterns have more than ${maxPatterns} characters together`)
    }
    return checkPattern(wanted)
  },
  items(wanted, _schema, place) {
    const check = compileAt(wanted, { ...place, depth: place.depth + 1 })
    return (value, effort) => {
      if (!Array.isArray(value)) return undefined
      for (const [at, item] of value.entries()) {
        const found = check(item, effort)
        if (found) return below(String(at), found)
      }
      return undefined
    }
  },
  properties(wanted, _schema, place) {
    if (!isObject(wanted)) throw new Error(`${place.path} must be an object`)
    const checks = Object.entries(wanted).map(([name, schema]) => {
      return [
        name,
        compileAt(schema, { ...place, depth: place.depth + 1, path: `${place.path}/${name}` }),
      ] as const
    })
    return (value, effort) => {
      if (!isObject(value)) return undefined
      for (const [name, check] of checks) {
        const found = Object.hasOwn(value, name) ? check(value[name] ?? null, effort) : undefined
        if (found) return below(name, found)
      }
      return undefined
    }
  },
  required(wanted, _schema, { path }) {
    if (!Array.isArray(wanted) || !wanted.every(name => typeof name === 'string')) {
      throw new Error(`${path} must be a list of names`)
    }
    return value => {
      if (!isObject(value)) return undefined
      const missing = wanted.find(name => !Object.hasOwn(value, name))
      return missing === undefined
        ? undefined
        : below(missing, finding('required', 'required', 'Is required.'))
    }
  },
  additionalProperties(wanted, { properties }, { path }) {
    if (typeof wanted !== 'boolean') throw new Error(`${path} must be true or false`)
    const known = new Set(isObject(properties) ? Object.keys(properties) : [])
    return value => {
      if (wanted || !isObject(value)) return undefined
      const unknown = Object.keys(value).find(name => !known.has(name))
      return unknown === undefined
        ? undefined
        : below(unknown, finding('unknown_field', 'additionalProperties', 'Is not known here.', false))
    }
  },
}

const kinds: Readonly<Record<string, (value: Json) => boolean>> = {
  string: value => typeof value === 'string',
  number: value => Number.isFinite(value),
  integer: value => Number.isInteger(value),
  boolean: value => typeof value === 'boolean',
  null: value => value === null,
  array: value => Array.isArray(value),
  object: value => isObject(value),
}

/** A keyword that limits a number, the length of a text, or the size of a list. */
function limit(
  kind: 'number' | 'string' | 'array',
  test: (size: number, wanted: number) => Finding | undefined,
): Keyword {
  return (wanted, _schema, { path }) => {
    if (typeof wanted !== 'number' || !Number.isFinite(wanted)) throw new Error(`${path} must be a number`)
    if (kind !== 'number' && !(Number.isInteger(wanted) && wanted >= 0)) {
      throw new Error(`${path} must be a whole number from 0`)
    }
    return value => {
      const size = sizeOf(kind, value)
      return size === undefined ? undefined : test(size, wanted)
    }
  }
}

function sizeOf(kind: 'number' | 'string' | 'array', value: Json): number | undefined {
  if (kind === 'number') return typeof value === 'number' ? value : undefined
  if (kind === 'string') return typeof value === 'string' ? lengthOf(value) : undefined
  return Array.isArray(value) ? value.length : undefined
}

const below = (name: string, found: Finding): Finding => ({
  ...found,
  pointer: `/${escapePointer(name)}${found.pointer}`,
})
