import type { Store } from '../../db/store.ts'
import type { Asker } from '../../hashing/admission.ts'
import type { PasswordHasher } from '../../hashing/pool.ts'
import { addressGroup } from '../../http/client-address.ts'
import {
  type Credential,
  findCredential,
  type NobodysHashes,
  strengthenPasswordHash,
} from '../users/index.ts'

export type PasswordDeps = { store: Store; hasher: PasswordHasher; nobodysHashes: NobodysHashes }

/** Whose password is checked: the name that was given, and the account that has it. */
export type Claimed = {
  name: string
  credential: Credential | undefined
  address: string | undefined
  /** Signed in, or on a device that the owner signed in from before. */
  isKnown: boolean
}

/**
 * Whether the password is the account's. What it costs is the same for nobody, and for an account without a
 * password. A right one of a foreign or weaker hash is hashed anew.
 * @throws ProblemError service_busy
 */
export async function isPasswordOf(
  { store, hasher, nobodysHashes }: PasswordDeps,
  { name, credential, address, isKnown }: Claimed,
  password: string,
): Promise<boolean> {
  const nobodys = await nobodysHashes.forName(credential?.id ?? name)
  const asker: Asker = { account: name, address: addressGroup(address ?? 'none'), isKnown }
  const hash = credential?.password_hash ?? undefined
  const { valid, rehashed } = await hasher.verify(hash ?? nobodys, password, asker)
  if (!credential || hash === undefined || !valid) return false
  if (rehashed !== undefined && credential.is_active) {
    await strengthenPasswordHash(store.db, { userId: credential.id, from: hash, to: rehashed })
  }
  return true
}

/** The credential of somebody who is known already, if the password is theirs. @throws ProblemError service_busy */
export async function verifyPassword(
  deps: PasswordDeps,
  userId: string,
  password: string,
  address: string | undefined,
): Promise<Credential | undefined> {
  const credential = await findCredential(deps.store.db, userId)
  const claimed = { name: userId, credential, address, isKnown: true }
  return (await isPasswordOf(deps, claimed, password)) ? credential : undefined
}
