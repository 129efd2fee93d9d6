/** Every type of event that is written. `docs/events.md` says what each carries. */
export const eventTypes = [
  'user.registered',
  'user.username_updated',
  'user.email_updated',
  'user.email_verified',
  'user.phone_updated',
  'user.profile_updated',
  'user.password_changed',
  'user.logged_in',
  'user.roles_updated',
  'user.settings_updated',
  'user.subscription_updated',
  'user.mfa_enabled',
  'user.mfa_disabled',
  'user.passkey_clone_suspected',
  'user.deactivated',
  'user.deleted',
  'user.restored',
  'user.erased',
  'session.revoked',
  'role.created',
  'role.updated',
  'role.deleted',
  'settings.definition_updated',
] as const

export type EventType = (typeof eventTypes)[number]

const resources = new Set(eventTypes.map(type => type.slice(0, type.indexOf('.'))))

/** What events can be asked for by: `*`, all types of a resource such as `user.*`, and the types. */
export const eventTypePatterns: readonly string[] = [
  '*',
  ...[...resources].map(one => `${one}.*`),
  ...eventTypes,
]

/** Whether one of the patterns names a type. */
export const matchesType = (patterns: readonly string[], type: string): boolean =>
  patterns.some(pattern => (pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : pattern === type))
