import type { ReplicaUser, RosterEvent } from './types.ts'

/** What an event makes of a user: a new record, none, no change, or something that only the service can tell. */
export type Applied =
  | { kind: 'put'; user: ReplicaUser }
  | { kind: 'remove' }
  | { kind: 'same' }
  | { kind: 'ask' }

type Data = RosterEvent['data']
type Patch = Partial<ReplicaUser>

/** What events say of fields that a replica keeps. Undefined: the event lacks what it should tell. */
const patches: Readonly<Record<string, (data: Data) => Patch | undefined>> = {
  'user.username_updated': ({ newUsername }) => text('username', newUsername),
  'user.email_updated': ({ newEmail, emailVerified }) =>
    typeof newEmail === 'string' && typeof emailVerified === 'boolean'
      ? { email: newEmail, email_verified: emailVerified }
      : undefined,
  'user.email_verified': ({ emailVerifiedAt }) =>
    typeof emailVerifiedAt === 'string' ? { email_verified: true } : undefined,
  'user.profile_updated': ({ changes }) => readChanges(changes),
  'user.deleted': ({ deletedAt }) =>
    typeof deletedAt === 'string' ? { is_active: false, deleted_at: deletedAt } : undefined,
}

/** Events of a user that change nothing of what a replica keeps. */
const harmless = new Set([
  'user.logged_in',
  'user.password_changed',
  'user.settings_updated',
  'user.subscription_updated',
  'user.mfa_enabled',
  'user.mfa_disabled',
  'user.passkey_clone_suspected',
])

/**
 * Applies an event to the record it is about. Whatever this version does not know of a user, or what is left of
 * an event after an erasure, is answered with `ask`: a replica stays right when the service learns new events.
 */
export function applyEvent(user: ReplicaUser | undefined, { eventType, data }: RosterEvent): Applied {
  if (eventType === 'user.erased') return { kind: 'remove' }
  if (!eventType.startsWith('user.') || harmless.has(eventType)) return { kind: 'same' }
  const patch = user && patches[eventType]?.(data)
  return patch ? { kind: 'put', user: { ...user, ...patch } } : { kind: 'ask' }
}

/** Whose event it is, if it is a user's. */
export const userIdOf = ({ data }: RosterEvent): string | undefined =>
  typeof data.userId === 'string' ? data.userId : undefined

const text = (field: 'username', value: unknown): Patch | undefined =>
  typeof value === 'string' ? { [field]: value } : undefined

const profileFields: Readonly<Record<string, keyof ReplicaUser>> = {
  fullName: 'full_name',
  firstName: 'first_name',
  lastName: 'last_name',
  currentTitle: 'current_title',
  location: 'location',
  avatarUrl: 'avatar_url',
  locale: 'locale',
  timezone: 'timezone',
}

function readChanges(changes: unknown): Patch | undefined {
  if (typeof changes !== 'object' || changes === null) return undefined
  const entries = Object.entries(changes).flatMap(([name, value]) => {
    const field = profileFields[name]
    return field ? [[field, value]] : []
  })
  const isPlain = entries.every(([, value]) => value === null || typeof value === 'string')
  return isPlain ? Object.fromEntries(entries) : undefined
}
