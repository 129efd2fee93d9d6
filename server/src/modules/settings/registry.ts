import type { News } from '../../db/news.ts'
import type { Db, Store } from '../../db/store.ts'
import type { Clock } from '../../lib/clock.ts'
import { canonical } from '../../lib/json.ts'
import { loadingCache } from '../../lib/loading-cache.ts'
import type { Check } from './findings.ts'
import { allDefinitions, type DefinitionRow, registryVersion, type Scope } from './repo.ts'
import { compileRules } from './rules.ts'
import type { Definition } from './schemas.ts'
import { types } from './types.ts'

/** In both scopes together. */
export const maxDefinitions = 1000

/** A definition and its check, compiled once for each version. */
export type Compiled = { definition: Definition; check: Check }

/** The definitions of one scope, in the order in which a form shows them. */
export type ScopeView = ReadonlyMap<string, Compiled>

export type Registry = {
  version: string
  now: Readonly<Record<Scope, ScopeView>>
  /** What is about to be, where a definition is being changed: new values must satisfy this as well. */
  next: Readonly<Record<Scope, ScopeView>> | undefined
}

export type Pending = { token: string; candidate: Definition | null }

export type Definitions = {
  /** The definitions as they are, from memory where that is known to be current. */
  current(): Promise<Registry>
  /** The definitions as `db` sees them; what is known of them already is not compiled again. */
  load(db: Db): Promise<Registry>
}

export function createDefinitions(deps: { store: Store; news: News; clock: Clock }): Definitions {
  const { store, news, clock } = deps
  const compiled = new Map<string, Compiled>()
  let latest: Registry | undefined
  const cache = loadingCache<Registry>({ max: 1, ttl: 30_000, load: () => load(store.db) })
  news.subscribe({
    heard(announcement) {
      if (announcement.kind === 'definitions') cache.clear()
    },
    missed: () => cache.clear(),
  })

  async function load(db: Db): Promise<Registry> {
    const version = await registryVersion(db)
    if (latest?.version === version && !latest.next) return latest
    const registry = buildRegistry(version, await allDefinitions(db), clock.now(), compileOnce)
    latest = registry
    return registry
  }

  /** The same definition, in whatever version of the registry, keeps its check. */
  function compileOnce(definition: Definition): Compiled {
    const id = canonical(definition)
    const known = compiled.get(id)
    if (known) return known
    if (compiled.size > 5000) compiled.clear()
    const made = { definition, check: compileLeniently(definition) }
    compiled.set(id, made)
    return made
  }

  return {
    load,
    async current() {
      const registry = news.isCurrent(performance.now()) ? await cache.get('all') : await load(store.db)
      if (!registry) throw new Error('no definitions')
      return registry
    },
  }
}

/** A definition as kept, without what only the service needs to know of it. */
export function toDefinition(row: DefinitionRow): Definition {
  return {
    key: row.key,
    scope: row.scope,
    category: row.category,
    setting_type: row.setting_type,
    description: row.description,
    default_value: row.default_value,
    validation_rules: row.validation_rules,
    cross_rules: row.cross_rules,
    is_public: row.is_public,
    is_readonly: row.is_readonly,
    sort_order: row.sort_order,
    deprecated: row.deprecated,
    version: row.version,
  }
}

function buildRegistry(
  version: string,
  rows: readonly DefinitionRow[],
  now: Date,
  compile: (definition: Definition) => Compiled,
): Registry {
  const present = rows.filter(row => row.removed_at === null).map(toDefinition)
  const changing = rows.filter(row => isPending(row, now))
  const changed = new Set(changing.map(({ key }) => key))
  const candidates = changing.flatMap(({ pending }) => pending?.candidate ?? [])
  return {
    version,
    now: viewsOf(present, compile),
    next:
      changing.length === 0
        ? undefined
        : viewsOf([...present.filter(({ key }) => !changed.has(key)), ...candidates], compile),
  }
}

/** A change whose process died ends by itself. */
export const isPending = ({ pending, pending_until }: DefinitionRow, now: Date): boolean =>
  pending !== null && pending_until !== null && pending_until > now

function viewsOf(
  definitions: readonly Definition[],
  compile: (definition: Definition) => Compiled,
): Record<Scope, ScopeView> {
  const view = (scope: Scope) =>
    new Map(
      definitions
        .filter(definition => definition.scope === scope)
        .sort(byPlace)
        .map(definition => [definition.key, compile(definition)]),
    )
  return { preference: view('preference'), setting: view('setting') }
}

const byPlace = (a: Definition, b: Definition): number =>
  compareText(a.category, b.category) || a.sort_order - b.sort_order || compareText(a.key, b.key)

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/**
 * What a newer version of the service defined may be unknown to this one: its values stay readable, and only
 * administrators' next change can make it writable.
 */
function compileLeniently(definition: Definition): Check {
  try {
    if (!Object.hasOwn(types, definition.setting_type)) throw new Error('unknown type')
    return compileRules(definition.setting_type, definition.validation_rules)
  } catch {
    return () => ({
      pointer: '',
      code: 'unsupported',
      rule: 'setting_type',
      message: 'This version of the service can’t check it; it stays as it is.',
    })
  }
}
