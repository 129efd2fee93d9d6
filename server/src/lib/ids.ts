import { randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(10 * 256)
let used = pool.length
let lastMs = 0
/** Milliseconds and counter as one number, of which the counter is the lowest 12 bits. */
let lastCount = 0

/**
 * A UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then a 12-bit counter that keeps ids made
 * in one millisecond in order, then 62 random bits. Ordered ids keep inserts at the end of every index. A counter
 * that runs over goes on in the next millisecond (section 6.2): after 2,048 ids or more of one moment.
 */
export function uuidv7(at: Date): string {
  const ms = at.getTime()
  lastCount = ms === lastMs ? lastCount + 1 : ms * 4096 + (randomBytesFromPool(2).readUInt16BE() & 0x7ff)
  lastMs = ms
  const bytes = Buffer.allocUnsafe(16)
  bytes.writeUIntBE(Math.floor(lastCount / 4096), 0, 6)
  bytes.writeUInt16BE(0x7000 | (lastCount % 4096), 6)
  randomBytesFromPool(8).copy(bytes, 8)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return formatUuid(bytes)
}

/** The lowest UUIDv7 of a moment: rows with a smaller id are older. */
export function uuidv7Floor(at: Date): string {
  const bytes = Buffer.alloc(16)
  bytes.writeUIntBE(at.getTime(), 0, 6)
  bytes.writeUInt16BE(0x7000, 6)
  bytes.writeUInt8(0x80, 8)
  return formatUuid(bytes)
}

/** The lowest of all (RFC 9562, section 5.9): where a walk through ids begins. */
export const nilUuid = '00000000-0000-0000-0000-000000000000'

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export const isUuid = (value: string): boolean => uuidPattern.test(value)

export const uuidToBytes = (uuid: string): Buffer => Buffer.from(uuid.replaceAll('-', ''), 'hex')

export function formatUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
}

/** Random bytes bought 2.5 KB at a time: one call into OpenSSL serves hundreds of ids. */
function randomBytesFromPool(size: number): Buffer {
  if (used + size > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += size
  return pool.subarray(used - size, used)
}
