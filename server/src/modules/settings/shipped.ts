import type { Store, Tx } from '../../db/store.ts'
import type { Clock } from '../../lib/clock.ts'
import { equalJson, type Json, type JsonObject } from '../../lib/json.ts'
import { sha256 } from '../../lib/secrets.ts'
import type { Origin } from '../audit/index.ts'
import { saveDefinition } from './definitions.ts'
import { type Definitions, toDefinition } from './registry.ts'
import * as repo from './repo.ts'
import type { Definition } from './schemas.ts'
import shippedFile from './shipped.json' with { type: 'json' }

type Deps = { store: Store; clock: Clock; definitions: Definitions }
type ShippedDefinition = Omit<Definition, 'version'>

const system: Origin = { actorType: 'system' }

/** The definitions that come with the service, from the one file that says what they are. */
// checkDefinition() sees each in the tests.
export const shippedDefinitions = (): ShippedDefinition[] => complete(shippedFile as unknown as JsonObject[])

const complete = (list: readonly JsonObject[]): ShippedDefinition[] =>
  list.map(
    definition =>
      ({
        default_value: null,
        validation_rules: {},
        cross_rules: [],
        is_public: false,
        is_readonly: false,
        deprecated: false,
        ...definition,
      }) as unknown as ShippedDefinition, // the file's own shape, tested
  )

/**
 * Brings the shipped definitions to what this version of the service ships, once for each version: new keys
 * are added, and of known ones every field follows that no administrator has changed. Keys that an
 * administrator removed stay removed, and keys of the administrators' own are left alone. Stored values stay
 * as they are, whether the new rules like them or not.
 */
export async function loadShipped(deps: Deps, shipped = shippedDefinitions()): Promise<void> {
  const digest = sha256(JSON.stringify(shipped)).toString('hex')
  if ((await repo.shippedDigest(deps.store.db)) === digest) return
  await deps.store.transact(async trx => {
    await repo.lockDefinitions(trx)
    if ((await repo.shippedDigest(trx)) === digest) return
    for (const definition of shipped) await loadOne(deps, trx, definition)
    await repo.keepShippedDigest(trx, digest)
  })
}

async function loadOne(deps: Deps, trx: Tx, shipped: ShippedDefinition): Promise<void> {
  const row = await repo.findDefinition(trx, shipped.key)
  if (!row) {
    const version = (await repo.lastVersion(trx, shipped.key)) + 1
    await saveDefinition(deps, trx, system, { ...shipped, version }, { change: 'created' })
    await repo.updateDefinition(trx, shipped.key, { shipped: JSON.stringify(shipped) })
    return
  }
  if (row.shipped === null) return // an administrator was first
  const merged = row.removed_at === null ? follow(toDefinition(row), row.shipped, shipped) : undefined
  if (merged) await saveDefinition(deps, trx, system, merged, { change: 'updated' })
  await repo.updateDefinition(trx, shipped.key, { shipped: JSON.stringify(shipped) })
}

/** Fields that are still as they were shipped become what is shipped now; undefined where nothing changes. */
function follow(
  present: Definition,
  before: Readonly<JsonObject>,
  shipped: ShippedDefinition,
): Definition | undefined {
  const now = present as unknown as JsonObject // plain JSON, as it came from the table
  const fresh = shipped as unknown as JsonObject // the same
  const followed = Object.keys(fresh).filter(
    field =>
      equalJson(now[field] ?? null, before[field] ?? null) &&
      !equalJson(now[field] ?? null, fresh[field] ?? null),
  )
  if (followed.length === 0) return undefined
  const changes = Object.fromEntries(followed.map(field => [field, fresh[field] as Json]))
  return { ...present, ...changes, version: present.version + 1 } as Definition // fields of the definition
}
