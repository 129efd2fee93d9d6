import { addTime, type Clock } from '../lib/clock.ts'
import type { Channel } from './metrics.ts'
import { providerPause } from './retries.ts'

/**
 * Keeps messages from a provider that takes nothing: after such a failure nothing is tried for a while, then
 * one message at a time until one gets through. Otherwise a backlog would fill every place of the job worker
 * with attempts that wait for their time-out, and other jobs would stand behind them.
 */
export type Gate = {
  /** Undefined where the caller may try; else when to come back. */
  enter(channel: Channel): Date | undefined
  close(channel: Channel): void
  open(channel: Channel): void
}

export function createGate(clock: Clock): Gate {
  const closedUntil = new Map<Channel, Date>()
  const close = (channel: Channel) => void closedUntil.set(channel, addTime(clock.now(), providerPause))
  return {
    enter(channel) {
      const until = closedUntil.get(channel)
      if (until === undefined) return undefined
      if (until > clock.now()) return until
      close(channel)
      return undefined
    },
    close,
    open: channel => void closedUntil.delete(channel),
  }
}
