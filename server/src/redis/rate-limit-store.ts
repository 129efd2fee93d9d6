import { createMemoryStore, type Hit, type RateLimitStore } from '../http/rate-limits.ts'
import type { RedisClient } from './client.ts'

/** Counts, and begins a window with the first hit. Returns the count and the milliseconds that are left. */
const script = `
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}`

/**
 * Request counts that all processes share. While Redis does not answer, each process counts for itself: a
 * client then gets the limit once per process, never without one.
 */
export function createSharedRateLimitStore(client: RedisClient): RateLimitStore {
  const own = createMemoryStore()
  return {
    async hit(group, address, windowMs, now): Promise<Hit> {
      const answer = await client.ask(redis =>
        redis.eval(script, 1, `roster:limit:${group}:${address}`, windowMs),
      )
      const [count, left] = Array.isArray(answer) ? answer.map(Number) : []
      if (count === undefined || left === undefined) return own.hit(group, address, windowMs, now)
      return { count, resetsAt: now + left }
    },
  }
}
