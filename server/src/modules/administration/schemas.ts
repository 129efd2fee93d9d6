import { type Static, Type } from 'typebox'
import { hashBounds } from '../../hashing/stored-hash.ts'
import { nullable } from '../../http/schemas.ts'
import { ProfileChangesSchema } from '../users/index.ts'

const optionalText = (maxLength: number, description: string) =>
  Type.Optional(Type.String({ maxLength, description }))

export const UserCreationSchema = Type.Object(
  {
    email: Type.String({ maxLength: 320, examples: ['user@example.com'] }),
    username: optionalText(64, 'Made from the address if left out'),
    full_name: optionalText(300, 'At most 150 characters'),
    first_name: optionalText(150, 'At most 75 characters'),
    last_name: optionalText(150, 'At most 75 characters'),
    phone_number: optionalText(64, 'E.164'),
    role: Type.Optional(Type.String({ maxLength: 50 })),
    roles: Type.Optional(Type.Array(Type.String({ maxLength: 50 }), { maxItems: 50 })),
    is_active: Type.Optional(Type.Boolean({ default: true })),
    email_verified: Type.Optional(Type.Boolean({ default: false })),
    password_hash: optionalText(
      512,
      'Of the password that the user has elsewhere: argon2, bcrypt, scrypt or PBKDF2 as a PHC or crypt string, or ' +
        `as passlib, Django and Werkzeug write it. Bounds: ${hashBounds}. It is hashed anew when its owner first ` +
        'signs in. Without it the user is invited by mail',
    ),
  },
  {
    $id: 'UserCreation',
    additionalProperties: false,
    examples: [{ email: 'user@example.com', full_name: 'Test User', roles: ['support'] }],
  },
)

export type UserCreation = Static<typeof UserCreationSchema>

export const UserChangesSchema = Type.Object(
  {
    ...ProfileChangesSchema.properties,
    email: Type.Optional(Type.String({ maxLength: 320 })),
    username: Type.Optional(Type.String({ maxLength: 64 })),
    phone_number: Type.Optional(nullable(Type.String({ maxLength: 64 }))),
    email_verified: Type.Optional(
      Type.Literal(true, {
        description: 'The address is known to be theirs. A new one is unproved without it',
      }),
    ),
  },
  {
    $id: 'UserChanges',
    additionalProperties: false,
    examples: [{ full_name: 'Test User', current_title: 'Engineer' }],
  },
)

export type UserChanges = Static<typeof UserChangesSchema>
