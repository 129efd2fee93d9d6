import type { Db, Store, Tx } from '../../../db/store.ts'
import type { FieldError } from '../../../http/problem-schema.ts'
import { ProblemError } from '../../../http/problems.ts'
import { codePoints, fold, hasControls, tidyName } from '../../../lib/text.ts'
import { appendAudit, type Origin } from '../../audit/index.ts'
import { appendEvent } from '../../events/index.ts'
import { camelCase } from '../event-names.ts'
import { readFields } from '../fields.ts'
import { findUserRecord, type LockedUser, lockUser, updateUser } from '../repo.ts'
import { findProfile, type ProfileRow, putProfile } from './repo.ts'
import type { Profile, ProfileUpdate } from './schemas.ts'

/** Fields that stand in the record; the profile shows and changes the same value. */
const ofRecord = ['avatar_url', 'timezone', 'locale'] as const

/** A whole profile, for its owner and for administrators. @throws ProblemError not_found */
export async function readProfile(db: Db, userId: string): Promise<Profile> {
  const [user, row] = await Promise.all([findUserRecord(db, userId), findProfile(db, userId)])
  if (!user) throw new ProblemError('not_found')
  return toProfile(user, row)
}

function toProfile(user: Pick<LockedUser, (typeof ofRecord)[number]>, row: ProfileRow): Profile {
  const { is_searchable: _, hidden_fields: __, ...profile } = row
  return { ...profile, avatar_url: user.avatar_url, timezone: user.timezone, locale: user.locale }
}

/**
 * Changes a profile. What is the same already is no change: if nothing is left, nothing is written, audited or
 * published, and `updated_at` stays.
 * @throws ProblemError validation_failed, not_found
 */
export function changeProfile(
  store: Store,
  at: Date,
  origin: Origin,
  userId: string,
  input: ProfileUpdate,
): Promise<void> {
  const wanted = readProfileUpdate(input)
  return store.transact(async trx => {
    const user = await lockUser(trx, userId)
    if (!user || user.deleted_at) throw new ProblemError('not_found')
    const present: Record<string, unknown> = toProfile(user, await findProfile(trx, userId))
    const changes = Object.fromEntries(
      Object.entries(wanted).filter(
        ([field, value]) => value !== undefined && differs(present[field], value),
      ),
    )
    if (Object.keys(changes).length === 0) return
    await write(trx, at, origin, userId, changes)
    await record(store, trx, at, origin, user, changes)
  })
}

const differs = (a: unknown, b: unknown): boolean => JSON.stringify(a) !== JSON.stringify(b)

async function write(
  trx: Tx,
  at: Date,
  origin: Origin,
  userId: string,
  changes: Record<string, unknown>,
): Promise<void> {
  const isOfRecord = ([field]: [string, unknown]) => (ofRecord as readonly string[]).includes(field)
  const columns = Object.entries(changes)
  const own = columns.filter(column => !isOfRecord(column))
  if (own.length > 0) await putProfile(trx, userId, Object.fromEntries(own.map(asColumn)))
  await updateUser(trx, userId, {
    ...Object.fromEntries(columns.filter(isOfRecord)),
    updated_at: at,
    updated_by: origin.actorId ?? null,
  })
}

const asColumn = ([field, value]: [string, unknown]): [string, unknown] =>
  field === 'education' || field === 'experience' ? [field, JSON.stringify(value)] : [field, value]

async function record(
  store: Store,
  trx: Tx,
  at: Date,
  origin: Origin,
  user: LockedUser,
  changes: Record<string, unknown>,
): Promise<void> {
  await appendAudit(trx, at, origin, {
    action: 'user.profile_updated',
    subject: { type: 'user', id: user.id },
    changedFields: Object.keys(changes),
  })
  await appendEvent(trx, at, {
    type: 'user.profile_updated',
    userId: user.id,
    data: {
      userId: user.id,
      email: user.email,
      changes: Object.fromEntries(Object.entries(changes).map(([field, value]) => [camelCase(field), value])),
      updatedAt: at.toISOString(),
    },
  })
  await store.announce(trx, { kind: 'user', id: user.id })
}

function readProfileUpdate(input: ProfileUpdate): ProfileUpdate {
  const errors: FieldError[] = []
  const lists = {
    ...(input.skills && { skills: readList('skills', input.skills, 50, errors) }),
    ...(input.languages && { languages: readList('languages', input.languages, 50, errors) }),
  }
  for (const field of ['education', 'experience'] as const) {
    for (const [at, entry] of (input[field] ?? []).entries())
      errors.push(...entryFaults(`/${field}/${at}`, entry))
  }
  if (errors.length > 0) throw new ProblemError('validation_failed', { errors })
  return readFields({ ...input, ...lists })
}

/** Words of a list, tidied, each once whatever its case. */
function readList(field: string, list: readonly string[], longest: number, errors: FieldError[]): string[] {
  const kept = new Map<string, string>()
  for (const [at, text] of list.entries()) {
    const tidy = tidyName(text)
    if (tidy === '' || codePoints(tidy) > longest || hasControls(tidy)) {
      const message = `takes 1 to ${longest} characters, none of them control characters`
      errors.push({ path: `/${field}/${at}`, code: 'name', message })
    } else if (!kept.has(fold(tidy))) kept.set(fold(tidy), tidy)
  }
  return [...kept.values()]
}

function entryFaults(path: string, entry: Readonly<Record<string, unknown>>): FieldError[] {
  const errors = Object.entries(entry)
    .filter(([name, value]) => name !== 'description' && typeof value === 'string' && hasControls(value))
    .map(([name]) => ({ path: `${path}/${name}`, code: 'name', message: 'takes no control characters' }))
  const [from, to] = 'institution' in entry ? ['start_year', 'end_year'] : ['start', 'end']
  const [start, end] = [entry[from], entry[to]]
  if (start != null && end != null && start > end) {
    errors.push({ path: `${path}/${to}`, code: 'too_small', message: `must not be before ${from}` })
  }
  return errors
}

/** Fields that each privacy setting hides from other users. */
const locationFields = ['location', 'city', 'country']
const experienceFields = ['company', 'experience', 'education', 'years_of_experience']

/** Carries a user's privacy settings to where search and the public view look. */
export async function setPrivacy(
  trx: Tx,
  userId: string,
  privacy: { searchable: boolean; showLocation: boolean; showExperience: boolean },
): Promise<void> {
  await putProfile(trx, userId, {
    is_searchable: privacy.searchable,
    hidden_fields: [
      ...(privacy.showLocation ? [] : locationFields),
      ...(privacy.showExperience ? [] : experienceFields),
    ],
  })
}
