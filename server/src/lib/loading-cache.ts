import { LRUCache } from 'lru-cache'

export type LoadingCache<V extends object> = {
  /** The value if it is here, without asking anybody. */
  peek(key: string): V | undefined
  /** The value, loaded if it is not here. Callers that come while it loads share one load. */
  get(key: string): Promise<V | undefined>
  /** Forgets a key, and what is being loaded for it: that may have been read before the change. */
  drop(key: string): void
  /** Lets nothing that is being loaded now be kept: for a change that may concern any of it. */
  dropLoads(): void
  clear(): void
}

/** `until` in milliseconds of performance.now(). */
type Kept<V> = { value: V; until: number }

/**
 * At most `max` values, each for at most `ttl` milliseconds. `load` answers undefined where there is nothing,
 * which is not remembered. `onKeep` sees each value that stays, `onDrop` each that leaves.
 */
export function loadingCache<V extends object>(options: {
  max: number
  ttl: number
  load: (key: string) => Promise<V | undefined>
  onKeep?: (value: V) => void
  onDrop?: (value: V) => void
}): LoadingCache<V> {
  const { onDrop } = options
  // Without the library's own expiry, which sets a timer every millisecond and doubles the price of a look-up.
  const values = new LRUCache<string, Kept<V>>({
    max: options.max,
    ...(onDrop && { dispose: ({ value }: Kept<V>) => onDrop(value) }),
  })
  const loads = new Map<string, Promise<V | undefined>>()

  function load(key: string): Promise<V | undefined> {
    const mine = options.load(key).then(
      value => {
        if (loads.get(key) === mine) {
          loads.delete(key)
          if (value) {
            values.set(key, { value, until: performance.now() + options.ttl })
            options.onKeep?.(value)
          }
        }
        return value
      },
      error => {
        if (loads.get(key) === mine) loads.delete(key)
        throw error
      },
    )
    loads.set(key, mine)
    return mine
  }

  function peek(key: string): V | undefined {
    const kept = values.get(key)
    if (kept === undefined) return undefined
    if (kept.until > performance.now()) return kept.value
    values.delete(key)
    return undefined
  }

  return {
    peek,
    async get(key) {
      return peek(key) ?? (await (loads.get(key) ?? load(key)))
    },
    drop(key) {
      loads.delete(key)
      values.delete(key)
    },
    dropLoads: () => loads.clear(),
    clear() {
      loads.clear()
      values.clear()
    },
  }
}
