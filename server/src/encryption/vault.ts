import { randomBytes } from 'node:crypto'
import type { News } from '../db/news.ts'
import type { Db, Store, Tx } from '../db/store.ts'
import type { Clock } from '../lib/clock.ts'
import { deriveKey, seal, unseal } from '../lib/secrets.ts'
import * as repo from './repo.ts'

/**
 * Seals secrets that live in the database, with keys that can be replaced. The keys themselves are in the
 * database as well, sealed under ENCRYPTION_KEY: what a backup gives away without it is nothing.
 */
export type Vault = {
  /** What every other key is derived from: random, and the same ever after. */
  readonly root: Buffer
  /** `context` is authenticated with the value: moved to another row, it does not open. */
  seal(plain: Buffer | string, context: string): Buffer
  /** @throws where it was changed or moved, or sealed with a key that is gone */
  open(sealed: Buffer, context: string): Promise<Buffer>
  /** Which key sealed a value. */
  keyIdOf(sealed: Buffer): number
  /**
   * Puts the present ENCRYPTION_KEY over every key, and makes a new key to seal with.
   * @returns the new key's id: seal again what another one sealed
   */
  rotate(): Promise<number>
}

export type VaultOptions = {
  store: Store
  news: News
  clock: Clock
  encryptionKey: Buffer
  /** ENCRYPTION_KEY_PREVIOUS: opens what the present one does not, until `roster keys rotate --encryption`. */
  previousEncryptionKey: Buffer | undefined
}

/** Whether these keys open those in the database, without making any. */
export async function opensVault(
  db: Db,
  master: Pick<VaultOptions, 'encryptionKey' | 'previousEncryptionKey'>,
): Promise<boolean> {
  const rows = await repo.listKeys(db)
  const wrapping = wrappingKeys(master)
  return rows.every(row => unwrap(wrapping, row) !== undefined)
}

const wrappingKeys = ({
  encryptionKey,
  previousEncryptionKey,
}: Pick<VaultOptions, 'encryptionKey' | 'previousEncryptionKey'>): Buffer[] =>
  [encryptionKey, ...(previousEncryptionKey ? [previousEncryptionKey] : [])].map(key =>
    deriveKey(key, 'encryption keys'),
  )

function unwrap(wrapping: readonly Buffer[], { purpose, key_sealed }: repo.KeyRow): Buffer | undefined {
  for (const key of wrapping) {
    try {
      return unseal(key, key_sealed, `${purpose} key`)
    } catch {
      // the next one may open it
    }
  }
  return undefined
}

const version = 2
const headerLength = 5

/** @throws where neither key opens what is in the database */
export async function openVault({ store, news, clock, ...master }: VaultOptions): Promise<Vault> {
  const wrapping = wrappingKeys(master)
  const [present = Buffer.alloc(0)] = wrapping
  const keys = new Map<number, Buffer>()
  let newest = 0
  let root: Buffer | undefined

  const wrap = (key: Buffer, purpose: string) => seal(present, key, `${purpose} key`)

  function open(row: repo.KeyRow): Buffer {
    const key = unwrap(wrapping, row)
    if (key) return key
    throw new Error(
      'ENCRYPTION_KEY does not open the keys in the database: it is another one’s. ' +
        'After a change, the one before belongs into ENCRYPTION_KEY_PREVIOUS',
    )
  }

  async function load(): Promise<void> {
    for (const row of await repo.listKeys(store.db)) {
      if (row.purpose === 'root') {
        root ??= open(row)
        continue
      }
      if (!keys.has(row.id)) keys.set(row.id, open(row))
      newest = Math.max(newest, row.id)
    }
  }

  async function makeFirst(): Promise<void> {
    await store.transact(async trx => {
      await repo.lockKeys(trx)
      if ((await repo.listKeys(trx)).length > 0) return // another process was faster
      await insert(trx, 'root', randomBytes(32))
      await insert(trx, 'data', randomBytes(32))
    })
    await load()
  }

  const insert = (trx: Tx, purpose: 'root' | 'data', key: Buffer): Promise<number> =>
    repo.insertKey(trx, { purpose, key_sealed: wrap(key, purpose), created_at: clock.now() })

  const reload = () => void load().catch(() => undefined) // open() asks again
  news.subscribe({ heard: ({ kind }) => kind === 'keys' && reload(), missed: reload })
  await load()
  if (!root) await makeFirst()
  if (!root) throw new Error('the database keeps no root key')

  return {
    root,
    seal(plain, context) {
      const header = Buffer.alloc(headerLength)
      header[0] = version
      header.writeUInt32BE(newest, 1)
      return Buffer.concat([header, seal(keys.get(newest) ?? Buffer.alloc(0), plain, context)])
    },
    async open(sealed, context) {
      const id = readKeyId(sealed)
      if (!keys.has(id)) await load()
      const key = keys.get(id)
      if (!key) throw new Error(`sealed with key ${id}, which is gone`)
      return unseal(key, sealed.subarray(headerLength), context)
    },
    keyIdOf: readKeyId,
    async rotate() {
      const id = await store.transact(async trx => {
        await repo.lockKeys(trx)
        for (const row of await repo.listKeys(trx)) {
          await repo.updateKey(trx, row.id, wrap(open(row), row.purpose))
        }
        await store.announce(trx, { kind: 'keys' })
        return insert(trx, 'data', randomBytes(32))
      })
      await load()
      return id
    },
  }
}

function readKeyId(sealed: Buffer): number {
  if (sealed.length <= headerLength || sealed[0] !== version) {
    throw new Error('not a sealed value of a known version')
  }
  return sealed.readUInt32BE(1)
}
