import type { Tx } from '../../db/store.ts'
import { uuidv7 } from '../../lib/ids.ts'
import { emailKey, usernameKey } from '../../lib/text.ts'
import { appendEvent, eraseFromEvents } from '../events/index.ts'
import { type ActivityRow, deleteDemoRows, insertUser, type NewUserRow, updateActivity } from './repo.ts'

type DemoUser = Omit<NewUserRow, 'id' | 'username_key' | 'email_key' | 'is_demo'> &
  Pick<ActivityRow, 'login_count' | 'last_login_at'> & { passwordHash: string }

/**
 * Inserts a user who is marked as demo, with the event by which other services learn of every user: it happens
 * at `at`, however long ago the user is said to have registered. Returns the id.
 */
export async function insertDemoUser(
  trx: Tx,
  at: Date,
  { passwordHash, login_count = 0, last_login_at = null, ...user }: DemoUser,
): Promise<string> {
  const id = uuidv7(user.created_at)
  const keys = { username_key: usernameKey(user.username), email_key: emailKey(user.email) ?? '' }
  await insertUser(trx, { ...user, ...keys, id, is_demo: true }, { password_hash: passwordHash })
  await updateActivity(trx, id, { login_count, last_login_at, last_activity_at: last_login_at })
  await appendEvent(trx, at, {
    type: 'user.registered',
    userId: id,
    data: {
      userId: id,
      email: user.email,
      username: user.username,
      fullName: user.full_name,
      isActive: user.is_active,
      emailVerified: user.email_verified_at !== null,
      createdAt: user.created_at.toISOString(),
    },
  })
  return id
}

/** Deletes every demo user, also from the events that are still held, with an event for each. Returns their ids. */
export async function deleteDemoUsers(trx: Tx, at: Date): Promise<string[]> {
  const ids = await deleteDemoRows(trx)
  for (const userId of ids) {
    await eraseFromEvents(trx, { userId })
    await appendEvent(trx, at, { type: 'user.erased', userId, data: { userId, erasedAt: at.toISOString() } })
  }
  return ids
}
