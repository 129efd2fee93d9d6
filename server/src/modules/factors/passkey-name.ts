import { ProblemError } from '../../http/problems.ts'
import { readName } from '../../lib/text.ts'

/** Code points. */
const longest = 100

/** The name that a user gives a passkey, as it is kept. @throws ProblemError validation_failed */
export function readPasskeyName(name: string): string {
  const read = readName(name, longest)
  if (read !== null) return read
  const message = `takes 1 to ${longest} characters, at least one that can be seen, none of them control characters`
  throw new ProblemError('validation_failed', { errors: [{ path: '/name', code: 'name', message }] })
}
