import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import type { RateLimitGroup, RateLimits } from '../config.ts'
import type { Clock } from '../lib/clock.ts'
import { addressGroup, type ClientAddressReader } from './client-address.ts'
import { ProblemError } from './problems.ts'
import { setLimitHeaders } from './ready-lines.ts'

/** How many requests of a client a group of routes takes in a window. */
type RateLimit = { max: number; windowMs: number }

const perMinute = (max: number): RateLimit => ({ max, windowMs: 60_000 })

/**
 * The groups that routes count in, per client address (IPv6: per /64). These limits keep one client from
 * taking the service for itself. Guessing is held down elsewhere: lockout and code quotas are exact, live in
 * PostgreSQL and cannot be switched off.
 */
const rateLimitGroups = {
  read: { development: perMinute(60_000), production: perMinute(1200) },
  write: { development: perMinute(10_000), production: perMinute(300) },
  search: { development: perMinute(6000), production: perMinute(120) },
  login: { development: perMinute(1000), production: perMinute(20) },
  register: { development: perMinute(1000), production: perMinute(10) },
  refresh: { development: perMinute(3000), production: perMinute(60) },
  // A gateway may ask for each request that it lets through.
  introspect: { development: perMinute(600_000), production: perMinute(60_000) },
  password: { development: perMinute(600), production: perMinute(10) },
  verification: { development: perMinute(600), production: perMinute(10) },
  mfa: { development: perMinute(600), production: perMinute(20) },
  setup: { development: perMinute(100), production: perMinute(5) },
  export: { development: perMinute(300), production: perMinute(5) },
} as const satisfies Record<RateLimitGroup, { development: RateLimit; production: RateLimit }>

/** A client's count in the present window. */
export type Hit = {
  /** Requests in this window, this one included. */
  count: number
  /** Milliseconds since the epoch at which the window ends. */
  resetsAt: number
}

/** Where counts are kept. One in this process answers at once; a shared one may answer later. */
export type RateLimitStore = {
  hit(group: RateLimitGroup, client: string, windowMs: number, now: number): Hit | Promise<Hit>
}

/**
 * Counts in this process, in memory that is bounded whatever a client does. A window is inserted when it
 * begins, so the first entry of a group is always the one that ends first: it makes room for a new one.
 */
export function createMemoryStore(maxClients = 20_000): RateLimitStore {
  const groups = new Map<RateLimitGroup, Map<string, Hit>>()
  function hitsOf(group: RateLimitGroup): Map<string, Hit> {
    const known = groups.get(group)
    if (known !== undefined) return known
    const hits = new Map<string, Hit>()
    groups.set(group, hits)
    return hits
  }

  return {
    hit(group, client, windowMs, now) {
      const hits = hitsOf(group)
      const known = hits.get(client)
      if (known !== undefined && known.resetsAt > now) {
        known.count++
        return known
      }
      if (known !== undefined) hits.delete(client)
      dropEnded(hits, now, maxClients)
      const hit = { count: 1, resetsAt: now + windowMs }
      hits.set(client, hit)
      return hit
    },
  }
}

function dropEnded(hits: Map<string, Hit>, now: number, maxClients: number): void {
  for (const [client, { resetsAt }] of hits) {
    if (resetsAt > now && hits.size < maxClients) return
    hits.delete(client)
  }
}

export type RateLimitOptions = {
  environment: 'development' | 'production'
  /** `off`, or limits that replace the defaults of single groups. */
  rateLimits: RateLimits
  clock: Clock
  clientAddress: ClientAddressReader
  store?: RateLimitStore
}

/** Makes the hook that holds a route to its group's limit; undefined where limits are off. */
export type RateLimiter = (group: RateLimitGroup) => onRequestHookHandler | undefined

/**
 * Limits by group and client address. Replies carry `RateLimit-Limit`, `RateLimit-Remaining` and
 * `RateLimit-Reset` (seconds); one over the limit is 429 `rate_limited` with `Retry-After`.
 */
export function createRateLimiter(options: RateLimitOptions): RateLimiter {
  const { environment, rateLimits, clock } = options
  if (rateLimits === 'off') return () => undefined
  const store = options.store ?? createMemoryStore()
  const clientOf = createClientKeys(options.clientAddress)

  return group => {
    const { max, windowMs } = rateLimits[group] ?? rateLimitGroups[group][environment]
    return function limitRequests(request, reply, done) {
      const now = clock.now().getTime()
      const hit = store.hit(group, clientOf(request.raw), windowMs, now)
      if (hit instanceof Promise) hit.then(late => done(verdict(late, max, reply, now)), done)
      else done(verdict(hit, max, reply, now))
    }
  }
}

function verdict(
  { count, resetsAt }: Hit,
  max: number,
  reply: FastifyReply,
  now: number,
): ProblemError | undefined {
  const seconds = Math.max(1, Math.ceil((resetsAt - now) / 1000))
  setLimitHeaders(reply, { limit: max, remaining: count < max ? max - count : 0, reset: seconds })
  return count <= max ? undefined : new ProblemError('rate_limited', { retryAfter: seconds })
}

/** Remembers the group of a connection's address, since most connections carry many requests. */
function createClientKeys(clientAddress: ClientAddressReader): (request: IncomingMessage) => string {
  const known = new WeakMap<Socket, { address: string; group: string }>()
  return request => {
    const address = clientAddress(request)
    const before = known.get(request.socket)
    if (before?.address === address) return before.group
    const group = addressGroup(address)
    known.set(request.socket, { address, group })
    return group
  }
}

/** The group of a route that names none. */
export const defaultGroup = (method: FastifyRequest['method']): RateLimitGroup =>
  method === 'GET' || method === 'HEAD' ? 'read' : 'write'
