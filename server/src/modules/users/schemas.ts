import { type Static, Type } from 'typebox'
import { nullable } from '../../http/schemas.ts'

const timestamp = (description: string) => Type.String({ format: 'date-time', description })
const nullableTimestamp = (description: string) => nullable(timestamp(description))

export const userExample = {
  id: '019c1379-3f00-7000-8000-000000000000',
  username: 'ada',
  email: 'ada@example.com',
  email_verified: true,
  email_verified_at: '2026-01-31T10:05:00.000Z',
  phone_number: null,
  phone_verified: false,
  full_name: 'Ada Lovelace',
  first_name: 'Ada',
  last_name: 'Lovelace',
  role: 'user',
  roles: ['user'],
  is_active: true,
  is_premium: false,
  subscription: { tier: 'free', since: null, expires_at: null },
  current_title: 'Analyst',
  location: 'London',
  avatar_url: null,
  locale: 'en-GB',
  timezone: 'Europe/London',
  mfa_enabled: false,
  created_at: '2026-01-31T10:00:00.000Z',
  updated_at: '2026-02-01T09:30:00.000Z',
  updated_by: '019c1379-3f00-7000-8000-000000000000',
  last_login_at: '2026-02-01T09:00:00.000Z',
  last_activity_at: '2026-02-01T09:30:00.000Z',
  password_changed_at: null,
  last_username_updated: null,
  deleted_at: null,
}

export const UserSchema = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    username: Type.String(),
    email: Type.String(),
    email_verified: Type.Boolean(),
    email_verified_at: nullableTimestamp('When the address was last proved'),
    phone_number: nullable(Type.String({ description: 'E.164' })),
    phone_verified: Type.Boolean(),
    full_name: nullable(Type.String()),
    first_name: nullable(Type.String()),
    last_name: nullable(Type.String()),
    role: Type.Union([Type.Literal('admin'), Type.Literal('user')]),
    roles: Type.Array(Type.String()),
    is_active: Type.Boolean(),
    is_premium: Type.Boolean(),
    subscription: Type.Object({
      tier: Type.String(),
      since: nullableTimestamp('When the present tier began'),
      expires_at: nullableTimestamp('When it ends by itself'),
    }),
    current_title: nullable(Type.String()),
    location: nullable(Type.String()),
    avatar_url: nullable(Type.String()),
    locale: nullable(Type.String({ description: 'BCP 47 tag' })),
    timezone: nullable(Type.String({ description: 'IANA name' })),
    mfa_enabled: Type.Boolean(),
    created_at: timestamp('Registration'),
    updated_at: nullableTimestamp('Last change of the record or profile by anyone; never a login'),
    updated_by: nullable(Type.String({ format: 'uuid', description: 'Who made that change' })),
    last_login_at: nullableTimestamp('Last completed login'),
    last_activity_at: nullableTimestamp('Last authenticated request, at most a minute late'),
    password_changed_at: nullableTimestamp('Last change or reset of the password'),
    last_username_updated: nullableTimestamp('Last change of the username'),
    deleted_at: nullableTimestamp('Since when the account is deleted; it can be restored until it is erased'),
  },
  {
    $id: 'User',
    description: 'A user, with everything in their record.',
    examples: [userExample],
    title: 'User',
    additionalProperties: false,
  },
)

export type User = Static<typeof UserSchema>

/** What `PUT` and `PATCH` of one's own record take: every field optional, `null` empties one. */
export const ProfileChangesSchema = Type.Object(
  {
    full_name: Type.Optional(
      nullable(Type.String({ maxLength: 300, description: 'At most 150 characters' })),
    ),
    first_name: Type.Optional(
      nullable(Type.String({ maxLength: 150, description: 'At most 75 characters' })),
    ),
    last_name: Type.Optional(nullable(Type.String({ maxLength: 150, description: 'At most 75 characters' }))),
    current_title: Type.Optional(nullable(Type.String({ maxLength: 300 }))),
    location: Type.Optional(nullable(Type.String({ maxLength: 300 }))),
    avatar_url: Type.Optional(nullable(Type.String({ maxLength: 2048, description: 'http or https' }))),
    locale: Type.Optional(nullable(Type.String({ maxLength: 35, description: 'BCP 47, e.g. `de-AT`' }))),
    timezone: Type.Optional(
      nullable(Type.String({ maxLength: 64, description: 'IANA, e.g. `Europe/Vienna`' })),
    ),
  },
  {
    $id: 'ProfileChanges',
    additionalProperties: false,
    examples: [
      { full_name: 'Updated Name', current_title: 'Software Engineer', location: 'San Francisco, CA' },
    ],
  },
)

export type ProfileChanges = Static<typeof ProfileChangesSchema>
