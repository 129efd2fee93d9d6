import type { News } from '../../db/news.ts'
import type { Store } from '../../db/store.ts'
import type { Clock } from '../../lib/clock.ts'
import { createSettingsReader, type SettingsReader } from './reading.ts'
import { createDefinitions, type Definitions } from './registry.ts'
import { loadShipped } from './shipped.ts'

export type Settings = {
  definitions: Definitions
  reader: SettingsReader
  /** Loads what the service ships. Once at each start, before requests come. */
  start(): Promise<void>
}

export function createSettings(deps: { store: Store; news: News; clock: Clock }): Settings {
  const definitions = createDefinitions(deps)
  return {
    definitions,
    reader: createSettingsReader({ ...deps, definitions }),
    start: () => loadShipped({ ...deps, definitions }),
  }
}
