import { Type } from 'typebox'
import { nullable } from '../http/schemas.ts'

const closed = { additionalProperties: false }
const text = (maxLength: number) => Type.Optional(Type.String({ maxLength }))
const role = Type.Union([Type.Literal('admin'), Type.Literal('user')])

export const TemplateRefusedSchema = Type.Object(
  { detail: Type.String() },
  {
    $id: 'TemplateRefused',
    description: 'Why it was refused, for people.',
    examples: [{ detail: 'Invalid credentials' }],
    ...closed,
  },
)

export const TemplateRegistrationSchema = Type.Object(
  {
    username: text(64),
    email: Type.String({ maxLength: 320 }),
    first_name: text(150),
    last_name: text(150),
    phone_number: text(64),
    role: Type.Optional(role),
    is_active: Type.Optional(Type.Boolean()),
    password: Type.String({ minLength: 1, maxLength: 1024 }),
  },
  {
    $id: 'TemplateRegistration',
    ...closed,
    examples: [
      {
        username: 'testuser',
        email: 'testuser@example.com',
        first_name: 'Test',
        last_name: 'User',
        phone_number: '+1234567890',
        role: 'user',
        is_active: true,
        password: 'SecurePass123',
      },
    ],
  },
)

const fields = {
  id: Type.String({ format: 'uuid' }),
  username: Type.String(),
  email: Type.String(),
  first_name: nullable(Type.String()),
  last_name: nullable(Type.String()),
  phone_number: nullable(Type.String()),
  role,
  is_active: Type.Boolean(),
}

const userExample = {
  id: '019c1379-3f00-7000-8000-000000000000',
  username: 'testuser',
  email: 'testuser@example.com',
  first_name: 'Test',
  last_name: 'User',
  phone_number: '+1234567890',
  role: 'user',
  is_active: true,
}

export const TemplateUserSchema = Type.Object(fields, {
  $id: 'TemplateUser',
  description: 'The user.',
  examples: [userExample],
  ...closed,
})

const time = Type.String({ format: 'date-time' })

export const TemplateRegisteredSchema = Type.Object(
  { ...fields, created_at: time, updated_at: nullable(time), deleted_at: nullable(time) },
  {
    $id: 'TemplateRegistered',
    description: 'The user who was registered.',
    examples: [
      { ...userExample, created_at: '2026-01-31T10:00:00.000Z', updated_at: null, deleted_at: null },
    ],
    ...closed,
  },
)

export const TemplateChangesSchema = Type.Object(
  {
    first_name: Type.Optional(nullable(Type.String({ maxLength: 150 }))),
    last_name: Type.Optional(nullable(Type.String({ maxLength: 150 }))),
    username: text(64),
    password: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
    email: Type.Optional(Type.String({ description: 'Refused: `POST /api/v1/auth/profile/email/initiate`' })),
    phone_number: Type.Optional(
      Type.String({ description: 'Refused: `POST /api/v1/auth/profile/phone/initiate`' }),
    ),
    role: Type.Optional(Type.Unknown({ description: 'Refused' })),
    is_active: Type.Optional(Type.Unknown({ description: 'Refused' })),
  },
  { $id: 'TemplateChanges', ...closed, examples: [{ first_name: 'Updated' }] },
)

export const TemplateTokenRequestSchema = Type.Object(
  {
    grant_type: Type.Optional(Type.Literal('password')),
    username: Type.String({ minLength: 1, maxLength: 320 }),
    password: Type.String({ minLength: 1, maxLength: 1024 }),
    scope: text(200),
    client_id: text(200),
    client_secret: text(200),
  },
  {
    $id: 'TemplateTokenRequest',
    ...closed,
    examples: [{ grant_type: 'password', username: 'testuser', password: 'SecurePass123' }],
  },
)

export const TemplateTokenSchema = Type.Object(
  {
    access_token: Type.String(),
    token_type: Type.Literal('bearer'),
    expires_in: Type.Integer(),
    refresh_token: Type.String(),
  },
  {
    $id: 'TemplateToken',
    description: 'The tokens of a new session.',
    examples: [{ access_token: 'eyJ…', token_type: 'bearer', expires_in: 1800, refresh_token: 'rrt_…' }],
    ...closed,
  },
)
