import { AsyncLocalStorage } from 'node:async_hooks'

const listener = new AsyncLocalStorage<() => void>()

/** Tells whoever waits for the work under way that it goes on. */
export const noteProgress = (): void => listener.getStore()?.()

/** Does `work`, and calls `told` whenever it notes progress. */
export const onProgress = <T>(told: () => void, work: () => Promise<T>): Promise<T> =>
  listener.run(told, work)

/**
 * What `work` comes to; rejects with `late()` once it has neither ended nor noted progress for `limit` milliseconds.
 * The work itself goes on, and nobody hears of it.
 */
export function withProgress<T>(
  work: () => Promise<T>,
  { limit, late, progressed }: { limit: number; late: () => Error; progressed: () => void },
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(late()), limit)
  const told = () => {
    timer.refresh()
    progressed()
  }
  return Promise.race([onProgress(told, work), promise]).finally(() => clearTimeout(timer))
}
