import type { FieldError } from '../../http/problem-schema.ts'
import { ProblemError } from '../../http/problems.ts'
import { canonical, type Json } from '../../lib/json.ts'
import { breaksCrossRule } from './cross-rules.ts'
import { type Check, maxSteps, newEffort } from './findings.ts'
import { compileSchema } from './json-schema.ts'
import { compilePattern } from './patterns.ts'
import { compileRules } from './rules.ts'
import type { CrossRule, Definition, ValidationRules } from './schemas.ts'
import { ordered, orderOf, type RuleName, types } from './types.ts'

/**
 * Whether a definition makes sense in itself and beside the others of its scope, so that there are values which
 * it takes, its default among them.
 * @throws ProblemError validation_failed that names every fault
 */
export function checkDefinition(definition: Definition, others: ReadonlyMap<string, Definition>): void {
  const errors = [...ruleFaults(definition), ...crossRuleFaults(definition, others)]
  if (errors.length === 0) errors.push(...valueFaults(definition))
  if (errors.length === 0) errors.push(...defaultsFaults(definition, others))
  if (errors.length > 0) throw new ProblemError('validation_failed', { errors })
}

const fault = (path: string, code: string, message: string): FieldError => ({ path, code, message })

function ruleFaults({ setting_type, validation_rules: rules }: Definition): FieldError[] {
  const type = types[setting_type]
  const errors: FieldError[] = []
  for (const name of Object.keys(rules) as RuleName[]) {
    // the keys of the rules' schema
    if (!type.rules.includes(name)) {
      const known = type.rules.join(', ') || 'none'
      errors.push(
        fault(
          `/validation_rules/${name}`,
          'rule_not_for_type',
          `Does not apply to ${setting_type}; it takes: ${known}.`,
        ),
      )
    }
  }
  for (const [name, most] of Object.entries(type.limits ?? {})) {
    const wanted = rules[name as 'max_length' | 'max_items'] // the keys of limits
    if (wanted !== undefined && wanted > most) {
      errors.push(
        fault(`/validation_rules/${name}`, 'too_large', `Must be at most ${most} for ${setting_type}.`),
      )
    }
  }
  if ((setting_type === 'enum' || setting_type === 'multi_enum') && !rules.allowed_values) {
    errors.push(fault('/validation_rules/allowed_values', 'required', `Is required for ${setting_type}.`))
  }
  const schemaType = setting_type === 'list' ? 'array' : 'object'
  if (type.rules.includes('schema') && (rules.schema?.type ?? schemaType) !== schemaType) {
    const message = `Its type must be ${schemaType} for ${setting_type}.`
    errors.push(fault('/validation_rules/schema/type', 'contradiction', message))
  }
  return [...errors, ...contradictions(setting_type, rules)]
}

function contradictions(type: Definition['setting_type'], rules: ValidationRules): FieldError[] {
  const all: ValidationRules = { ...types[type].limits, ...rules }
  const errors = pairs
    .filter(([low, high]) => isAbove(all[low], all[high]))
    .map(([low, high]) =>
      fault(
        `/validation_rules/${low}`,
        'contradiction',
        `Must not be more than ${high}${rules[high] === undefined ? `, which is ${all[high]} for ${type}` : ''}.`,
      ),
    )
  const allowed = rules.allowed_values?.length
  const eachOnce = type === 'multi_enum' || rules.unique_items
  if (eachOnce && errors.length === 0 && isAbove(rules.min_items, allowed)) {
    const message = `Must not be more than the ${allowed} allowed values, each of which may be there once.`
    errors.push(fault('/validation_rules/min_items', 'contradiction', message))
  }
  return errors
}

const pairs = [
  ['min', 'max'],
  ['min_length', 'max_length'],
  ['min_items', 'max_items'],
] as const

const isAbove = (low: string | number | undefined, high: string | number | undefined): boolean =>
  low !== undefined && high !== undefined && typeof low === typeof high && low > high

/** Everything a definition mentions as a value must be one. */
function valueFaults({ setting_type, validation_rules: rules, default_value }: Definition): FieldError[] {
  const errors: FieldError[] = []
  const { is, takes } = types[setting_type]
  const isList = setting_type === 'multi_enum' || setting_type === 'list'
  for (const name of ['min', 'max'] as const) {
    const value = rules[name]
    if (value !== undefined && !is(value))
      errors.push(fault(`/validation_rules/${name}`, 'wrong_type', `Must be ${takes}.`))
  }
  const seen = new Set<string>()
  for (const [at, value] of (rules.allowed_values ?? []).entries()) {
    const path = `/validation_rules/allowed_values/${at}`
    if (!isList && !is(value)) errors.push(fault(path, 'wrong_type', `Must be ${takes}.`))
    else if (setting_type === 'multi_enum' && typeof value !== 'string') {
      errors.push(fault(path, 'wrong_type', 'Must be text.'))
    } else if (seen.has(canonical(value))) errors.push(fault(path, 'not_unique', 'Is listed twice.'))
    seen.add(canonical(value))
  }
  if (errors.length === 0) errors.push(...compileFaults(setting_type, rules))
  if (errors.length === 0) errors.push(...allowedValueFaults(setting_type, rules))
  if (errors.length === 0) errors.push(...defaultFaults(setting_type, rules, default_value))
  return errors
}

function compileFaults(type: Definition['setting_type'], rules: ValidationRules): FieldError[] {
  try {
    compileRules(type, rules)
    return patternFaults(type, rules)
  } catch (error) {
    const path = rules.schema === undefined ? '/validation_rules/pattern' : '/validation_rules/schema'
    return [
      fault(path, 'invalid', `Can’t be used: ${error instanceof Error ? error.message : 'unknown fault'}`),
    ]
  }
}

/** The longest text that the rules allow must be one that the pattern may be matched against. */
function patternFaults(type: Definition['setting_type'], rules: ValidationRules): FieldError[] {
  if (rules.pattern === undefined) return []
  const longest = rules.max_length ?? types[type].limits?.max_length ?? 0
  const pattern = compilePattern(rules.pattern)
  if (pattern.stepsFor(longest) <= maxSteps) return []
  const most = Math.floor(maxSteps / pattern.stepsFor(1))
  const message = `Is too large for texts of ${longest} characters: it needs a max_length of at most ${most}.`
  return [fault('/validation_rules/pattern', 'too_large', message)]
}

/** An allowed value that another rule refuses could never be set. */
function allowedValueFaults(type: Definition['setting_type'], rules: ValidationRules): FieldError[] {
  const check = checkOfAllowed(type, rules)
  const effort = newEffort()
  return (rules.allowed_values ?? []).flatMap((value, at) => {
    const found = check?.(value, effort)
    return found ? [fault(`/validation_rules/allowed_values/${at}`, found.code, found.message)] : []
  })
}

function checkOfAllowed(type: Definition['setting_type'], rules: ValidationRules): Check | undefined {
  const { allowed_values: _, schema, ...others } = rules
  if (type === 'multi_enum') return undefined
  if (type !== 'list') return compileRules(type, others)
  return schema?.items === undefined ? undefined : compileSchema(schema.items)
}

function defaultFaults(type: Definition['setting_type'], rules: ValidationRules, value: Json): FieldError[] {
  const found = value === null ? undefined : compileRules(type, rules)(value)
  return found ? [{ path: `/default_value${found.pointer}`, code: found.code, message: found.message }] : []
}

function crossRuleFaults(definition: Definition, others: ReadonlyMap<string, Definition>): FieldError[] {
  const own = definition.cross_rules.flatMap((rule, at) => {
    const message = crossRuleFault(definition, rule, others.get(rule.key))
    return message === undefined ? [] : [fault(`/cross_rules/${at}/key`, 'invalid', message)]
  })
  const referring = [...others.values()]
    .filter(({ key }) => key !== definition.key)
    .flatMap(other =>
      other.cross_rules.flatMap(rule => {
        const message = rule.key === definition.key ? crossRuleFault(other, rule, definition) : undefined
        return message === undefined ? [] : [fault('/setting_type', 'invalid', `${other.key}: ${message}`)]
      }),
    )
  return [...own, ...referring]
}

function crossRuleFault(
  { key, scope, setting_type }: Definition,
  rule: CrossRule,
  other: Definition | undefined,
): string | undefined {
  if (rule.key === key) return 'Must be another key.'
  if (!other || other.scope !== scope) return `There is no ${scope} ${rule.key}.`
  if (rule.op === 'requires') return undefined
  if (rule.op === 'eq' || rule.op === 'ne') return undefined
  if (!ordered.has(setting_type)) return `Values of ${setting_type} have no order.`
  return orderOf(other.setting_type) === orderOf(setting_type)
    ? undefined
    : `${rule.key} is ${other.setting_type}, which does not compare with ${setting_type}.`
}

/** Users who set nothing must break no rule between keys. */
function defaultsFaults(definition: Definition, others: ReadonlyMap<string, Definition>): FieldError[] {
  const all = new Map(others).set(definition.key, definition)
  return [...all.values()].flatMap(one =>
    one.cross_rules.flatMap(rule => {
      const other = all.get(rule.key)
      if (!other || (one !== definition && other !== definition)) return []
      const found = breaksCrossRule(one, rule, one.default_value, {
        definition: other,
        value: other.default_value,
      })
      return found ? [fault('/default_value', 'cross_field', `${one.key}: ${found.message}`)] : []
    }),
  )
}
