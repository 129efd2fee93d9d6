import type { FieldError } from '../../http/problem-schema.ts'
import { ProblemError } from '../../http/problems.ts'
import { canonical, type Json } from '../../lib/json.ts'
import { compileRules } from './rules.ts'
import type { CrossRule, Definition, ValidationRules } from './schemas.ts'
import { ordered, orderOf, type RuleName, types } from './types.ts'

/**
 * Whether a definition makes sense in itself and beside the others of its scope.
 * @throws ProblemError validation_failed that names every fault
 */
export function checkDefinition(definition: Definition, others: ReadonlyMap<string, Definition>): void {
  const errors = [...ruleFaults(definition), ...crossRuleFaults(definition, others)]
  if (errors.length === 0) errors.push(...valueFaults(definition))
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
  for (const [low, high] of pairs) {
    if (isAbove(rules[low], rules[high])) {
      errors.push(fault(`/validation_rules/${low}`, 'contradiction', `Must not be more than ${high}.`))
    }
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
  if (errors.length > 0) return errors
  return [...compileFaults(setting_type, rules), ...defaultFaults(setting_type, rules, default_value)]
}

function compileFaults(type: Definition['setting_type'], rules: ValidationRules): FieldError[] {
  try {
    compileRules(type, rules)
    return []
  } catch (error) {
    const path = rules.schema === undefined ? '/validation_rules/pattern' : '/validation_rules/schema'
    return [
      fault(path, 'invalid', `Can’t be used: ${error instanceof Error ? error.message : 'unknown fault'}`),
    ]
  }
}

function defaultFaults(type: Definition['setting_type'], rules: ValidationRules, value: Json): FieldError[] {
  if (value === null) return []
  try {
    const found = compileRules(type, rules)(value)
    return found ? [{ path: `/default_value${found.pointer}`, code: found.code, message: found.message }] : []
  } catch {
    return [] // compileFaults() tells of it
  }
}

function crossRuleFaults(definition: Definition, others: ReadonlyMap<string, Definition>): FieldError[] {
  return definition.cross_rules.flatMap((rule, at) => {
    const message = crossRuleFault(definition, rule, others.get(rule.key))
    return message === undefined ? [] : [fault(`/cross_rules/${at}/key`, 'invalid', message)]
  })
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
