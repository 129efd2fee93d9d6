import os from 'node:os'
import { hashPassword, verifyPassword } from '@roster/server/src/hashing/algorithms.ts'

/*
 * The limit: one process that checks one password again and again, and does nothing else. It has the priority
 * of the service's own hashing, so that what else the machine does takes the same from both.
 */

os.setPriority(os.constants.priority.PRIORITY_LOW)

const password = 'SecurePass123'
const hash = hashPassword(password)

process.on('message', ({ seconds }: { seconds: number }) => {
  const begin = performance.now()
  const end = begin + seconds * 1000
  let count = 0
  while (performance.now() < end) {
    if (!verifyPassword(hash, password)) throw new Error('a hash that is not its own')
    count++
  }
  process.send?.({ perSecond: (count * 1000) / (performance.now() - begin) })
})
process.on('disconnect', () => process.exit(0))
