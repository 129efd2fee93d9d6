import { type Static, Type } from 'typebox'
import type { Db } from '../../db/store.ts'
import { nullable } from '../../http/schemas.ts'
import { readSnapshot, type SnapshotRow } from './repo.ts'

const userExample = {
  id: '0197c0de-0000-7000-8000-000000000002',
  username: 'new_username',
  email: 'user@example.com',
  email_verified: true,
  phone_number: null,
  phone_verified: false,
  full_name: 'Test User',
  first_name: null,
  last_name: null,
  roles: ['user'],
  is_active: true,
  current_title: 'Engineer',
  location: null,
  avatar_url: null,
  locale: 'en',
  timezone: 'Europe/Vienna',
  created_at: '2026-01-31T10:00:00.000Z',
  deleted_at: null,
}

/** What events tell of a user, all of it at once: the record that a replica keeps. */
const SnapshotUserSchema = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    username: Type.String(),
    email: Type.String(),
    email_verified: Type.Boolean(),
    phone_number: nullable(Type.String()),
    phone_verified: Type.Boolean(),
    full_name: nullable(Type.String()),
    first_name: nullable(Type.String()),
    last_name: nullable(Type.String()),
    roles: Type.Array(Type.String()),
    is_active: Type.Boolean(),
    current_title: nullable(Type.String()),
    location: nullable(Type.String()),
    avatar_url: nullable(Type.String()),
    locale: nullable(Type.String()),
    timezone: nullable(Type.String()),
    created_at: Type.String({ format: 'date-time' }),
    deleted_at: nullable(Type.String({ format: 'date-time' })),
  },
  { additionalProperties: false },
)

export const SnapshotSchema = Type.Object(
  {
    sequence: Type.Integer({ description: 'Every event up to this has left its mark on the items' }),
    items: Type.Array(SnapshotUserSchema),
    next_after: nullable(
      Type.String({ format: 'uuid', description: '`after` of the next page; null at the end' }),
    ),
  },
  {
    $id: 'UserSnapshot',
    additionalProperties: false,
    description: 'A page of the users, and where their events begin.',
    examples: [{ sequence: 1234, items: [userExample], next_after: null }],
  },
)

export type Snapshot = Static<typeof SnapshotSchema>

export type SnapshotQuery = { after?: string | undefined; ids?: readonly string[] | undefined; limit: number }

/** A page of all users, deleted ones too, in the order of their ids. */
export async function takeSnapshot(db: Db, { after, ids, limit }: SnapshotQuery): Promise<Snapshot> {
  const { sequence, users } = await readSnapshot(db, { after, ids, limit })
  return {
    sequence,
    items: users.map(toRecord),
    next_after: users.length === limit ? (users.at(-1)?.id ?? null) : null,
  }
}

const toRecord = (row: SnapshotRow): Snapshot['items'][number] => ({
  id: row.id,
  username: row.username,
  email: row.email,
  email_verified: row.email_verified_at !== null,
  phone_number: row.phone_number,
  phone_verified: row.phone_verified_at !== null,
  full_name: row.full_name,
  first_name: row.first_name,
  last_name: row.last_name,
  roles: [...row.roles, 'user'].sort(),
  is_active: row.is_active,
  current_title: row.current_title,
  location: row.location,
  avatar_url: row.avatar_url,
  locale: row.locale,
  timezone: row.timezone,
  created_at: row.created_at.toISOString(),
  deleted_at: row.deleted_at?.toISOString() ?? null,
})
