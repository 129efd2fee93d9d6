import { randomInt } from 'node:crypto'
import { type ConstraintProblems, orConflict } from '../../db/constraints.ts'
import type { Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import { uuidv7 } from '../../lib/ids.ts'
import { emailKey, usernameFromEmail, usernameKey } from '../../lib/text.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { joinNames, readFields } from './fields.ts'
import { refuseHeldNames } from './name-holds.ts'
import { findForeignHold, insertUser } from './repo.ts'
import type { IsReserved } from './reserved-usernames.ts'

export type NewUser = {
  email: string
  username?: string | undefined
  full_name?: string | undefined
  first_name?: string | undefined
  last_name?: string | undefined
  phone_number?: string | undefined
  /** PHC string. Without one the account can't be signed in to with a password. */
  password_hash?: string | undefined
  is_active?: boolean | undefined
  /** The address is known to be theirs. */
  email_verified?: boolean | undefined
}

const taken: ConstraintProblems = {
  users__email_unique: 'email_taken',
  users__username_unique: 'username_taken',
  users__phone_unique: 'phone_taken',
}

export type UsernameDeps = {
  /** See RESERVED_USERNAMES. */
  isReservedUsername: IsReserved
}

/** The fields of a new user in kept form. @throws ProblemError validation_failed */
export const readNewUser = <T extends NewUser>({ isReservedUsername }: UsernameDeps, input: T): T =>
  readFields(input, isReservedUsername)

/**
 * Creates a user from what {@link readNewUser} returned, with audit row and event.
 * @returns the new id
 * @throws ProblemError email_taken, username_taken, phone_taken
 */
export async function createUser(
  { isReservedUsername }: UsernameDeps,
  trx: Tx,
  at: Date,
  origin: Origin,
  input: NewUser,
): Promise<string> {
  const id = uuidv7(at)
  const full_name = input.full_name ?? joinNames(input.first_name, input.last_name)
  const record = {
    id,
    email: input.email,
    email_key: emailKey(input.email) ?? '',
    email_verified_at: input.email_verified ? at : null,
    phone_number: input.phone_number ?? null,
    full_name,
    first_name: input.first_name ?? null,
    last_name: input.last_name ?? null,
    is_active: input.is_active ?? true,
    created_at: at,
  }
  const credential = input.password_hash === undefined ? undefined : { password_hash: input.password_hash }
  const username = await orConflict(taken, () =>
    insertUnderFreeName(isReservedUsername, trx, at, input, name =>
      insertUser(trx, { ...record, username: name, username_key: usernameKey(name) }, credential),
    ),
  )
  await refuseHeldNames(trx, at, id, [
    { kind: 'username', key: usernameKey(username) },
    { kind: 'email', key: record.email_key },
  ])
  await appendAudit(trx, at, origin, { action: 'user.registered', subject: { type: 'user', id } })
  await appendEvent(trx, at, {
    type: 'user.registered',
    userId: id,
    data: {
      userId: id,
      email: input.email,
      username,
      fullName: full_name,
      isActive: record.is_active,
      emailVerified: record.email_verified_at !== null,
      createdAt: at.toISOString(),
    },
  })
  return id
}

/** A name that was asked for is tried alone; one made from the address is tried again with a longer suffix. */
async function insertUnderFreeName(
  isReserved: IsReserved,
  trx: Tx,
  at: Date,
  { username, email }: NewUser,
  insert: (username: string) => Promise<boolean>,
): Promise<string> {
  if (username !== undefined) {
    if (await insert(username)) return username
    throw new ProblemError('username_taken')
  }
  const base = usernameFromEmail(email)
  for (const suffix of ['', ...suffixes()]) {
    const name = base + suffix
    if (isReserved(name)) continue
    const isHeld = await findForeignHold(trx, {
      at,
      userId: null,
      names: [{ kind: 'username', key: usernameKey(name) }],
    })
    if (!isHeld && (await insert(name))) return name
  }
  throw new ProblemError('username_taken')
}

function* suffixes() {
  for (const digits of [2, 3, 4, 5, 6, 6, 6, 6]) yield String(randomInt(10 ** (digits - 1), 10 ** digits))
}
