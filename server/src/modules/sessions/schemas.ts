import { Type } from 'typebox'
import { nullable, ref } from '../../http/schemas.ts'
import { UserSchema, userExample } from '../users/index.ts'

export const TokensSchema = Type.Object(
  {
    access_token: Type.String({ description: 'JWT (RFC 9068); send it as `Authorization: Bearer …`' }),
    token_type: Type.Literal('Bearer'),
    expires_in: Type.Integer({ description: 'Seconds until the access token expires' }),
    refresh_token: Type.Optional(
      Type.String({ description: 'For one use. Left out in browser mode, where it is in a cookie' }),
    ),
    refresh_expires_in: Type.Integer({ description: 'Seconds until the refresh token expires' }),
    session_id: Type.String({ format: 'uuid' }),
    user: ref(UserSchema),
  },
  {
    $id: 'Tokens',
    description: 'The tokens of a session, and its user.',
    examples: [
      {
        access_token: 'eyJ…',
        token_type: 'Bearer',
        expires_in: 1800,
        refresh_token: 'rrt_…',
        refresh_expires_in: 604_800,
        session_id: '019c1379-9a00-7000-8000-000000000001',
        user: userExample,
      },
    ],
    title: 'Tokens',
    additionalProperties: false,
  },
)

export const RefreshSchema = Type.Object(
  {
    refresh_token: Type.Optional(
      Type.String({ maxLength: 4096, description: 'Left out in browser mode, where it is in the cookie' }),
    ),
  },
  { $id: 'Refresh', additionalProperties: false, examples: [{ refresh_token: 'rrt_…' }] },
)

const sessionExample = {
  id: '019c1379-9a00-7000-8000-000000000001',
  device_name: 'Firefox on Windows',
  browser: 'Firefox',
  os: 'Windows',
  ip: '192.0.2.7',
  created_at: '2026-01-31T10:00:00.000Z',
  last_used_at: '2026-02-01T09:30:00.000Z',
  expires_at: '2026-02-08T09:30:00.000Z',
  current: true,
}

export const SessionSchema = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    device_name: Type.String({ examples: ['Firefox on Windows'] }),
    browser: nullable(Type.String()),
    os: nullable(Type.String()),
    ip: nullable(Type.String()),
    created_at: Type.String({ format: 'date-time' }),
    last_used_at: Type.String({ format: 'date-time' }),
    expires_at: Type.String({ format: 'date-time' }),
    current: Type.Boolean({ description: 'The session of this very request' }),
  },
  {
    $id: 'Session',
    description: 'A session, and the device it is on.',
    examples: [sessionExample],
    title: 'Session',
    additionalProperties: false,
  },
)

export const RevokedSchema = Type.Object(
  { revoked: Type.Integer({ description: 'How many sessions ended' }) },
  { additionalProperties: false, description: 'The sessions have ended.', examples: [{ revoked: 3 }] },
)

export const KeySetSchema = Type.Object(
  { keys: Type.Array(Type.Record(Type.String(), Type.Unknown())) },
  { description: 'A JSON Web Key Set.' },
)

export const SessionListSchema = Type.Object(
  { items: Type.Array(ref(SessionSchema)) },
  {
    $id: 'SessionList',
    description: 'Living sessions, last used first.',
    examples: [{ items: [sessionExample] }],
    additionalProperties: false,
  },
)
