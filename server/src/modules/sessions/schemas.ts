import { Type } from 'typebox'
import { nullable, ref } from '../../http/schemas.ts'
import { UserSchema } from '../users/index.ts'

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
  { $id: 'Tokens', title: 'Tokens', additionalProperties: false },
)

export const RefreshSchema = Type.Object(
  {
    refresh_token: Type.Optional(
      Type.String({ maxLength: 4096, description: 'Left out in browser mode, where it is in the cookie' }),
    ),
  },
  { $id: 'Refresh', additionalProperties: false, examples: [{ refresh_token: 'rrt_…' }] },
)

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
  { $id: 'Session', title: 'Session', additionalProperties: false },
)

export const SessionListSchema = Type.Object(
  { items: Type.Array(ref(SessionSchema)) },
  { $id: 'SessionList', additionalProperties: false },
)
