import { Redis } from 'ioredis'
import type { Dependency } from '../watch/index.ts'

export type RedisClient = {
  /**
   * Asks Redis, for as long as a request can wait. Undefined where it did not answer: then nobody asks again
   * for a second, so that a dead or frozen Redis costs one request in a thousand a moment, and the rest nothing.
   */
  ask<T>(question: (redis: Redis) => Promise<T>): Promise<T | undefined>
  /** Called when a question was not answered, or was not even asked. */
  onFailure(listener: () => void): void
  ping(): Promise<void>
  stop(): Promise<void>
}

/** Milliseconds. */
const patience = 150
const rest = 1000

/** Redis as something that helps while it is there. Nothing that it holds is the truth. */
export function connectRedis(options: {
  url: string
  dependency: Pick<Dependency, 'up' | 'down'>
}): RedisClient {
  const redis = new Redis(options.url, {
    connectionName: 'roster',
    connectTimeout: 2000,
    commandTimeout: patience,
    keepAlive: 10_000,
    // A command that can't be sent now is of no use later.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: tries => Math.min(tries * 100, 2000),
  })
  const listeners: (() => void)[] = []
  let askAgainAt = 0
  redis.on('error', fail)
  redis.on('ready', options.dependency.up)

  function fail(error: unknown) {
    options.dependency.down(error)
    for (const listener of listeners) listener()
  }

  return {
    async ask(question) {
      const now = performance.now()
      if (now < askAgainAt || redis.status !== 'ready') {
        for (const listener of listeners) listener()
        return undefined
      }
      try {
        const answer = await question(redis)
        options.dependency.up()
        return answer
      } catch (error) {
        askAgainAt = performance.now() + rest
        fail(error)
        return undefined
      }
    },
    onFailure: listener => void listeners.push(listener),
    async ping() {
      await redis.ping()
    },
    async stop() {
      redis.disconnect()
    },
  }
}
