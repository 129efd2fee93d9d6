import type { Logger } from 'pino'
import { isDatabaseUnavailable } from '../db/unavailable.ts'

/**
 * What a loop says of turns that fail: once when it begins, and once when it is over. Nothing where the database is
 * away, of which there is a line already.
 * @param what it does: `numbering events`
 */
export function loopLog(log: Logger, what: string): { failed(error: unknown): void; recovered(): void } {
  let said = false
  return {
    failed(error) {
      if (said || isDatabaseUnavailable(error)) return log.debug({ err: error }, `${what} failed`)
      said = true
      log.warn({ err: error }, `${what} failed; trying again until it works`)
    },
    recovered() {
      if (said) log.info(`${what} works again`)
      said = false
    },
  }
}
