import type { FieldError } from '../../http/problem-schema.ts'

/** Every permission there is, with what it allows. Routes name one of these; roles hold sets of them. */
export const permissions = {
  'users:read': 'See every user in full',
  'users:create': 'Create users, and set privileged fields at registration',
  'users:update':
    'Change users, seeing each one’s record then; deactivate, restore, unlock and sign them out',
  'users:delete': 'Delete users (they can be restored)',
  'users:erase': 'Erase users for good',
  'roles:read': 'See roles and who holds them, by username',
  'roles:assign': 'Grant and take roles',
  'roles:manage': 'Create, change and delete roles',
  'settings:manage': 'Define preferences and settings, and set those of users',
  'subscriptions:manage': 'Set users’ subscriptions, seeing each one’s record then',
  'tokens:introspect': 'Ask whether an access token is valid',
  'audit:read': 'Read, verify and export the audit log',
  'events:read': 'Follow the event feed',
  'webhooks:manage': 'Register webhook endpoints and see their deliveries',
  'mail:manage': 'See undelivered messages and send them again',
  'sms:send': 'Send text messages',
  'system:read': 'See the state of the database and of the service',
} as const

export type Permission = keyof typeof permissions

export const allPermissions = Object.keys(permissions) as Permission[] // the keys of the table above

/** What a role's stored list stands for: `*` is every permission, now and later. */
export const expandPermissions = (stored: readonly string[]): ReadonlySet<string> =>
  new Set(stored.includes('*') ? allPermissions : stored)

export const unknownPermission = (path: string, permission: string): FieldError => ({
  path,
  code: 'unknown_permission',
  message: `there is no permission ${JSON.stringify(permission)}`,
})
