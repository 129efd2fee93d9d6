import { type Static, Type } from 'typebox'
import { NextCursor, nullable, ref } from '../../http/schemas.ts'

const description = Type.String({ minLength: 1, maxLength: 200 })
const permissions = Type.Array(Type.String({ maxLength: 50 }), {
  maxItems: 100,
  description: 'Of `GET /rbac/permissions`; `*` is all of them, now and later',
})

/** How a role is named, in bodies and in paths. */
export const RoleName = Type.String({
  pattern: '^[a-z][a-z0-9_-]{1,49}$',
  description: '2 to 50 lower-case letters, digits, “-” and “_”, beginning with a letter',
  examples: ['support'],
})

export const PermissionListSchema = Type.Object(
  { items: Type.Array(Type.Object({ name: Type.String(), description: Type.String() })) },
  {
    $id: 'PermissionList',
    description: 'All permissions that there are.',
    examples: [{ items: [{ name: 'users:read', description: 'Read users' }] }],
    additionalProperties: false,
  },
)

const roleExample = {
  name: 'support',
  description: 'Reads users and ends their sessions',
  permissions: ['users:read', 'users:update'],
  is_system: false,
  requires_mfa: true,
  created_at: '2026-01-31T10:00:00.000Z',
  updated_at: null,
}

export const RoleSchema = Type.Object(
  {
    name: Type.String(),
    description: Type.String(),
    permissions: Type.Array(Type.String()),
    is_system: Type.Boolean({ description: 'It can’t be deleted' }),
    requires_mfa: Type.Boolean({ description: 'Its holders need a second factor' }),
    created_at: Type.String({ format: 'date-time' }),
    updated_at: nullable(Type.String({ format: 'date-time' })),
  },
  {
    $id: 'Role',
    description: 'A role with its permissions.',
    examples: [roleExample],
    title: 'Role',
    additionalProperties: false,
  },
)

export type Role = Static<typeof RoleSchema>

export const RoleListSchema = Type.Object(
  { items: Type.Array(ref(RoleSchema)) },
  {
    $id: 'RoleList',
    description: 'All roles, system roles first.',
    examples: [{ items: [roleExample] }],
    additionalProperties: false,
  },
)

export const NewRoleSchema = Type.Object(
  { name: RoleName, description, permissions, requires_mfa: Type.Optional(Type.Boolean()) },
  {
    $id: 'NewRole',
    additionalProperties: false,
    examples: [{ name: 'editor', description: 'Edits users', permissions: ['users:read', 'users:update'] }],
  },
)

export type NewRole = Static<typeof NewRoleSchema>

export const RoleChangesSchema = Type.Object(
  {
    description: Type.Optional(description),
    permissions: Type.Optional(permissions),
    requires_mfa: Type.Optional(Type.Boolean()),
  },
  {
    $id: 'RoleChanges',
    additionalProperties: false,
    examples: [{ permissions: ['users:read', 'audit:read'] }],
  },
)

export type RoleChanges = Static<typeof RoleChangesSchema>

const inFull = 'Only with `users:read`'

export const RoleMembersSchema = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          id: Type.String({ format: 'uuid' }),
          username: Type.String(),
          email: Type.Optional(Type.String({ description: inFull })),
          full_name: Type.Optional(nullable(Type.String({ description: inFull }))),
          is_active: Type.Optional(Type.Boolean({ description: inFull })),
          granted_at: nullable(
            Type.String({ format: 'date-time', description: 'Null for the default role' }),
          ),
          granted_by: nullable(Type.String({ format: 'uuid' })),
        },
        { additionalProperties: false },
      ),
    ),
    next_cursor: NextCursor,
  },
  {
    $id: 'RoleMembers',
    description: 'A page of those who hold a role.',
    examples: [
      {
        items: [
          {
            id: '019c1379-3f00-7000-8000-000000000000',
            username: 'ada',
            email: 'ada@example.com',
            full_name: 'Ada Lovelace',
            is_active: true,
            granted_at: '2026-01-31T10:00:00.000Z',
            granted_by: null,
          },
        ],
        next_cursor: null,
      },
    ],
    additionalProperties: false,
  },
)

export type RoleMembers = Static<typeof RoleMembersSchema>

export const UserRolesSchema = Type.Object(
  { roles: Type.Array(Type.String(), { description: 'With `user`, which everybody holds' }) },
  {
    $id: 'UserRoles',
    description: 'All roles that the user holds.',
    examples: [{ roles: ['support', 'user'] }],
    additionalProperties: false,
  },
)

export const RoleSetSchema = Type.Object(
  { roles: Type.Array(RoleName, { maxItems: 50 }) },
  { $id: 'RoleSet', additionalProperties: false, examples: [{ roles: ['support', 'auditor'] }] },
)

export const RoleGrantSchema = Type.Object(
  { role: RoleName },
  { $id: 'RoleGrant', additionalProperties: false, examples: [{ role: 'support' }] },
)

export const PermissionCheckSchema = Type.Object(
  { user_id: Type.String({ format: 'uuid' }), permission: Type.String({ maxLength: 50 }) },
  {
    $id: 'PermissionCheck',
    additionalProperties: false,
    examples: [{ user_id: '019c1379-3f00-7000-8000-000000000000', permission: 'users:read' }],
  },
)

export const PermissionAnswerSchema = Type.Object(
  {
    allowed: Type.Boolean(),
    roles: Type.Array(Type.String(), { description: 'Those of the user’s roles that allow it' }),
  },
  {
    $id: 'PermissionAnswer',
    description: 'Whether the user may do it, and why.',
    examples: [{ allowed: true, roles: ['support'] }],
    additionalProperties: false,
  },
)
