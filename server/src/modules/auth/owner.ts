import type { Db } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { needsSecondFactor } from '../access/index.ts'
import { findOwner, type LockedUser, type UserReader } from '../users/index.ts'
import type { PasswordOwner } from './password-policy.ts'

/** What a person is called in their mails. */
export const nameOf = (user: { full_name: string | null; username: string }): string =>
  user.full_name ?? user.username

/** The active user whose address this is, in compared form. */
export async function findActiveByEmail(db: Db, emailKey: string): Promise<LockedUser | undefined> {
  const user = await findOwner(db, { column: 'email_key', value: emailKey })
  return user?.is_active ? user : undefined
}

/** What a new password of a user is checked against. */
export async function passwordOwner(db: Db, users: UserReader, userId: string): Promise<PasswordOwner> {
  const user = await users.read(userId)
  const names = [user.full_name, user.first_name, user.last_name]
  return { ...user, names, needsSecondFactor: await needsSecondFactor(db, userId) }
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
