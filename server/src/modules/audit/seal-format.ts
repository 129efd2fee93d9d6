import { formatUuid, uuidToBytes } from '../../lib/ids.ts'
import { hmacSha256 } from '../../lib/secrets.ts'
import type { Seal } from './repo.ts'

/*
 * A seal covers rows that were committed since the one before. It keeps, for each, the id and a MAC of its
 * content (truncated to 128 bits), so that verification can name the row that was touched; and one MAC over
 * all that and the MAC of the seal before, so that seals can't be edited, dropped, put in or exchanged.
 */

export type SealEntry = { id: string; mac: Buffer }

/** The end of the chain: whoever keeps one elsewhere can tell later that the chain still goes through it. */
export type Head = { sequence: number; mac: Buffer }

const idLength = 16
const entryLength = 32

/** In place of the MAC of a row that was gone before it could be sealed. */
export const noContent = Buffer.alloc(entryLength - idLength)

export const rowMac = (key: Buffer, content: string): Buffer =>
  hmacSha256(key, `row\n${content}`).subarray(0, entryLength - idLength)

export const encodeEntries = (entries: readonly SealEntry[]): Buffer =>
  Buffer.concat(entries.flatMap(({ id, mac }) => [uuidToBytes(id), mac]))

export function decodeEntries(bytes: Buffer): SealEntry[] {
  const entries: SealEntry[] = []
  for (let at = 0; at + entryLength <= bytes.length; at += entryLength) {
    const mac = bytes.subarray(at + idLength, at + entryLength)
    entries.push({ id: formatUuid(bytes.subarray(at, at + idLength)), mac })
  }
  return entries
}

export function sealMac(key: Buffer, seal: Omit<Seal, 'mac'>, before: Buffer): Buffer {
  const head = Buffer.from(`seal\n${seal.sequence}\n${seal.sealed_at.getTime()}\n`)
  return hmacSha256(key, Buffer.concat([head, before, seal.entries]))
}

/** What the first seal follows on. */
export const noSeal = Buffer.alloc(32)

/** `12:kB3…`: for files, logs and command lines. */
export const formatHead = ({ sequence, mac }: Head): string => `${sequence}:${mac.toString('base64url')}`

export function parseHead(text: string): Head | undefined {
  const [, sequence, mac] = /^([1-9]\d{0,14}):([\w-]{43})$/.exec(text.trim()) ?? []
  return sequence === undefined || mac === undefined
    ? undefined
    : { sequence: Number(sequence), mac: Buffer.from(mac, 'base64url') }
}
