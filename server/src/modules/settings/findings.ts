import type { FieldError } from '../../http/problem-schema.ts'
import type { Json } from '../../lib/json.ts'

/** What is wrong with one value. */
export type Finding = {
  /** JSON pointer below the value; empty for the value itself. */
  pointer: string
  code: string
  /** The rule that the value breaks. */
  rule: string
  /** What that rule says, for a form to show in its own words. */
  expected?: Json
  message: string
}

/** Steps that patterns may still take, for all values that are checked together. */
export type Effort = { steps: number }

/**
 * Undefined: the value is valid. The first broken rule is enough for a form to show. Values that are checked
 * together share an effort; without one a value has its own.
 */
export type Check = (value: Json, effort?: Effort) => Finding | undefined

/** Steps of patterns in one change of values: a tenth of a second of the worst patterns there are. */
export const maxSteps = 2_000_000

export const newEffort = (): Effort => ({ steps: maxSteps })

export const finding = (code: string, rule: string, message: string, expected?: Json): Finding => ({
  pointer: '',
  code,
  rule,
  message,
  ...(expected !== undefined && { expected }),
})

/** The first finding of several checks. */
export const allOf =
  (checks: readonly Check[]): Check =>
  (value, effort = newEffort()) => {
    for (const check of checks) {
      const found = check(value, effort)
      if (found) return found
    }
    return undefined
  }

export const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1')

export const toFieldError = (key: string, { pointer, ...found }: Finding): FieldError => ({
  path: `/${escapePointer(key)}${pointer}`,
  ...found,
})
