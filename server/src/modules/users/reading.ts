import type { News } from '../../db/news.ts'
import type { Store } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { loadingCache } from '../../lib/loading-cache.ts'
import type { SharedUsers } from '../../redis/shared-users.ts'
import { toUser } from './record.ts'
import { findUser } from './repo.ts'
import type { User } from './schemas.ts'

/** A user as their own `GET` returns them, serialised once and kept until they change. */
export type CachedUser = { json: string; validUntil: number }

export type UserReader = {
  /** @throws ProblemError not_found */
  read(id: string): Promise<User>
  /** The same as JSON text, from memory where it is known to be current. */
  readJson(id: string): Promise<string>
  /** That text if it is here and known to be current, without waiting. */
  peekJson(id: string): string | undefined
  /** Forgets a user here, e.g. because a login or activity was noted. */
  forget(id: string): void
}

/**
 * Users remembered by this process: at most 20,000 (about 1 KB each), for half a minute, dropped at the commit
 * of any change to them in any process. Not believed while news from other processes doesn't come through.
 */
export function createUserReader(deps: {
  store: Store
  news: News
  clock: Clock
  /** Asked before the database, where processes share one. */
  shared?: SharedUsers | undefined
}): UserReader {
  const { store, news, clock, shared } = deps

  async function read(id: string): Promise<User> {
    const row = await findUser(store.db, id)
    if (!row) throw new ProblemError('not_found')
    return toUser(row, clock.now())
  }

  const cache = loadingCache<CachedUser>({
    max: 20_000,
    ttl: 30_000,
    async load(id) {
      const known = await shared?.get(id)
      if (known !== undefined) return fromText(known)
      const readAt = performance.now()
      const user = await read(id)
      const expires = user.subscription.expires_at
      const ends = user.is_premium && expires ? Date.parse(expires) : Number.POSITIVE_INFINITY
      const cached = { json: JSON.stringify(user), validUntil: ends }
      shared?.put(id, toText(cached), readAt)
      return cached
    },
  })

  function forget(id: string) {
    shared?.drop(id)
    cache.drop(id)
  }

  function forgetAll() {
    shared?.dropAll()
    cache.clear()
  }

  news.subscribe({
    heard(announcement) {
      if (announcement.kind === 'user') forget(announcement.id)
      if (announcement.kind === 'access') forgetAll()
    },
    missed: forgetAll,
  })

  function peekJson(id: string): string | undefined {
    if (!news.isCurrent(performance.now())) return undefined
    const cached = cache.peek(id)
    if (cached === undefined) return undefined
    const isLasting = cached.validUntil === Number.POSITIVE_INFINITY
    return isLasting || cached.validUntil > clock.now().getTime() ? cached.json : undefined
  }

  return {
    read,
    peekJson,
    async readJson(id) {
      const known = peekJson(id)
      if (known !== undefined) return known
      if (!news.isCurrent(performance.now())) return JSON.stringify(await read(id))
      if (cache.peek(id)) forget(id) // premium has run out since it was read
      const loaded = await cache.get(id)
      if (!loaded) throw new ProblemError('not_found')
      return loaded.json
    },
    forget,
  }
}

/** As one text: until when it is right, and the JSON. */
const toText = ({ json, validUntil }: CachedUser): string => `${validUntil} ${json}`

function fromText(text: string): CachedUser {
  const space = text.indexOf(' ')
  return { validUntil: Number(text.slice(0, space)), json: text.slice(space + 1) }
}
