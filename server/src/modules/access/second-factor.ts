import type { Db } from '../../db/store.ts'
import { findRole, rolesOf } from './repo.ts'

/** Whether a role that a user holds demands a second factor. */
export const needsSecondFactor = async (db: Db, userId: string): Promise<boolean> =>
  (await rolesOf(db, userId)).some(role => role.requires_mfa)

/** Whether a role demands a second factor of its holders. */
export const roleNeedsSecondFactor = async (db: Db, name: string): Promise<boolean> =>
  (await findRole(db, name))?.requires_mfa ?? false
