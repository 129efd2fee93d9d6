import type { Db, Tx } from '../../db/store.ts'
import { ProblemError } from '../../http/problems.ts'
import type { JsonObject } from '../../lib/json.ts'
import { lockUser, setPrivacy } from '../users/index.ts'
import type { ScopeView } from './registry.ts'
import { findDefinition, findValues } from './repo.ts'
import type { Definition } from './schemas.ts'
import { effective } from './validate.ts'

/** Shipped keys that search and the public view obey. */
const privacyKeys: ReadonlySet<string> = new Set([
  'privacy.searchable',
  'privacy.show_location',
  'privacy.show_experience',
])

type Fixed = Readonly<Partial<Definition>>
const yesOrNo: Fixed = { scope: 'setting', setting_type: 'boolean', validation_rules: {}, cross_rules: [] }

/**
 * The shipped keys that the service itself obeys, which can't be removed, and what is fixed of each: what users
 * can set, and of the privacy keys the default too, since it is what they agreed to.
 */
export const obeyedKeys: ReadonlyMap<string, Fixed> = new Map([
  ...[...privacyKeys].map((key): [string, Fixed] => [key, { ...yesOrNo, default_value: true }]),
  ['notifications.email', yesOrNo],
  ['notifications.account_changes', yesOrNo],
])

/**
 * Locks the user of changes that {@link applyPrivacy} may carry on, before anything of theirs is locked: a user
 * comes before their values, here as in erasing.
 * @throws ProblemError not_found where they were deleted meanwhile
 */
export async function lockForPrivacy(trx: Tx, userId: string, changes: JsonObject): Promise<void> {
  if (!Object.keys(changes).some(key => privacyKeys.has(key))) return
  const user = await lockUser(trx, userId)
  if (!user || user.deleted_at) throw new ProblemError('not_found')
}

/**
 * Carries a change of the privacy settings to the profile, where search and the public view see it. Call
 * {@link lockForPrivacy} before.
 */
export async function applyPrivacy(
  trx: Tx,
  userId: string,
  view: ScopeView,
  values: JsonObject,
  changed: readonly string[],
): Promise<void> {
  if (!changed.some(key => privacyKeys.has(key))) return
  const allows = (key: string): boolean => {
    const compiled = view.get(key)
    return !compiled || effective(values, compiled) !== false
  }
  await setPrivacy(trx, userId, {
    searchable: allows('privacy.searchable'),
    showLocation: allows('privacy.show_location'),
    showExperience: allows('privacy.show_experience'),
  })
}

/** Mails that a user can switch off, by the setting that does. All others always go out: they are about safety. */
const optionalMails: Readonly<Record<string, string>> = {
  username_changed: 'notifications.account_changes',
}

/**
 * Whether a user wants mail of this kind (a template's name). Security notices and what somebody asked for, a
 * code or a link, can't be switched off.
 */
export async function wantsMail(db: Db, userId: string, kind: string): Promise<boolean> {
  const key = optionalMails[kind]
  if (key === undefined) return true
  const own = (await findValues(db, userId, 'setting'))?.value_by_key ?? {}
  return (await isOn(db, own, 'notifications.email')) && (await isOn(db, own, key))
}

async function isOn(db: Db, own: JsonObject, key: string): Promise<boolean> {
  if (Object.hasOwn(own, key)) return own[key] !== false
  const definition = await findDefinition(db, key)
  return definition?.removed_at !== null || definition.default_value !== false
}
