import type { Store } from '../../db/store.ts'
import type { PasswordHasher } from '../../hashing/pool.ts'
import { type Credential, findCredential } from '../users/index.ts'
import { candidatePassword } from './password-policy.ts'

/**
 * The credential of a known user, if the password is its. Always one hash: also where there is none, and for a
 * password too long to be one. @throws ProblemError service_busy
 */
export async function verifyPassword(
  { store, hasher }: { store: Store; hasher: PasswordHasher },
  userId: string,
  password: string,
): Promise<Credential | undefined> {
  const credential = await findCredential(store.db, userId)
  const candidate = candidatePassword(password)
  const hash = candidate === undefined ? undefined : (credential?.password_hash ?? undefined)
  const { valid } = await hasher.verify(hash, candidate ?? '')
  return valid ? credential : undefined
}
