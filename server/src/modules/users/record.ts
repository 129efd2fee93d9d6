import { adminRole, defaultRole } from '../access/index.ts'
import type { UserRow } from './repo.ts'
import type { User } from './schemas.ts'
import { subscriptionOf } from './subscription/present.ts'

/** A user as the API shows one to themselves and to administrators. `now` decides whether premium has run out. */
export function toUser(row: UserRow, now: Date): User {
  const roles = [...row.granted_roles, defaultRole].sort()
  const { tier, since, expiresAt } = subscriptionOf(row, now)
  return {
    id: row.id,
    username: row.username,
    email: row.email,
    email_verified: row.email_verified_at !== null,
    email_verified_at: iso(row.email_verified_at),
    phone_number: row.phone_number,
    phone_verified: row.phone_verified_at !== null,
    full_name: row.full_name,
    first_name: row.first_name,
    last_name: row.last_name,
    role: roles.includes(adminRole) ? 'admin' : 'user',
    roles,
    is_active: row.is_active,
    is_premium: tier === 'premium',
    subscription: { tier, since: iso(since), expires_at: iso(expiresAt) },
    current_title: row.current_title,
    location: row.location,
    avatar_url: row.avatar_url,
    locale: row.locale,
    timezone: row.timezone,
    mfa_enabled: row.mfa_enabled,
    created_at: row.created_at.toISOString(),
    updated_at: iso(row.updated_at),
    updated_by: row.updated_by,
    last_login_at: iso(row.last_login_at),
    last_activity_at: iso(row.last_activity_at),
    password_changed_at: iso(row.password_changed_at),
    last_username_updated: iso(row.last_username_updated),
    deleted_at: iso(row.deleted_at),
  }
}

const iso = (at: Date | null): string | null => (at === null ? null : at.toISOString())
