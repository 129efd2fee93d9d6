import type { News } from '../../db/news.ts'
import type { Store } from '../../db/store.ts'
import type { Json, JsonObject } from '../../lib/json.ts'
import { loadingCache } from '../../lib/loading-cache.ts'
import type { Compiled, Definitions, ScopeView } from './registry.ts'
import { findValues, type Scope, type ValuesRow } from './repo.ts'
import { effective } from './validate.ts'

/** A reply as JSON text, with the version that goes into its ETag. */
export type ValuesJson = { json: string; version: number }

export type ValuesQuery = { category?: string | undefined; include?: 'definitions' | undefined }

export type SettingsReader = {
  /** All of a user's values in a scope, from memory if they are here and known to be current. */
  peek(userId: string, scope: Scope): ValuesJson | undefined
  read(userId: string, scope: Scope, query?: ValuesQuery): Promise<ValuesJson>
  /** What others see: the values of public definitions alone. */
  readPublic(userId: string, scope: Scope): Promise<ValuesJson>
}

/**
 * Users' values remembered by this process, serialised: at most 20,000 (about 1 KB each), for half a minute,
 * dropped at the commit of any change to them or to a definition in any process.
 */
export function createSettingsReader(deps: {
  store: Store
  news: News
  definitions: Definitions
}): SettingsReader {
  const { store, news, definitions } = deps
  const cache = loadingCache<ValuesJson>({
    max: 20_000,
    ttl: 30_000,
    load: key => readAll(key.slice(2), key.startsWith('p') ? 'preference' : 'setting'),
  })
  news.subscribe({
    heard(announcement) {
      if (announcement.kind === 'definitions') cache.clear()
      if (announcement.kind === 'settings' || announcement.kind === 'user') {
        for (const scope of ['preference', 'setting'] as const) cache.drop(cacheKey(announcement.id, scope))
      }
    },
    missed: () => cache.clear(),
  })

  async function readAll(userId: string, scope: Scope): Promise<ValuesJson> {
    const [registry, row] = await Promise.all([definitions.current(), findValues(store.db, userId, scope)])
    return toJson(row, [...registry.now[scope].values()])
  }

  return {
    peek: (userId, scope) =>
      news.isCurrent(performance.now()) ? cache.peek(cacheKey(userId, scope)) : undefined,
    async read(userId, scope, query = {}) {
      if (query.category === undefined && query.include === undefined) {
        const known = news.isCurrent(performance.now()) ? await cache.get(cacheKey(userId, scope)) : undefined
        return known ?? readAll(userId, scope)
      }
      const [registry, row] = await Promise.all([definitions.current(), findValues(store.db, userId, scope)])
      return toJson(row, within(registry.now[scope], query.category), query.include === 'definitions')
    },
    async readPublic(userId, scope) {
      const [registry, row] = await Promise.all([definitions.current(), findValues(store.db, userId, scope)])
      const shown = [...registry.now[scope].values()].filter(({ definition }) => definition.is_public)
      // Version and time would tell of changes to what is not shown.
      return toJson(row && { ...row, version: 0 }, shown, false, { hideChange: true })
    },
  }
}

const cacheKey = (userId: string, scope: Scope): string => `${scope[0]}:${userId}`

const within = (view: ScopeView, category: string | undefined): Compiled[] =>
  [...view.values()].filter(({ definition }) => category === undefined || definition.category === category)

function toJson(
  row: ValuesRow | undefined,
  asked: readonly Compiled[],
  withDefinitions = false,
  options: { hideChange?: boolean } = {},
): ValuesJson {
  const own: JsonObject = row?.value_by_key ?? {}
  const shown = asked.filter(({ definition }) => !definition.deprecated || Object.hasOwn(own, definition.key))
  const values: [string, Json][] = shown.map(compiled => [compiled.definition.key, effective(own, compiled)])
  const version = row?.version ?? 0
  return {
    version,
    json: JSON.stringify({
      values: Object.fromEntries(values),
      version,
      updated_at: options.hideChange ? null : (row?.updated_at.toISOString() ?? null),
      ...(withDefinitions && { definitions: shown.map(({ definition }) => definition) }),
    }),
  }
}
