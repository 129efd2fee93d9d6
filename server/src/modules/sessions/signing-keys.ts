import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createSigner, createVerifier } from 'fast-jwt'
import type { News } from '../../db/news.ts'
import type { Store } from '../../db/store.ts'
import type { Vault } from '../../encryption/index.ts'
import { addTime, type Clock, days, minutes } from '../../lib/clock.ts'
import { deriveKey, seal, sha256, unseal } from '../../lib/secrets.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import * as repo from './repo.ts'

type KeyPairAlgorithm = 'EdDSA' | 'ES256' | 'RS256'

export type SigningAlgorithm = KeyPairAlgorithm | 'HS256'

/** A public key as RFC 7517 writes it. */
export type JsonWebKey = Record<string, unknown>

type Claims = Record<string, unknown>

export type SigningKey = {
  kid: string
  algorithm: SigningAlgorithm
  /** undefined for a shared secret, which is never published. */
  publicJwk: JsonWebKey | undefined
  signsFrom: Date
  sign(claims: Claims): string
  /** Header and claims of a token that this key signed. @throws for any other */
  verify(token: string): { header: Record<string, unknown>; payload: Claims }
}

export type KeyRing = {
  /** The key that signs now. */
  current(): SigningKey
  /** Undefined too while this process knows that its keys are out of date. */
  find(kid: string): SigningKey | undefined
  /** The same, after asking the database if this process doesn't know it (at most once in five seconds). */
  findOrLoad(kid: string): Promise<SigningKey | undefined>
  /** Asks the database for the keys. Callers at the same time share one question. */
  reload(): Promise<void>
  /** Public keys, as RFC 7517 wants them: those that sign, will sign, or signed tokens that may still live. */
  jwks(): { keys: JsonWebKey[] }
  /**
   * Makes a new key. It is published at once and signs after ten minutes, when services that keep the key set
   * have seen it; with `immediately` it signs now, and earlier keys verify nothing any more.
   */
  rotate(origin: Origin, options?: { immediately?: boolean }): Promise<string>
  /** What the schedule does: a new key after 90 days, and away with those that verify nothing any more. */
  rotateIfDue(): Promise<void>
  /** Loads the keys, and makes the first. */
  start(): Promise<void>
}

const rotationInterval = days(90)
const announcedBefore = minutes(10)

export function createKeyRing(deps: {
  store: Store
  news: News
  clock: Clock
  vault: Pick<Vault, 'root'>
  algorithm: SigningAlgorithm
  secret: string | undefined
  /** Milliseconds that a token lives: so long an old key verifies. */
  tokenLifetime: number
}): KeyRing {
  const { store, clock } = deps
  if (deps.algorithm === 'HS256') return sharedSecretRing(deps.secret ?? '')
  const { algorithm } = deps
  const wrappingKey = deriveKey(deps.vault.root, 'signing keys')
  let keys: SigningKey[] = []
  let loadedAt = Number.NEGATIVE_INFINITY
  let loading: Promise<void> | undefined
  /** Changes heard of, and how many of them the keys in memory were read after. */
  let changesHeard = 0
  let changesRead = 0

  function load(): Promise<void> {
    if (loading) return loading
    const mine = readKeys().finally(() => {
      if (loading === mine) loading = undefined
    })
    loading = mine
    return mine
  }

  async function readKeys(): Promise<void> {
    const heard = changesHeard
    loadedAt = performance.now()
    const rows = await repo.listSigningKeys(store.db, algorithm)
    if (heard < changesRead) return // a later question was answered first
    changesRead = heard
    const known = new Map(keys.map(key => [key.kid, key]))
    keys = rows.map(
      row =>
        known.get(row.kid) ??
        keyPair(row.kid, algorithm, row.signs_from, createPrivateKey(openPrivateKey(row))),
    )
  }

  const isOutOfDate = () => changesRead < changesHeard

  /** From here on no key of before verifies anything, until the database has been asked again. */
  function change() {
    if (keys.length === 0) return
    changesHeard += 1
    loading = undefined
    load().catch(() => undefined) // findOrLoad() tries again
  }

  function openPrivateKey(row: { kid: string; private_key_sealed: Buffer }): string {
    try {
      return unseal(wrappingKey, row.private_key_sealed, row.kid).toString()
    } catch (cause) {
      throw new Error('ENCRYPTION_KEY does not open the signing keys in the database: it is another one’s', {
        cause,
      })
    }
  }

  /** Newest first, as loaded: the first whose time has come. */
  function current(): SigningKey {
    const now = clock.now()
    const key = keys.find(({ signsFrom }) => signsFrom <= now) ?? keys.at(-1)
    if (!key) throw new Error('the key ring has not been started')
    return key
  }

  /** A key verifies until the last token that it can have signed has expired. */
  function stillVerifies(key: SigningKey): boolean {
    const successor = keys[keys.indexOf(key) - 1]
    return !successor || addTime(successor.signsFrom, deps.tokenLifetime + minutes(1)) > clock.now()
  }

  const find = (kid: string) =>
    isOutOfDate() ? undefined : keys.find(key => key.kid === kid && stillVerifies(key))

  async function rotate(origin: Origin, options: { immediately?: boolean } = {}): Promise<string> {
    const at = clock.now()
    const first = keys.length === 0
    const privateKey = generatePrivateKey(algorithm)
    const publicJwk = createPublicKey(privateKey).export({ format: 'jwk' })
    const kid = sha256(JSON.stringify(publicJwk)).toString('base64url').slice(0, 16)
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
    await store.transact(async trx => {
      await repo.lockSigningKeys(trx)
      if (first && (await repo.listSigningKeys(trx, algorithm)).length > 0) return // another process was faster
      if (options.immediately) await repo.deleteSigningKeys(trx, 'all')
      await repo.insertSigningKey(trx, {
        kid,
        algorithm,
        public_jwk: JSON.stringify(publicJwk),
        private_key_sealed: seal(wrappingKey, pem, kid),
        created_at: at,
        signs_from: first || options.immediately ? at : addTime(at, announcedBefore),
      })
      await appendAudit(trx, at, origin, {
        action: 'signing_key.created',
        subject: { type: 'signing_key', id: kid },
        details: { algorithm, immediately: options.immediately ?? false },
      })
      await store.announce(trx, { kind: 'keys' })
    })
    await load()
    return kid
  }

  deps.news.subscribe({
    heard(announcement) {
      if (announcement.kind === 'keys') change()
    },
    missed: change,
  })

  return {
    current,
    find,
    async findOrLoad(kid) {
      if (isOutOfDate() || (!find(kid) && performance.now() - loadedAt > 5000)) await load()
      return find(kid)
    },
    reload: load,
    jwks: () => ({
      keys: keys.filter(stillVerifies).flatMap(({ publicJwk }) => (publicJwk ? [publicJwk] : [])),
    }),
    rotate,
    async rotateIfDue() {
      const newest = keys[0]
      if (newest && addTime(newest.signsFrom, rotationInterval) <= clock.now())
        await rotate({ actorType: 'system' })
      const spent = keys.filter(key => !stillVerifies(key)).map(({ kid }) => kid)
      if (spent.length > 0) await repo.deleteSigningKeys(store.db, spent)
    },
    async start() {
      await load()
      if (keys.length === 0) await rotate({ actorType: 'system' })
    },
  }
}

function generatePrivateKey(algorithm: KeyPairAlgorithm): KeyObject {
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519').privateKey
  if (algorithm === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  return generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey
}

function keyPair(
  kid: string,
  algorithm: KeyPairAlgorithm,
  signsFrom: Date,
  privateKey: KeyObject,
): SigningKey {
  const publicKey = createPublicKey(privateKey)
  return {
    kid,
    algorithm,
    publicJwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' },
    signsFrom,
    ...signAndVerify(
      kid,
      algorithm,
      privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    ),
  }
}

/** One algorithm per key, given by us and never read from the token (RFC 8725, sections 3.1 and 3.2). */
function signAndVerify(kid: string, algorithm: SigningAlgorithm, privateKey: string, publicKey: string) {
  const sign = createSigner({ algorithm, key: privateKey, kid, header: { alg: algorithm, typ: 'at+jwt' } })
  // Times are checked against the service's own clock by whoever asks.
  const verify = createVerifier({
    key: publicKey,
    algorithms: [algorithm],
    ignoreExpiration: true,
    ignoreNotBefore: true,
    complete: true,
  })
  return { sign: (claims: Claims): string => sign(claims), verify: (token: string) => verify(token) }
}

/** For services that still share `JWT_SECRET_KEY` with this one: one key, from the configuration. */
function sharedSecretRing(secret: string): KeyRing {
  const kid = sha256(`roster kid ${secret}`).toString('base64url').slice(0, 16)
  const key: SigningKey = {
    kid,
    algorithm: 'HS256',
    publicJwk: undefined,
    signsFrom: new Date(0),
    ...signAndVerify(kid, 'HS256', secret, secret),
  }
  const find = (wanted: string) => (wanted === kid ? key : undefined)
  return {
    current: () => key,
    find,
    findOrLoad: async wanted => find(wanted),
    reload: async () => undefined,
    jwks: () => ({ keys: [] }),
    rotateIfDue: async () => undefined,
    rotate: async () => {
      throw new Error('with JWT_ALGORITHM=HS256 the key is JWT_SECRET_KEY: change it there')
    },
    start: async () => undefined,
  }
}
