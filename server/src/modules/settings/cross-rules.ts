import { equalJson, type Json } from '../../lib/json.ts'
import type { Finding } from './findings.ts'
import { finding } from './findings.ts'
import type { CrossRule, Definition } from './schemas.ts'
import { comparable } from './types.ts'

/** Undefined where the rule holds. Null is «no value». */
export function breaksCrossRule(
  definition: Definition,
  rule: CrossRule,
  value: Json,
  other: { definition: Definition; value: Json },
): Finding | undefined {
  const { op } = rule
  if (value === null || (op !== 'requires' && other.value === null)) return undefined
  const a = comparable(definition.setting_type, value)
  const b = comparable(other.definition.setting_type, other.value)
  if (relations[op].holds(a, b)) return undefined
  const than = op === 'requires' ? '' : ` (${JSON.stringify(other.value)})`
  return finding('cross_field', op, `${relations[op].says} ${rule.key}${than}.`, rule.key)
}

type Relation = { holds: (a: Json, b: Json) => boolean; says: string }

const relations: Readonly<Record<CrossRule['op'], Relation>> = {
  lt: { holds: (a, b) => !(compare(a, b) >= 0), says: 'Must be less than' },
  lte: { holds: (a, b) => !(compare(a, b) > 0), says: 'Must not be more than' },
  gt: { holds: (a, b) => !(compare(a, b) <= 0), says: 'Must be more than' },
  gte: { holds: (a, b) => !(compare(a, b) < 0), says: 'Must not be less than' },
  eq: { holds: equalJson, says: 'Must be the same as' },
  ne: { holds: (a, b) => !equalJson(a, b), says: 'Must be different from' },
  requires: { holds: (_a, b) => b !== null, says: 'Needs a value of' },
}

/** Values of types that don't compare, left from before a change of type, break no rule. */
function compare(a: Json, b: Json): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  return Number.NaN // which no comparison below finds above or below anything
}
