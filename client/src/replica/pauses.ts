import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds of the first pause, and of the longest. */
const shortest = 250
const longest = 10_000

/** Pauses after failures: each twice as long as the one before, until something succeeds. `signal` ends one. */
export function createRetryPauses(signal: AbortSignal): { pause(): Promise<void>; reset(): void } {
  let next = shortest
  return {
    async pause() {
      const now = next
      next = Math.min(next * 2, longest)
      await sleep(now, undefined, { signal }).catch(() => undefined)
    },
    reset() {
      next = shortest
    },
  }
}
