import type { Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { randomToken } from '../../lib/secrets.ts'
import type { Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import {
  announceDefinition,
  candidateFor,
  type DefinitionDeps,
  othersOf,
  saveDefinition,
} from './definitions.ts'
import { obeyedKeys } from './effects.ts'
import { isPending, type Registry } from './registry.ts'
import * as repo from './repo.ts'
import { canInvalidate, type InvalidGroup, scanFor } from './scan.ts'
import type { Definition, DefinitionChange, OnInvalid } from './schemas.ts'
import { settingsUpdated } from './values.ts'

/** What a change waits for: `candidate` null means that the key is going to be removed. */
type Planned = { token: string; key: string; before: Definition; candidate: Definition | null }

/** Milliseconds without a sign of life after which a change counts as given up. */
const patience = 60_000

/**
 * Changes a definition. Where that could make stored values invalid, they are looked through first, without
 * blocking anybody: meanwhile new values must satisfy the old and the new definition, so that nothing gets in
 * behind the scan's back.
 * @throws ProblemError not_found, validation_failed, precondition_failed, definition_change_running,
 *   stored_values_invalid where there are such values and `on_invalid` does not say what becomes of them
 */
export async function changeDefinition(
  deps: DefinitionDeps,
  origin: Origin,
  key: string,
  change: DefinitionChange,
  ifMatch: ReadonlySet<number> | 'any' | undefined,
): Promise<Definition> {
  const planned = await deps.store.transact(async trx => {
    const registry = await begin(deps, trx, key)
    const made = candidateFor(registry, key, change)
    const present = made?.before ?? presentOf(registry, key)
    checkVersion(present, ifMatch)
    if (!made) return present
    if (!canInvalidate(made.before, made.candidate, registry.now[made.before.scope])) {
      await saveDefinition(deps, trx, origin, made.candidate, { change: 'updated' })
      return made.candidate
    }
    return plan(deps, trx, { token: randomToken(12), key, before: made.before, candidate: made.candidate })
  })
  if (!('token' in planned)) return planned
  await carryOut(deps, origin, planned, change.on_invalid)
  return planned.candidate ?? planned.before
}

/**
 * Removes a definition. One that came with the service stays removed in later versions.
 * @throws ProblemError not_found, setting_in_use, definition_change_running, stored_values_invalid
 */
export async function removeDefinition(
  deps: DefinitionDeps,
  origin: Origin,
  key: string,
  onInvalid: OnInvalid | undefined,
): Promise<void> {
  const planned = await deps.store.transact(async trx => {
    const registry = await begin(deps, trx, key)
    const before = presentOf(registry, key)
    refuseIfNeeded(registry, key)
    return plan(deps, trx, { token: randomToken(12), key, before, candidate: null })
  })
  await carryOut(deps, origin, planned, onInvalid)
}

function refuseIfNeeded(registry: Registry, key: string): void {
  if (obeyedKeys.has(key)) {
    throw new ProblemError('setting_in_use', { detail: 'The service itself obeys this key.' })
  }
  for (const other of othersOf(registry).values()) {
    if (other.key !== key && other.cross_rules.some(rule => rule.key === key)) {
      throw new ProblemError('setting_in_use', { detail: `A rule of ${other.key} mentions this key.` })
    }
  }
}

async function begin({ definitions, clock }: DefinitionDeps, trx: Tx, key: string): Promise<Registry> {
  await repo.lockDefinitions(trx)
  const row = await repo.findDefinition(trx, key)
  if (row && isPending(row, clock.now())) throw new ProblemError('definition_change_running')
  return definitions.load(trx)
}

function presentOf(registry: Registry, key: string): Definition {
  const present = othersOf(registry).get(key)
  if (!present) throw new ProblemError('not_found')
  return present
}

function checkVersion({ version }: Definition, ifMatch: ReadonlySet<number> | 'any' | undefined): void {
  if (ifMatch === undefined || ifMatch === 'any' || ifMatch.has(version)) return
  throw new ProblemError('precondition_failed', {
    detail: `The present version is ${version}.`,
    extra: { version },
  })
}

async function plan({ store, clock }: DefinitionDeps, trx: Tx, planned: Planned): Promise<Planned> {
  await repo.updateDefinition(trx, planned.key, {
    pending: JSON.stringify({ token: planned.token, candidate: planned.candidate }),
    pending_until: new Date(clock.now().getTime() + patience),
  })
  await repo.raiseRegistryVersion(trx)
  await store.announce(trx, { kind: 'definitions' })
  return planned
}

async function carryOut(
  deps: DefinitionDeps,
  origin: Origin,
  planned: Planned,
  onInvalid: OnInvalid | undefined,
): Promise<void> {
  try {
    const found = await lookThrough(deps, planned, onInvalid)
    if (found.count > 0 && onInvalid === undefined) throw storedValuesInvalid(found)
    await deps.store.transact(trx => finish(deps, trx, origin, planned, { invalid: found.count, onInvalid }))
  } catch (error) {
    await giveUp(deps, planned).catch(() => undefined) // it ends by itself after `patience`
    throw error
  }
}

type Found = { count: number; samples: { user_id: string; value: unknown; message: string }[] }

const storedValuesInvalid = ({ count, samples }: Found): ProblemError =>
  new ProblemError('stored_values_invalid', {
    detail: `${count} stored ${count === 1 ? 'value' : 'values'} would become invalid.`,
    extra: { invalid: count, samples },
  })

async function lookThrough(
  deps: DefinitionDeps,
  planned: Planned,
  onInvalid: OnInvalid | undefined,
): Promise<Found> {
  const { scope } = planned.before
  const registry = await deps.definitions.load(deps.store.db)
  const view = (registry.next ?? registry.now)[scope]
  const found: Found = { count: 0, samples: [] }
  let alive = performance.now()
  for await (const { invalid } of scanFor(deps.store.db, {
    scope,
    view,
    key: planned.key,
    batch: 1000,
    rest: 0,
  })) {
    addTo(found, invalid)
    if (onInvalid === 'reset') await resetAll(deps, planned, invalid)
    if (performance.now() - alive > patience / 6) {
      alive = performance.now()
      await holdOn(deps, planned)
    }
  }
  return found
}

export function addTo(found: Found, invalid: readonly InvalidGroup[]): void {
  for (const { users, value, message } of invalid) {
    found.count += users.length
    for (const user_id of users.slice(0, maxSamples - found.samples.length)) {
      found.samples.push({ user_id, value, message })
    }
  }
}

const maxSamples = 10

async function resetAll(
  { store, clock, definitions }: DefinitionDeps,
  { key, before }: Planned,
  invalid: readonly InvalidGroup[],
): Promise<void> {
  if (invalid.length === 0) return
  const { scope } = before
  const registry = await definitions.current()
  await store.transact(async trx => {
    const at = clock.now()
    for (const { value, users } of invalid) {
      for (const userId of await repo.removeValue(trx, { scope, key, value, users, at })) {
        await appendEvent(
          trx,
          at,
          settingsUpdated({ userId, scope, changed: [key], values: {}, registry, at }),
        )
      }
    }
    await store.announce(trx, { kind: 'definitions' })
  })
}

async function holdOn({ store, clock }: DefinitionDeps, { key }: Planned): Promise<void> {
  await store.transact(trx =>
    repo.updateDefinition(trx, key, { pending_until: new Date(clock.now().getTime() + patience) }),
  )
}

async function finish(
  deps: DefinitionDeps,
  trx: Tx,
  origin: Origin,
  { token, key, before, candidate }: Planned,
  about: { invalid: number; onInvalid: OnInvalid | undefined },
): Promise<void> {
  await repo.lockDefinitions(trx)
  const row = await repo.findDefinition(trx, key)
  if (row?.pending?.token !== token) throw new ProblemError('definition_change_running')
  const details = about.invalid > 0 ? { invalid: about.invalid, on_invalid: about.onInvalid } : {}
  if (candidate) {
    await saveDefinition(deps, trx, origin, candidate, { change: 'updated', details })
    return
  }
  const at = deps.clock.now()
  if (row.shipped)
    await repo.updateDefinition(trx, key, { removed_at: at, pending: null, pending_until: null })
  else await repo.deleteDefinition(trx, key)
  await announceDefinition(deps.store, trx, origin, at, before, { change: 'removed', details })
}

async function giveUp({ store }: DefinitionDeps, { key, token }: Planned): Promise<void> {
  await store.transact(async trx => {
    await repo.lockDefinitions(trx)
    const row = await repo.findDefinition(trx, key)
    if (row?.pending?.token !== token) return
    await repo.updateDefinition(trx, key, { pending: null, pending_until: null })
    await repo.raiseRegistryVersion(trx)
    await store.announce(trx, { kind: 'definitions' })
  })
}
