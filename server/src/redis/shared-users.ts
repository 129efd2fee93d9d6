import type { RedisClient } from './client.ts'

/** Users as JSON text, shared between processes. Everything in it may be missing at any time. */
export type SharedUsers = {
  get(id: string): Promise<string | undefined>
  /** Offers what was read from the database, by a read that began at `readAt` (performance.now()). */
  put(id: string, json: string, readAt: number): void
  /** The user changed: no text that was read before is taken any more. */
  drop(id: string): void
  /** All of them. */
  dropAll(): void
}

/** Milliseconds for which a text is held. */
const sharedFor = 30_000
/** Milliseconds for which nothing is taken after a change: longer than any read that began before it. */
const blockedFor = 5000
const slowestRead = 2000
const blocked = '-'

/**
 * A change leaves a mark in place of the text, which keeps out what was read before it. Every process leaves
 * the mark when it hears of the change, over the connection by which it reads, so it reads nothing older than
 * what it has heard. Where a mark could not be left, or may have been left while this process was not yet
 * there, nothing is read until everything that was held then has run out.
 */
export function createSharedUsers(client: RedisClient, heldFor = sharedFor): SharedUsers {
  let generation = 0
  let trustedFrom = performance.now() + heldFor
  const distrust = () => {
    trustedFrom = performance.now() + heldFor
  }
  client.onFailure(distrust)
  const key = (id: string) => `roster:user:${id}`

  return {
    async get(id) {
      if (performance.now() < trustedFrom) return undefined
      const before = generation
      const text = await client.ask(redis => redis.get(key(id)))
      return text && text !== blocked && before === generation ? text : undefined
    },
    put(id, json, readAt) {
      if (performance.now() - readAt > slowestRead) return
      client.ask(redis => redis.set(key(id), json, 'PX', heldFor, 'NX'))
    },
    drop(id) {
      client.ask(redis => redis.set(key(id), blocked, 'PX', blockedFor))
    },
    dropAll() {
      generation += 1
      distrust()
    },
  }
}
