import type { Db, Tx } from '../../db/store.ts'
import type { JsonObject } from '../../lib/json.ts'
import { setPrivacy } from '../users/index.ts'
import type { ScopeView } from './registry.ts'
import { findDefinition, findValues } from './repo.ts'
import { effective } from './validate.ts'

/*
 * Shipped keys that the service itself obeys. Their type and default are fixed: an administrator who changed
 * them would change what users agreed to.
 */

export const obeyedKeys: ReadonlySet<string> = new Set([
  'privacy.searchable',
  'privacy.show_location',
  'privacy.show_experience',
])

/** Carries a change of the privacy settings to the profile, where search and the public view see it. */
export async function applyPrivacy(
  trx: Tx,
  userId: string,
  view: ScopeView,
  values: JsonObject,
  changed: readonly string[],
): Promise<void> {
  if (!changed.some(key => obeyedKeys.has(key))) return
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
  return (await findDefinition(db, key))?.default_value !== false
}
