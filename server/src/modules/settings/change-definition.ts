import type { Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Origin } from '../audit/index.ts'
import { carryOut, type Planned, plan } from './carry-out.ts'
import {
  candidateFor,
  type DefinitionDeps,
  newDefinition,
  othersOf,
  presentOf,
  saveDefinition,
} from './definitions.ts'
import { obeyedKeys } from './effects.ts'
import { type Registry, toDefinition } from './registry.ts'
import * as repo from './repo.ts'
import { canInvalidate } from './scan.ts'
import type { Definition, DefinitionChange, NewDefinition, OnInvalid } from './schemas.ts'

type Versions = ReadonlySet<number> | 'any' | undefined

/**
 * Defines a new key. Values may be left from an earlier definition of it, and a rule between keys may not hold
 * for what users have; then they are looked through as in {@link changeDefinition}.
 * @throws ProblemError setting_exists, validation_failed, definition_change_running, stored_values_invalid
 */
export async function createDefinition(
  deps: DefinitionDeps,
  origin: Origin,
  { on_invalid, ...input }: NewDefinition,
): Promise<Definition> {
  const { key } = input
  const planned = await deps.store.transact(async trx => {
    const registry = await begin(deps, trx)
    const candidate = newDefinition(registry, input, (await repo.lastVersion(trx, key)) + 1)
    await refuseWhileChanging(deps, trx, key, [candidate])
    if (candidate.version === 1 && candidate.cross_rules.length === 0) {
      await saveDefinition(deps, trx, origin, candidate, { change: 'created' })
      return candidate
    }
    return plan(deps, trx, { key, scope: candidate.scope, candidate })
  })
  return isPlanned(planned) ? carryOut(deps, origin, planned, on_invalid) : planned
}

/**
 * Changes a definition. Where that could make stored values invalid, they are looked through first, without
 * blocking anybody: meanwhile new values must satisfy the old and the new definition, so that nothing gets in
 * behind the scan's back.
 * @throws ProblemError not_found, validation_failed, precondition_failed, definition_change_running,
 *   stored_values_invalid where there are such values and `on_invalid` does not say what becomes of them, or
 *   says `reset` and the default would break a rule between keys
 */
export async function changeDefinition(
  deps: DefinitionDeps,
  origin: Origin,
  key: string,
  change: DefinitionChange,
  ifMatch: Versions,
): Promise<Definition> {
  const planned = await deps.store.transact(async trx => {
    const registry = await begin(deps, trx)
    const present = presentOf(registry, key)
    checkVersion(present, ifMatch)
    if (change.version !== undefined) checkVersion(present, new Set([change.version]))
    const candidate = candidateFor(registry, present, change)
    if (!candidate) return present
    await refuseWhileChanging(deps, trx, key, [present, candidate])
    if (!canInvalidate(present, candidate, registry.now[present.scope])) {
      await saveDefinition(deps, trx, origin, candidate, { change: 'updated' })
      return candidate
    }
    return plan(deps, trx, { key, scope: present.scope, candidate })
  })
  return isPlanned(planned) ? carryOut(deps, origin, planned, change.on_invalid) : planned
}

/**
 * Removes a definition. One that came with the service stays removed in later versions.
 * @throws ProblemError not_found, precondition_failed, setting_in_use, definition_change_running,
 *   stored_values_invalid
 */
export async function removeDefinition(
  deps: DefinitionDeps,
  origin: Origin,
  key: string,
  onInvalid: OnInvalid | undefined,
  ifMatch: Versions,
): Promise<void> {
  const planned = await deps.store.transact(async trx => {
    const registry = await begin(deps, trx)
    const before = presentOf(registry, key)
    checkVersion(before, ifMatch)
    refuseIfNeeded(registry, key)
    await refuseWhileChanging(deps, trx, key, [before])
    return plan(deps, trx, { key, scope: before.scope, candidate: null })
  })
  await carryOut(deps, origin, planned, onInvalid)
}

const isPlanned = (result: Definition | Planned<Definition>): result is Planned<Definition> =>
  'token' in result

async function begin({ definitions }: DefinitionDeps, trx: Tx): Promise<Registry> {
  await repo.lockDefinitions(trx)
  return definitions.load(trx)
}

function checkVersion({ version }: Definition, ifMatch: Versions): void {
  if (ifMatch === undefined || ifMatch === 'any' || ifMatch.has(version)) return
  throw new ProblemError('precondition_failed', {
    detail: `The present version is ${version}.`,
    extra: { version },
  })
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

/**
 * While values are looked through for one change, no other of the key itself begins, nor of a key that a rule
 * ties to it: each would be checked against what the other is about to replace.
 * @param versions the definition as it is and as it is going to be
 */
async function refuseWhileChanging(
  { clock }: DefinitionDeps,
  trx: Tx,
  key: string,
  versions: readonly Definition[],
): Promise<void> {
  for (const row of await repo.changingDefinitions(trx, clock.now())) {
    const theirs = [toDefinition(row), ...(row.pending?.candidate ? [row.pending.candidate] : [])]
    if (row.key === key || mentions(versions, row.key) || mentions(theirs, key)) {
      throw new ProblemError('definition_change_running', { detail: `${row.key} is being changed.` })
    }
  }
}

const mentions = (versions: readonly Definition[], key: string): boolean =>
  versions.some(({ cross_rules }) => cross_rules.some(rule => rule.key === key))
