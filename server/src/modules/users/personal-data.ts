import type { Db } from '../../db/store.ts'
import { readProfile } from './profile/profiles.ts'
import { toUser } from './record.ts'
import { findUser, listHeldNames } from './repo.ts'

/** The record, the profile, and names that are still held for the user. */
export async function exportUser(db: Db, userId: string, now: Date): Promise<Record<string, unknown>> {
  const [row, profile, held] = await Promise.all([
    findUser(db, userId),
    readProfile(db, userId),
    listHeldNames(db, userId),
  ])
  return {
    user: row ? toUser(row, now) : null,
    profile,
    held_names: held.map(({ kind, name_key, held_until }) => ({
      kind,
      name: name_key,
      held_until: held_until.toISOString(),
    })),
  }
}
