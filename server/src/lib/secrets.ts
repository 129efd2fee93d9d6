import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

/*
 * Everything here is synchronous node:crypto. WebCrypto and the asynchronous forms wait in the libuv thread
 * pool, and a queue there is felt by every request.
 */

/** `bytes` random bytes as base64url: 16 give 22 characters and 128 bits. */
export const randomToken = (bytes: number): string => randomBytes(bytes).toString('base64url')

export const sha256 = (value: string | Buffer): Buffer => createHash('sha256').update(value).digest()

export const hmacSha256 = (key: Buffer, value: string | Buffer): Buffer =>
  createHmac('sha256', key).update(value).digest()

/** A 32-byte key for one purpose out of the master key (HKDF, RFC 5869): purposes can't be mixed up. */
export const deriveKey = (master: Buffer, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', master, Buffer.alloc(0), `roster:${purpose}`, 32))

/** Compares without telling by its time where two values differ; different lengths are simply unequal. */
export function equalInConstantTime(a: Buffer | string, b: Buffer | string): boolean {
  return timingSafeEqual(sha256(a), sha256(b))
}

/**
 * AES-256-GCM: version byte, 12-byte nonce, 16-byte tag, ciphertext. `context` is authenticated with it, so
 * that a sealed value moved to another row or column does not open.
 */
export function seal(key: Buffer, plain: Buffer | string, context: string): Buffer {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  const text = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([Buffer.from([1]), nonce, cipher.getAuthTag(), text])
}

/** Opens what {@link seal} made; throws when key, context or a single bit differ. */
export function unseal(key: Buffer, sealed: Buffer, context: string): Buffer {
  if (sealed.length < 29 || sealed[0] !== 1) throw new Error('not a sealed value of a known version')
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 13), { authTagLength: 16 })
    .setAAD(Buffer.from(context))
    .setAuthTag(sealed.subarray(13, 29))
  return Buffer.concat([decipher.update(sealed.subarray(29)), decipher.final()])
}
