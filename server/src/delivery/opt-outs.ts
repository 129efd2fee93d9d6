import type { Store } from '../db/store.ts'
import type { Clock } from '../lib/clock.ts'
import { deriveKey, hmacSha256 } from '../lib/secrets.ts'
import * as repo from './repo.ts'

/** Numbers that want no text messages. Kept as keyed hashes, so the list holds nobody's number. */
export type OptOuts = {
  has(number: string): Promise<boolean>
  add(number: string): Promise<void>
  remove(number: string): Promise<void>
}

export function createOptOuts(deps: { store: Store; clock: Clock; root: Buffer }): OptOuts {
  const { store, clock } = deps
  const key = deriveKey(deps.root, 'sms opt-outs')
  const hash = (number: string) => hmacSha256(key, number)
  return {
    has: number => repo.isOptedOut(store.db, hash(number)),
    add: number => repo.insertOptOut(store.db, hash(number), clock.now()),
    remove: number => repo.deleteOptOut(store.db, hash(number)),
  }
}
