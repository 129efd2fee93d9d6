import type { Store, Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { equalJson, type Json } from '../../lib/json.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { checkDefinition } from './check-definition.ts'
import { obeyedKeys } from './effects.ts'
import { type Definitions, maxDefinitions, type Registry } from './registry.ts'
import * as repo from './repo.ts'
import type { Definition, DefinitionChange, NewDefinition } from './schemas.ts'
import { keptForm } from './types.ts'

export type DefinitionDeps = { store: Store; clock: Clock; definitions: Definitions }

/**
 * A new key's definition, with what `input` leaves out.
 * @throws ProblemError setting_exists, validation_failed
 */
export function newDefinition(registry: Registry, input: NewDefinition, version: number): Definition {
  const others = othersOf(registry)
  if (others.has(input.key)) throw new ProblemError('setting_exists')
  refuseReserved(registry, input.key)
  const definition = withKeptForms({ ...complete(input), version })
  refuseToChangeObeyed(definition)
  checkDefinition(definition, others)
  return definition
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

/** With the values that a definition mentions in the form in which users' are kept. */
function withKeptForms(definition: Definition): Definition {
  const { setting_type: type, default_value, validation_rules: rules } = definition
  const allowed_values = rules.allowed_values?.map(value => keptForm(type, value))
  return {
    ...definition,
    default_value: keptForm(type, default_value),
    validation_rules: { ...rules, ...(allowed_values && { allowed_values }) },
  }
}

export const othersOf = ({ now }: Registry): Map<string, Definition> =>
  new Map([...now.preference, ...now.setting].map(([key, { definition }]) => [key, definition]))

/** @throws ProblemError not_found */
export function presentOf({ now }: Registry, key: string): Definition {
  const compiled = now.preference.get(key) ?? now.setting.get(key)
  if (!compiled) throw new ProblemError('not_found')
  return compiled.definition
}

/**
 * What a definition becomes with `change`; undefined where nothing changes.
 * @throws ProblemError validation_failed
 */
export function candidateFor(
  registry: Registry,
  before: Definition,
  change: DefinitionChange,
): Definition | undefined {
  const { on_invalid: _, version: __, ...fields } = change
  const candidate = withKeptForms({ ...before, ...fields })
  refuseOther({ key: before.key, scope: before.scope }, candidate, 'Never changes')
  if (equalJson(before as Json, candidate as Json)) return undefined
  refuseToChangeObeyed(candidate)
  checkDefinition(candidate, othersOf(registry))
  return { ...candidate, version: before.version + 1 }
}

function refuseToChangeObeyed(candidate: Definition): void {
  const fixed = obeyedKeys.get(candidate.key) ?? {}
  refuseOther(fixed, candidate, 'The service itself obeys this key, so this is fixed')
}

/** Refuses other values of fields that are fixed, and says why they are. @throws ProblemError validation_failed */
export function refuseOther(
  fixed: Readonly<Partial<Definition>>,
  candidate: Readonly<Partial<Definition>>,
  why: string,
): void {
  const errors = (Object.keys(fixed) as (keyof Definition)[]) // the fields of a definition
    .filter(field => !equalJson(fixed[field] as Json, candidate[field] as Json))
    .map(field => ({ path: `/${field}`, code: 'fixed', message: `${why}: ${JSON.stringify(fixed[field])}.` }))
  if (errors.length > 0) throw new ProblemError('validation_failed', { errors })
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

/** The definition of a key. @throws ProblemError not_found */
export async function findDefinition({ definitions }: DefinitionDeps, key: string): Promise<Definition> {
  return presentOf(await definitions.current(), key)
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
