import type { News } from '../../../db/news.ts'
import type { Db, Store } from '../../../db/store.ts'
import { unusablePasswordHash } from '../../../hashing/unusable-hash.ts'
import { loadingCache } from '../../../lib/loading-cache.ts'
import { hmacSha256 } from '../../../lib/secrets.ts'
import { countOwn, foreignKinds, type Kind } from './repo.ts'

export type NobodysHashes = {
  /**
   * A hash that fits no password, for a name that is nobody's or an account without one. Its algorithm and cost are
   * drawn from those in use, as often as they are; for one name always the same, until that kind goes out of use.
   * So the time of a check does not tell whose hash it was.
   */
  forName(name: string): Promise<string>
}

type Kinds = { all: readonly Kind[] }

/** Milliseconds; imports are heard of at once. */
const rememberedFor = 60_000

export function createNobodysHashes(deps: { store: Store; news: News; key: Buffer }): NobodysHashes {
  const { store, news, key } = deps
  const cache = loadingCache<Kinds>({ max: 1, ttl: rememberedFor, load: () => findKinds(store.db) })
  news.subscribe({
    heard(announcement) {
      if (announcement.kind === 'password_hashes') cache.clear()
    },
    missed: () => cache.clear(),
  })
  return {
    async forName(name) {
      const kinds = (await cache.get('all'))?.all ?? []
      return draw(kinds, kind => hmacSha256(key, `${name} ${kind}`)) ?? own
    },
  }
}

const own = unusablePasswordHash()

/**
 * Weighted rendezvous hashing: each kind draws a lot, and the best one wins. Where a kind is used less, only names
 * that had it get another.
 */
function draw(kinds: readonly Kind[], lotOf: (kind: string) => Buffer): string | undefined {
  let best: { hash: string; score: number } | undefined
  for (const { hash, users } of kinds) {
    const lot = (lotOf(hash === own ? 'own' : hash).readUIntBE(0, 6) + 1) / (2 ** 48 + 1)
    const score = users / -Math.log(lot)
    if (!best || score > best.score) best = { hash, score }
  }
  return best?.hash
}

async function findKinds(db: Db): Promise<Kinds> {
  const foreign = await foreignKinds(db)
  const others = foreign.reduce((total, { users }) => total + users, 0)
  return { all: [{ hash: own, users: Math.max(1, await countOwn(db, others)) }, ...foreign] }
}
