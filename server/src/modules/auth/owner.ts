import type { Db } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { findOwner, type LockedUser } from '../users/index.ts'

/** What a person is called in their mails. */
export const nameOf = (user: { full_name: string | null; username: string }): string =>
  user.full_name ?? user.username

/** The active user whose address this is, in compared form. */
export async function findActiveByEmail(db: Db, emailKey: string): Promise<LockedUser | undefined> {
  const user = await findOwner(db, { column: 'email_key', value: emailKey })
  return user?.is_active ? user : undefined
}

/** Runs what a quota may refuse, and goes on without it: for messages that nobody is told about. */
export async function unlessLimited(send: () => Promise<void>): Promise<void> {
  try {
    await send()
  } catch (error) {
    const limited =
      error instanceof ProblemError && (error.code === 'otp_quota_exceeded' || error.code === 'otp_cooldown')
    if (!limited) throw error
  }
}
