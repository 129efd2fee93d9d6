import type { Store, Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { camelCase } from './event-names.ts'
import { joinNames, readFields } from './fields.ts'
import { lockUser, updateUser } from './repo.ts'
import type { ProfileChanges } from './schemas.ts'

type Field = keyof ProfileChanges

/**
 * Changes profile fields of a record. What is the same already is no change: if nothing is left, nothing is
 * written, audited or published, and `updated_at` stays (document 1's rule that it means a visible change).
 * @throws ProblemError validation_failed, not_found
 */
export function updateProfile(
  store: Store,
  at: Date,
  origin: Origin,
  userId: string,
  input: ProfileChanges,
): Promise<void> {
  const wanted = readFields(input)
  return store.transact(trx => updateProfileWithin(store, trx, at, origin, userId, wanted))
}

/** The same as part of a change, with fields that were read. */
export async function updateProfileWithin(
  store: Store,
  trx: Tx,
  at: Date,
  origin: Origin,
  userId: string,
  wanted: ProfileChanges,
): Promise<void> {
  const user = await lockUser(trx, userId)
  if (!user || user.deleted_at) throw new ProblemError('not_found')
  const changes = changedFields(user, withJoinedName(user, wanted))
  const fields = Object.keys(changes) as Field[] // changedFields() returns these keys alone
  if (fields.length === 0) return
  await updateUser(trx, userId, { ...changes, updated_at: at, updated_by: origin.actorId ?? null })
  await appendAudit(trx, at, origin, {
    action: 'user.profile_updated',
    subject: { type: 'user', id: userId },
    changedFields: fields,
  })
  await appendEvent(trx, at, {
    type: 'user.profile_updated',
    userId,
    data: {
      userId,
      email: user.email,
      changes: Object.fromEntries(fields.map(field => [camelCase(field), changes[field]])),
      updatedAt: at.toISOString(),
    },
  })
  await store.announce(trx, { kind: 'user', id: userId })
}

/** A full name that was made of first and last name follows them; one that somebody typed is left alone. */
function withJoinedName(
  user: Pick<Record<Field, string | null>, Field>,
  wanted: ProfileChanges,
): ProfileChanges {
  const renamed = wanted.first_name !== undefined || wanted.last_name !== undefined
  if (!renamed || wanted.full_name !== undefined || !isJoined(user)) return wanted
  const first = wanted.first_name === undefined ? user.first_name : wanted.first_name
  const last = wanted.last_name === undefined ? user.last_name : wanted.last_name
  return { ...wanted, full_name: joinNames(first, last) }
}

const isJoined = ({ full_name, first_name, last_name }: Record<Field, string | null>): boolean =>
  (full_name ?? '') === [first_name, last_name].filter(Boolean).join(' ')

function changedFields(user: Record<Field, string | null>, wanted: ProfileChanges): ProfileChanges {
  return Object.fromEntries(
    Object.entries(wanted).filter(([field, value]) => value !== undefined && user[field as Field] !== value), // wanted's keys
  )
}
