import { type Static, Type } from 'typebox'

export const newPassword = Type.String({
  minLength: 1,
  maxLength: 1024,
  description: 'At least 8 characters with upper case, lower case and a digit; at most 128',
  examples: ['SecurePass123'],
})

const name = (longest: number) =>
  Type.Optional(Type.String({ maxLength: longest * 2, description: `At most ${longest} characters` }))

export const RegistrationSchema = Type.Object(
  {
    email: Type.String({ maxLength: 320, examples: ['user@example.com'] }),
    password: newPassword,
    confirm_password: Type.Optional(
      Type.String({ maxLength: 1024, description: 'If given, must equal the password' }),
    ),
    username: Type.Optional(Type.String({ maxLength: 64, description: 'Made from the address if left out' })),
    full_name: name(150),
    first_name: name(75),
    last_name: name(75),
    phone_number: Type.Optional(Type.String({ maxLength: 64, description: 'E.164' })),
    role: Type.Optional(
      Type.String({ maxLength: 50, description: 'Other than `user`: needs `users:create`' }),
    ),
    roles: Type.Optional(
      Type.Array(Type.String({ maxLength: 50 }), {
        maxItems: 50,
        description: 'Other than `["user"]`: needs `users:create`',
      }),
    ),
    is_active: Type.Optional(Type.Boolean({ description: '`false` needs `users:create`' })),
    email_verified: Type.Optional(Type.Boolean({ description: '`true` needs `users:create`' })),
  },
  {
    $id: 'Registration',
    additionalProperties: false,
    examples: [
      {
        email: 'user@example.com',
        username: 'testuser',
        full_name: 'Test User',
        password: 'SecurePass123',
        confirm_password: 'SecurePass123',
      },
    ],
  },
)

export type Registration = Static<typeof RegistrationSchema>

export const LoginSchema = Type.Object(
  {
    email: Type.Optional(Type.String({ maxLength: 320 })),
    username: Type.Optional(Type.String({ maxLength: 320 })),
    phone_number: Type.Optional(Type.String({ maxLength: 64 })),
    password: Type.String({ minLength: 1, maxLength: 1024 }),
  },
  {
    $id: 'Login',
    additionalProperties: false,
    description: 'One of `email`, `username` and `phone_number`, and the password.',
    examples: [{ email: 'user@example.com', password: 'SecurePass123' }],
  },
)

export type Login = Static<typeof LoginSchema>

export const PasswordChangeSchema = Type.Object(
  { current_password: Type.String({ minLength: 1, maxLength: 1024 }), new_password: newPassword },
  {
    $id: 'PasswordChange',
    additionalProperties: false,
    examples: [{ current_password: 'SecurePass123', new_password: 'EvenMoreSecure456' }],
  },
)

export type PasswordChange = Static<typeof PasswordChangeSchema>

export const SetupSchema = Type.Object(
  {
    code: Type.String({
      maxLength: 128,
      description: 'Printed by the service when it starts without an administrator',
    }),
    email: Type.String({ maxLength: 320 }),
    password: newPassword,
    username: Type.Optional(Type.String({ maxLength: 64 })),
    full_name: name(150),
  },
  {
    $id: 'Setup',
    additionalProperties: false,
    examples: [{ code: 'Zk3…', email: 'admin@example.com', password: 'SecurePass123' }],
  },
)

export type Setup = Static<typeof SetupSchema>
