import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../../db/store.ts'
import { nilUuid } from '../../lib/ids.ts'
import { equalJson, type Json } from '../../lib/json.ts'
import type { ScopeView } from './registry.ts'
import { type ScanGroup, type Scope, scanValues } from './repo.ts'
import type { Definition, DryRun } from './schemas.ts'
import { breaksRule } from './validate.ts'

/** Users whose stored value of the key breaks a rule, all with the same value. */
export type InvalidGroup = {
  value: Json
  users: string[]
  message: string
  /** Whether the default in its place would break no rule. */
  defaultFits: boolean
}
export type ScanStep = { rows: number; invalid: InvalidGroup[] }

/** How many invalid values there are, with samples. */
export type Found = { count: number; samples: DryRun['samples'] }

const maxSamples = 10

export const nothingFound = (): Found => ({ count: 0, samples: [] })

export function addTo(found: Found, invalid: readonly InvalidGroup[]): void {
  for (const { users, value, message } of invalid) {
    found.count += users.length
    for (const user_id of users.slice(0, maxSamples - found.samples.length)) {
      found.samples.push({ user_id, value, message })
    }
  }
}

/**
 * Goes through all users' stored values of a key, in short reads that lock nothing, and finds those that
 * `view` refuses. A value is checked once for all users of a batch who share it.
 * @param key the definition that changes; where `view` lacks it, every stored value is found
 * @param batch users a read: fewer hold up others for less time
 * @param rest how long to pause after each batch, as a multiple of the time it took: leaves the machine to others
 */
export async function* scanFor(
  db: Db,
  options: { scope: Scope; view: ScopeView; key: string; batch: number; rest: number },
): AsyncGenerator<ScanStep> {
  const { scope, view, key, batch: size, rest } = options
  const keys = [key, ...partnersOf(view, key)]
  let after = nilUuid
  for (;;) {
    const began = performance.now()
    const batch = await scanValues(db, { scope, keys, after, size })
    if (batch.last === undefined) return
    after = batch.last
    yield { rows: batch.rows, invalid: await invalidOf(batch.groups, view, key) }
    if (rest > 0) await sleep((performance.now() - began) * rest)
  }
}

/** Lets others in between, where values take long to check. */
async function invalidOf(
  groups: readonly ScanGroup[],
  view: ScopeView,
  key: string,
): Promise<InvalidGroup[]> {
  const invalid: InvalidGroup[] = []
  let paused = performance.now()
  for (const { values, users } of groups) {
    const message = faultOf(view, key, values)
    if (message !== undefined) {
      const { [key]: value = null, ...others } = values
      invalid.push({ value, users, message, defaultFits: faultOf(view, key, others) === undefined })
    }
    if (performance.now() - paused > maxBlocking) {
      await nextTurn()
      paused = performance.now()
    }
  }
  return invalid
}

/** Milliseconds. */
const maxBlocking = 10

/** Keys that a cross rule ties to this one, in either direction. */
function partnersOf(view: ScopeView, key: string): string[] {
  const found = [...view.values()].flatMap(({ definition }) =>
    definition.cross_rules.flatMap(rule =>
      definition.key === key ? [rule.key] : rule.key === key ? [definition.key] : [],
    ),
  )
  return [...new Set(found)]
}

function faultOf(view: ScopeView, key: string, own: Record<string, Json>): string | undefined {
  const compiled = view.get(key)
  if (!compiled) return Object.hasOwn(own, key) ? 'The key is going to be removed.' : undefined
  if (Object.hasOwn(own, key)) {
    const found = compiled.check(own[key] ?? null)
    if (found) return found.message
  }
  for (const other of view.values()) {
    for (const rule of other.definition.cross_rules) {
      if (other.definition.key !== key && rule.key !== key) continue
      const found = breaksRule(view, other, rule, own)
      if (found) return `${other.definition.key}: ${found.message}`
    }
  }
  return undefined
}

/** Whether a change can make a stored value invalid at all; texts, order and flags can't. */
export function canInvalidate(before: Definition, after: Definition, view: ScopeView): boolean {
  if (before.setting_type !== after.setting_type) return true
  if (!equalJson(before.validation_rules as Json, after.validation_rules as Json)) return true
  if (!equalJson(before.cross_rules as Json, after.cross_rules as Json)) return true
  return !equalJson(before.default_value, after.default_value) && partnersOf(view, before.key).length > 0
}
