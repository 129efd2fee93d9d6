import type { FieldError } from '../../http/problem-schema.ts'
import type { Json, JsonObject } from '../../lib/json.ts'
import { nearest } from '../../lib/nearest.ts'
import { breaksCrossRule } from './cross-rules.ts'
import { escapePointer, type Finding, newEffort, toFieldError } from './findings.ts'
import { type Compiled, maxDefinitions, type ScopeView } from './registry.ts'

/** A user's value of a key, or the definition's default where they have none. */
export const effective = (own: Readonly<JsonObject>, { definition }: Compiled): Json =>
  Object.hasOwn(own, definition.key) ? (own[definition.key] ?? null) : definition.default_value

/** Unknown keys for which a known one is suggested: each is compared with all that there are. */
const maxGuesses = 3

/**
 * What is wrong with `changes`, each value by itself: unknown keys, keys that only administrators set, and
 * values that break a rule.
 */
export function checkChanges(
  view: ScopeView,
  changes: Readonly<JsonObject>,
  options: { mayWriteReadonly: boolean },
): FieldError[] {
  const entries = Object.entries(changes)
  if (entries.length > maxDefinitions) return [tooMany]
  const effort = newEffort()
  let guesses = 0
  return entries.flatMap(([key, value]) => {
    const compiled = view.get(key)
    if (!compiled) return [unknownKey(key, ++guesses <= maxGuesses ? view.keys() : [])]
    if (compiled.definition.is_readonly && !options.mayWriteReadonly) return [readOnly(key)]
    const found = value === null ? undefined : compiled.check(value, effort)
    return found ? [toFieldError(key, found)] : []
  })
}

/** What is wrong between keys, of which at least one is in `changed`; `own` is how the values will be. */
export function checkTogether(
  view: ScopeView,
  own: Readonly<JsonObject>,
  changed: ReadonlySet<string>,
): FieldError[] {
  return [...view.values()].flatMap(compiled =>
    compiled.definition.cross_rules.flatMap(rule => {
      if (!changed.has(compiled.definition.key) && !changed.has(rule.key)) return []
      const found = breaksRule(view, compiled, rule, own)
      return found ? [toFieldError(compiled.definition.key, found)] : []
    }),
  )
}

export function breaksRule(
  view: ScopeView,
  compiled: Compiled,
  rule: Compiled['definition']['cross_rules'][number],
  own: Readonly<JsonObject>,
): Finding | undefined {
  const other = view.get(rule.key)
  if (!other) return undefined
  return breaksCrossRule(compiled.definition, rule, effective(own, compiled), {
    definition: other.definition,
    value: effective(own, other),
  })
}

const tooMany: FieldError = {
  path: '',
  code: 'too_many',
  rule: 'max_keys',
  expected: maxDefinitions,
  message: `Must have at most ${maxDefinitions} keys.`,
}

function unknownKey(key: string, known: Iterable<string>): FieldError {
  const close = key.length <= 100 ? nearest(key, known) : undefined
  return {
    path: `/${escapePointer(key.slice(0, 100).toWellFormed())}`,
    code: 'unknown_key',
    rule: 'key',
    message: close === undefined ? 'There is no such key.' : `There is no such key. Did you mean ${close}?`,
  }
}

const readOnly = (key: string): FieldError => ({
  path: `/${escapePointer(key)}`,
  code: 'read_only',
  rule: 'is_readonly',
  message: 'Only administrators set this.',
})
