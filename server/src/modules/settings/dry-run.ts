import { ProblemError } from '../../http/problems.ts'
import { enqueue, type Job } from '../../jobs/worker.ts'
import { uuidv7 } from '../../lib/ids.ts'
import { candidateFor, type DefinitionDeps, newDefinition, othersOf, refuseOther } from './definitions.ts'
import type { Registry, ScopeView } from './registry.ts'
import * as repo from './repo.ts'
import { compileRules } from './rules.ts'
import { addTo, nothingFound, scanFor } from './scan.ts'
import type { Definition, DefinitionChange, DryRun } from './schemas.ts'

const dryRunJob = { name: 'settings.dry_run' }

/** Up to so many users the reply waits for the result. */
const atOnce = 20_000
/** A run that did not move for so many milliseconds died with its process. */
const stale = 60_000
const noteEvery = 500

/**
 * How many stored values a changed definition, or a new one, would refuse, with samples: at once for few users, else as a
 * background job whose progress {@link findDryRun} tells. It reads in short batches and rests between them, so
 * that others hardly feel it.
 * @throws ProblemError not_found, validation_failed
 */
export async function startDryRun(
  deps: DefinitionDeps,
  key: string,
  change: DefinitionChange,
  startedBy: string,
): Promise<DryRun> {
  const { store, clock } = deps
  const registry = await deps.definitions.current()
  const candidate = toTry(registry, key, change)
  const total = await repo.countRows(store.db, candidate.scope)
  const at = clock.now()
  const id = uuidv7(at)
  await store.transact(async trx => {
    await repo.insertDryRun(trx, {
      id,
      key,
      candidate: JSON.stringify(candidate),
      status: 'running',
      total: String(total),
      started_at: at,
      started_by: startedBy,
      updated_at: at,
    })
    if (total > atOnce) await enqueue(trx, dryRunJob, { id })
  })
  if (total <= atOnce) await performDryRun(deps, id, { batch: 1000, rest: 0 })
  return findDryRun(deps, key, id)
}

function toTry(registry: Registry, key: string, change: DefinitionChange): Definition {
  const present = othersOf(registry).get(key)
  if (present) return candidateFor(registry, present, change) ?? present
  const { setting_type, on_invalid: _, version: __, ...fields } = change
  if (setting_type === undefined) throw new ProblemError('not_found')
  refuseOther({ key }, { key, ...fields }, 'Is what the path says')
  return newDefinition(registry, { description: '', ...fields, key, setting_type }, 1)
}

/** How far a dry-run is. @throws ProblemError not_found */
export async function findDryRun({ store, clock }: DefinitionDeps, key: string, id: string): Promise<DryRun> {
  const row = await repo.findDryRun(store.db, id)
  if (row?.key !== key) throw new ProblemError('not_found')
  const died = row.status === 'running' && clock.now().getTime() - row.updated_at.getTime() > stale
  return {
    id: row.id,
    key: row.key,
    status: died ? 'failed' : row.status,
    checked: Number(row.checked),
    total: Number(row.total),
    invalid: Number(row.invalid),
    samples: row.samples,
    started_at: row.started_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
  }
}

async function performDryRun(
  deps: DefinitionDeps,
  id: string,
  pace: { batch: number; rest: number },
): Promise<void> {
  const { store, clock } = deps
  const row = await repo.findDryRun(store.db, id)
  if (row?.status !== 'running') return
  const candidate = row.candidate
  const view = await viewWith(deps, candidate)
  const found = nothingFound()
  let checked = 0
  let noted = performance.now()
  const progress = () => ({
    checked: String(checked),
    invalid: String(found.count),
    samples: JSON.stringify(found.samples),
    updated_at: clock.now(),
  })
  for await (const step of scanFor(store.db, { scope: candidate.scope, view, key: row.key, ...pace })) {
    checked += step.rows
    addTo(found, step.invalid)
    if (performance.now() - noted < noteEvery) continue
    noted = performance.now()
    await repo.updateDryRun(store.db, id, progress())
  }
  await repo.updateDryRun(store.db, id, { ...progress(), status: 'done', finished_at: clock.now() })
}

/** The definitions with the candidate in its place. */
async function viewWith({ definitions }: DefinitionDeps, candidate: Definition): Promise<ScopeView> {
  const { now } = await definitions.current()
  return new Map(now[candidate.scope]).set(candidate.key, {
    definition: candidate,
    check: compileRules(candidate.setting_type, candidate.validation_rules),
  })
}

/** Dry-runs over many users, and the removal of old results. */
export function settingsJobs(deps: DefinitionDeps): Job[] {
  return [
    {
      ...dryRunJob,
      // Reads of about a millisecond, then four parts rest for one part work: others hardly feel that.
      run: payload => performDryRun(deps, idOf(payload), { batch: 200, rest: 4 }),
    },
    {
      name: 'settings.delete_dry_runs',
      schedule: '29 4 * * *',
      run: () =>
        repo.deleteDryRunsBefore(deps.store.db, new Date(deps.clock.now().getTime() - 7 * 24 * 3_600_000)),
    },
  ]
}

const idOf = (payload: unknown): string =>
  typeof payload === 'object' && payload !== null && 'id' in payload ? String(payload.id) : ''
