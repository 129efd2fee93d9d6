import type { Db, Store, Tx } from '../../../db/store.ts'
import { checkAll } from '../../../http/field-rules.ts'
import type { FieldError } from '../../../http/problem-schema.ts'
import { ProblemError } from '../../../http/problems.ts'
import { equalJson, type Json, type JsonObject } from '../../../lib/json.ts'
import { fold, readName, readText, trimSpace } from '../../../lib/text.ts'
import { appendAudit, type Origin } from '../../audit/index.ts'
import { appendEvent } from '../../events/index.ts'
import { camelCase } from '../event-names.ts'
import { readFields } from '../fields.ts'
import { findUserRecord, type LockedUser, lockUser, updateUser } from '../repo.ts'
import { findProfile, type ProfileRow, putProfile } from './repo.ts'
import type { Education, Experience, Profile, ProfileUpdate } from './schemas.ts'

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
    const present: JsonObject = toProfile(user, await findProfile(trx, userId))
    const changes = Object.fromEntries(
      Object.entries(wanted).filter(
        ([field, value]) => value !== undefined && differs(present[field] ?? null, value),
      ),
    )
    if (Object.keys(changes).length === 0) return
    await write(trx, at, origin, userId, changes)
    await record(store, trx, at, origin, user, changes)
  })
}

/** The database keeps an entry's fields in an order of its own. */
const differs = (a: Json, b: Json): boolean => !equalJson(a, b)

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

/** A change in the form in which it is kept. @throws ProblemError validation_failed that names every bad field */
export function readProfileUpdate(input: ProfileUpdate): ProfileUpdate {
  const { skills, languages, education, experience } = input
  const errors: FieldError[] = []
  const lists = {
    ...(skills && { skills: readWords('skills', skills, errors) }),
    ...(languages && { languages: readWords('languages', languages, errors) }),
    ...(education && { education: education.map((one, at) => readEntry(`/education/${at}`, one, errors)) }),
    ...(experience && {
      experience: experience.map((one, at) => readEntry(`/experience/${at}`, one, errors)),
    }),
  }
  const refuse = () => {
    if (errors.length > 0) throw new ProblemError('validation_failed', { errors })
  }
  checkAll(refuse, () => readFields(input))
  return readFields({ ...input, ...lists })
}

const longestWord = 50

/** Words of a list, tidied, each once whatever its case. No skill has a comma: a search separates skills by it. */
function readWords(field: 'skills' | 'languages', list: readonly string[], errors: FieldError[]): string[] {
  const refuses = field === 'skills' ? 'commas or control characters' : 'control characters'
  const message = `takes 1 to ${longestWord} characters, at least one that can be seen, none of them ${refuses}`
  const kept = new Map<string, string>()
  for (const [at, text] of list.entries()) {
    const tidy = readName(text, longestWord)
    if (tidy === null || (field === 'skills' && tidy.includes(','))) {
      errors.push({ path: `/${field}/${at}`, code: 'name', message })
    } else if (!kept.has(fold(tidy))) kept.set(fold(tidy), tidy)
  }
  return [...kept.values()]
}

/** Texts without which an entry says nothing. */
const needed: ReadonlySet<string> = new Set(['institution', 'title', 'company'])

/** An entry with its texts tidied; a blank one that may be missing is null. */
function readEntry<T extends Education | Experience>(path: string, entry: T, errors: FieldError[]): T {
  const fields = Object.entries(entry).map(([name, value]: [string, unknown]): [string, unknown] => {
    if (typeof value !== 'string') return [name, value]
    if (name === 'description') return [name, readText(value, 2000)]
    const tidy = readName(value, 200)
    if (tidy === null && (needed.has(name) || trimSpace(value) !== '')) {
      const message =
        'takes 1 to 200 characters, at least one that can be seen, none of them control characters'
      errors.push({ path: `${path}/${name}`, code: 'name', message })
    }
    return [name, tidy]
  })
  const tidied = Object.fromEntries(fields) as T // null where a text may be missing, or was refused
  errors.push(...orderFaults(path, tidied))
  return tidied
}

function orderFaults(path: string, entry: Education | Experience): FieldError[] {
  const [from, start, to, end] =
    'institution' in entry
      ? ['start_year', entry.start_year, 'end_year', entry.end_year]
      : ['start', entry.start, 'end', entry.end]
  if (start == null || end == null || start <= end) return []
  return [{ path: `${path}/${to}`, code: 'too_small', message: `must not be before ${from}` }]
}

/** Fields that each privacy setting hides from other users. */
const locationFields = ['location', 'city', 'country']
const experienceFields = ['company', 'experience', 'education', 'years_of_experience']

/** Carries a user's privacy settings to where search and the public view look. Lock the user before. */
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
