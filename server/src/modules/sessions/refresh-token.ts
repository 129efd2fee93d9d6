import { randomBytes } from 'node:crypto'
import { formatUuid, uuidToBytes } from '../../lib/ids.ts'
import { equalInConstantTime, hmacSha256, sha256 } from '../../lib/secrets.ts'

/*
 * A refresh token names its session and its place in that session's chain, and proves that we made it:
 *
 *   session id (16 bytes) | generation (4) | nonce (16) | HMAC-SHA256 of all that (32)
 *
 * So one row per session is enough. It keeps the SHA-256 of the one token that is valid; an older one is
 * recognised by its own MAC, however long ago it was replaced, and the successor of a token is derived from
 * it, so that two requests with the same token get the same answer without any plain token being stored.
 */
export type RefreshToken = {
  sessionId: string
  generation: number
  /** As sent to the client. */
  text: string
  /** As kept: SHA-256 of the token's bytes. */
  hash: Buffer
}

const prefix = 'rrt_'
const payloadLength = 36
const length = payloadLength + 32

/** The first token of a session's chain. */
export const firstRefreshToken = (key: Buffer, sessionId: string): RefreshToken =>
  make(key, sessionId, 0, randomBytes(16))

/** The one token that may follow `token`: always the same, and not to be guessed without the key. */
export const successorOf = (key: Buffer, token: RefreshToken): RefreshToken =>
  make(key, token.sessionId, token.generation + 1, hmacSha256(key, `successor ${token.text}`).subarray(0, 16))

/** Reads a token that we made; null for anything else, forged or merely mistyped. */
export function readRefreshToken(key: Buffer, text: string): RefreshToken | null {
  if (!text.startsWith(prefix) || text.length !== prefix.length + Math.ceil((length * 4) / 3)) return null
  const bytes = Buffer.from(text.slice(prefix.length), 'base64url')
  if (bytes.length !== length || encode(bytes) !== text) return null
  const payload = bytes.subarray(0, payloadLength)
  if (!equalInConstantTime(hmacSha256(key, payload), bytes.subarray(payloadLength))) return null
  return {
    sessionId: formatUuid(bytes.subarray(0, 16)),
    generation: bytes.readUInt32BE(16),
    text,
    hash: sha256(bytes),
  }
}

function make(key: Buffer, sessionId: string, generation: number, nonce: Buffer): RefreshToken {
  const place = Buffer.alloc(4)
  place.writeUInt32BE(generation)
  const payload = Buffer.concat([uuidToBytes(sessionId), place, nonce])
  const bytes = Buffer.concat([payload, hmacSha256(key, payload)])
  return { sessionId, generation, text: encode(bytes), hash: sha256(bytes) }
}

const encode = (bytes: Buffer): string => prefix + bytes.toString('base64url')
