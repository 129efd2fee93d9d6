import type { Store, Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { equalJson, type Json } from '../../lib/json.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { checkDefinition } from './check-definition.ts'
import { obeyedKeys } from './effects.ts'
import type { Definitions, Registry } from './registry.ts'
import * as repo from './repo.ts'
import type { Definition, DefinitionChange, NewDefinition } from './schemas.ts'

export type DefinitionDeps = { store: Store; clock: Clock; definitions: Definitions }

const maxDefinitions = 1000

/**
 * Defines a new key.
 * @throws ProblemError setting_exists, validation_failed
 */
export async function createDefinition(
  deps: DefinitionDeps,
  origin: Origin,
  input: NewDefinition,
): Promise<Definition> {
  return deps.store.transact(async trx => {
    await repo.lockDefinitions(trx)
    const existing = await repo.findDefinition(trx, input.key)
    if (existing && existing.removed_at === null) throw new ProblemError('setting_exists')
    const registry = await deps.definitions.load(trx)
    refuseReserved(registry, input.key)
    const definition = { ...complete(input), version: (await repo.lastVersion(trx, input.key)) + 1 }
    checkDefinition(definition, othersOf(registry))
    await saveDefinition(deps, trx, origin, definition, { change: 'created' })
    return definition
  })
}

function refuseReserved({ now }: Registry, key: string): void {
  if (key === 'values') {
    throw new ProblemError('validation_failed', {
      errors: [{ path: '/key', code: 'reserved', message: 'Wraps the values in a change of them.' }],
    })
  }
  if (now.preference.size + now.setting.size >= maxDefinitions) {
    throw new ProblemError('validation_failed', {
      errors: [{ path: '', code: 'too_many', message: `There are ${maxDefinitions} keys already.` }],
    })
  }
}

const complete = (input: NewDefinition): Omit<Definition, 'version'> => ({
  key: input.key,
  scope: input.scope ?? 'setting',
  category: input.category ?? (input.key.includes('.') ? (input.key.split('.')[0] ?? 'general') : 'general'),
  setting_type: input.setting_type,
  description: input.description,
  default_value: input.default_value ?? null,
  validation_rules: input.validation_rules ?? {},
  cross_rules: input.cross_rules ?? [],
  is_public: input.is_public ?? false,
  is_readonly: input.is_readonly ?? false,
  sort_order: input.sort_order ?? 0,
  deprecated: input.deprecated ?? false,
})

export const othersOf = ({ now }: Registry): Map<string, Definition> =>
  new Map([...now.preference, ...now.setting].map(([key, { definition }]) => [key, definition]))

/**
 * What a definition becomes with `change`; undefined where nothing changes.
 * @throws ProblemError not_found, validation_failed
 */
export function candidateFor(
  registry: Registry,
  key: string,
  change: DefinitionChange,
): { before: Definition; candidate: Definition } | undefined {
  const others = othersOf(registry)
  const before = others.get(key)
  if (!before) throw new ProblemError('not_found')
  const { on_invalid: _, ...fields } = change
  const candidate = { ...before, ...fields }
  if (equalJson(before as Json, candidate as Json)) return undefined
  refuseToChangeObeyed(before, candidate)
  checkDefinition(candidate, others)
  checkThoseThatRefer(others, candidate)
  return { before, candidate: { ...candidate, version: before.version + 1 } }
}

function refuseToChangeObeyed(before: Definition, candidate: Definition): void {
  if (!obeyedKeys.has(before.key)) return
  for (const field of ['setting_type', 'default_value', 'validation_rules'] as const) {
    if (!equalJson(before[field] as Json, candidate[field] as Json)) {
      throw new ProblemError('validation_failed', {
        errors: [
          {
            path: `/${field}`,
            code: 'fixed',
            message: 'The service itself obeys this key, so this is fixed.',
          },
        ],
      })
    }
  }
}

/** A changed type must still compare with the keys whose rules mention it. */
function checkThoseThatRefer(others: ReadonlyMap<string, Definition>, candidate: Definition): void {
  const changed = new Map(others).set(candidate.key, candidate)
  for (const other of others.values()) {
    if (other.key !== candidate.key && other.cross_rules.some(rule => rule.key === candidate.key)) {
      checkDefinition(other, changed)
    }
  }
}

/** Writes a definition as it is from now on, with its history, audit row and event. */
export async function saveDefinition(
  { store, clock }: DefinitionDeps,
  trx: Tx,
  origin: Origin,
  definition: Definition,
  about: { change: 'created' | 'updated'; details?: Record<string, unknown> },
): Promise<void> {
  const at = clock.now()
  const existing = await repo.findDefinition(trx, definition.key)
  await repo.putDefinition(trx, {
    ...definition,
    default_value: JSON.stringify(definition.default_value),
    validation_rules: JSON.stringify(definition.validation_rules),
    cross_rules: JSON.stringify(definition.cross_rules),
    created_at: existing?.created_at ?? at,
    updated_at: about.change === 'created' ? null : at,
    updated_by: origin.actorId ?? null,
    shipped: existing?.shipped ? JSON.stringify(existing.shipped) : null,
    removed_at: null,
    pending: null,
    pending_until: null,
  })
  await repo.keepVersion(trx, {
    key: definition.key,
    version: definition.version,
    definition,
    at,
    by: origin.actorId ?? null,
  })
  await announceDefinition(store, trx, origin, at, definition, about)
}

/** Tells every process, the audit log and other services of a changed definition. */
export async function announceDefinition(
  store: Store,
  trx: Tx,
  origin: Origin,
  at: Date,
  { key, scope, version }: Definition,
  about: { change: 'created' | 'updated' | 'removed'; details?: Record<string, unknown> },
): Promise<void> {
  await repo.raiseRegistryVersion(trx)
  await appendAudit(trx, at, origin, {
    action: `setting_definition.${about.change}`,
    subject: { type: 'setting_definition', id: key },
    details: { scope, version, ...about.details },
  })
  await appendEvent(trx, at, {
    type: 'settings.definition_updated',
    data: { key, scope, version, change: about.change, updatedAt: at.toISOString() },
  })
  await store.announce(trx, { kind: 'definitions' })
}

export async function definitionVersions(deps: DefinitionDeps, key: string) {
  const rows = await repo.versionsOf(deps.store.db, key)
  if (rows.length === 0) throw new ProblemError('not_found')
  return {
    items: rows.map(row => ({
      version: row.version,
      changed_at: row.changed_at.toISOString(),
      changed_by: row.changed_by,
      definition: row.definition,
    })),
  }
}
