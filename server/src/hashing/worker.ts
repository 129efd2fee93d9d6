import os from 'node:os'
import { hashPassword, needsRehash, verifyPassword } from './algorithms.ts'
import type { HashReply, HashRequest } from './pool.ts'

/* One of the hashing processes: lowest priority but one, so that serving requests always comes first. */

os.setPriority(os.constants.priority.PRIORITY_LOW)
process.title = 'roster hashing'
// Ctrl-C reaches the whole group; the parent decides when its workers may end.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
process.on('disconnect', () => process.exit(0))

process.on('message', (request: HashRequest) => {
  const began = performance.now()
  const found = answer(request)
  const reply: HashReply = { id: request.id, ...found, milliseconds: performance.now() - began }
  // A parent that has gone meanwhile wants no answer.
  process.send?.(reply, undefined, undefined, () => undefined)
})

function answer({ hash, password, rehash = password }: HashRequest): Omit<HashReply, 'id' | 'milliseconds'> {
  if (hash === undefined) return { hash: hashPassword(password) }
  const valid = verifyPassword(hash, password)
  return valid && needsRehash(hash) ? { valid, hash: hashPassword(rehash) } : { valid }
}
