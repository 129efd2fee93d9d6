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
  const reply: HashReply = { id: request.id, ...answer(request) }
  // A parent that has gone meanwhile wants no answer.
  process.send?.(reply, undefined, undefined, () => undefined)
})

function answer(request: HashRequest): Omit<HashReply, 'id'> {
  if (request.hash === undefined) return { hash: hashPassword(request.password) }
  const valid = verifyPassword(request.hash, request.password)
  return valid && needsRehash(request.hash) ? { valid, hash: hashPassword(request.password) } : { valid }
}
