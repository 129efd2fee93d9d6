import type { Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { randomToken } from '../../lib/secrets.ts'
import type { Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { announceDefinition, type DefinitionDeps, saveDefinition } from './definitions.ts'
import { isPending, type Registry, toDefinition } from './registry.ts'
import * as repo from './repo.ts'
import { addTo, type Found, type InvalidGroup, nothingFound, type ScanStep, scanFor } from './scan.ts'
import type { Definition, OnInvalid } from './schemas.ts'
import { settingsUpdated } from './values.ts'

/** A change for which stored values are looked through; `candidate` null: the key is going to be removed. */
export type Planned<Candidate extends Definition | null = Definition | null> = {
  token: string
  key: string
  scope: repo.Scope
  candidate: Candidate
}

/** Milliseconds without a sign of life after which a change counts as given up. */
const patience = 60_000

/** Notes the change down: from the end of `trx` on, new values must satisfy it as well. */
export async function plan<Candidate extends Definition | null>(
  { store, clock }: DefinitionDeps,
  trx: Tx,
  change: Omit<Planned<Candidate>, 'token'>,
): Promise<Planned<Candidate>> {
  const planned = { ...change, token: randomToken(12) }
  const { token, key, candidate } = planned
  const at = clock.now()
  const pending = {
    pending: JSON.stringify({ token, candidate }),
    pending_until: new Date(at.getTime() + patience),
  }
  if (await repo.findDefinition(trx, key)) await repo.updateDefinition(trx, key, pending)
  else if (candidate) {
    // Counts as removed until it is there.
    await repo.putDefinition(trx, {
      ...candidate,
      ...pending,
      created_at: at,
      updated_at: null,
      updated_by: null,
      shipped: null,
      removed_at: at,
    })
  }
  await repo.raiseRegistryVersion(trx)
  await store.announce(trx, { kind: 'definitions' })
  return planned
}

/**
 * Looks through the stored values, does with the invalid ones what `onInvalid` says, and makes the change.
 * @throws ProblemError stored_values_invalid, definition_change_running where it took so long that another came first
 */
export async function carryOut<Candidate extends Definition | null>(
  deps: DefinitionDeps,
  origin: Origin,
  planned: Planned<Candidate>,
  onInvalid: OnInvalid | undefined,
): Promise<Candidate> {
  try {
    const invalid = await countInvalid(deps, planned, onInvalid)
    if (invalid > 0 && onInvalid === 'reset') {
      for await (const step of scan(deps, planned)) await resetAll(deps, planned, step.invalid)
    }
    await deps.store.transact(trx => finish(deps, trx, origin, planned, { invalid, onInvalid }))
  } catch (error) {
    await giveUp(deps, planned).catch(() => undefined) // it ends by itself after `patience`
    throw error
  }
  return planned.candidate
}

async function countInvalid(
  deps: DefinitionDeps,
  planned: Planned,
  onInvalid: OnInvalid | undefined,
): Promise<number> {
  const [found, beyondReset] = [nothingFound(), nothingFound()]
  for await (const { invalid } of scan(deps, planned)) {
    addTo(found, invalid)
    addTo(
      beyondReset,
      invalid.filter(({ defaultFits }) => !defaultFits),
    )
  }
  if (found.count > 0 && onInvalid === undefined) throw storedValuesInvalid(found, 'would become invalid')
  if (beyondReset.count > 0 && onInvalid === 'reset') {
    throw storedValuesInvalid(beyondReset, 'would be invalid with the default too, by a rule between keys')
  }
  return found.count
}

const storedValuesInvalid = ({ count, samples }: Found, what: string): ProblemError =>
  new ProblemError('stored_values_invalid', {
    detail: `${count} stored ${count === 1 ? 'value' : 'values'} ${what}.`,
    extra: { invalid: count, samples },
  })

async function* scan(deps: DefinitionDeps, planned: Planned): AsyncGenerator<ScanStep> {
  const { key, scope } = planned
  const { next } = await holdOn(deps, planned)
  if (!next) throw tookTooLong()
  const view = next[scope]
  let alive = performance.now()
  for await (const step of scanFor(deps.store.db, { scope, view, key, batch: 1000, rest: 0 })) {
    yield step
    if (performance.now() - alive > patience / 6) {
      alive = performance.now()
      await holdOn(deps, planned)
    }
  }
}

async function resetAll(
  { store, clock, definitions }: DefinitionDeps,
  { key, scope }: Planned,
  invalid: readonly InvalidGroup[],
): Promise<void> {
  if (invalid.length === 0) return
  const registry = await definitions.current()
  await store.transact(async trx => {
    const at = clock.now()
    const everybody = invalid.flatMap(({ users }) => users)
    await repo.lockValuesOfMany(trx, scope, everybody)
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

/** A sign of life. Returns the definitions, this change among what is about to be. */
function holdOn(deps: DefinitionDeps, planned: Planned): Promise<Registry> {
  const { store, clock, definitions } = deps
  return store.transact(async trx => {
    await lockPlanned(deps, trx, planned)
    await repo.updateDefinition(trx, planned.key, {
      pending_until: new Date(clock.now().getTime() + patience),
    })
    return definitions.load(trx)
  })
}

async function finish(
  deps: DefinitionDeps,
  trx: Tx,
  origin: Origin,
  planned: Planned,
  about: { invalid: number; onInvalid: OnInvalid | undefined },
): Promise<void> {
  const row = await lockPlanned(deps, trx, planned)
  const { key, candidate } = planned
  const details = about.invalid > 0 ? { invalid: about.invalid, on_invalid: about.onInvalid } : {}
  if (candidate) {
    const change = row.removed_at === null ? 'updated' : 'created'
    await saveDefinition(deps, trx, origin, candidate, { change, details })
    return
  }
  const at = deps.clock.now()
  if (row.shipped)
    await repo.updateDefinition(trx, key, { removed_at: at, pending: null, pending_until: null })
  else await repo.deleteDefinition(trx, key)
  const definition = toDefinition(row)
  await announceDefinition(deps.store, trx, origin, at, definition, { change: 'removed', details })
}

/**
 * The row of a change that still holds: meanwhile nobody's values passed by it.
 * @throws ProblemError definition_change_running
 */
async function lockPlanned(
  { clock }: DefinitionDeps,
  trx: Tx,
  { key, token }: Planned,
): Promise<repo.DefinitionRow> {
  await repo.lockDefinitions(trx)
  const row = await repo.findDefinition(trx, key)
  if (row?.pending?.token === token && isPending(row, clock.now())) return row
  throw tookTooLong()
}

const tookTooLong = (): ProblemError =>
  new ProblemError('definition_change_running', {
    detail: 'The change took too long without a sign of life. Nothing but resets came of it.',
  })

async function giveUp({ store }: DefinitionDeps, { key, token }: Planned): Promise<void> {
  await store.transact(async trx => {
    await repo.lockDefinitions(trx)
    const row = await repo.findDefinition(trx, key)
    if (row?.pending?.token !== token) return
    const wasNew = row.removed_at !== null && row.shipped === null
    if (wasNew) await repo.deleteDefinition(trx, key)
    else await repo.updateDefinition(trx, key, { pending: null, pending_until: null })
    await repo.raiseRegistryVersion(trx)
    await store.announce(trx, { kind: 'definitions' })
  })
}
