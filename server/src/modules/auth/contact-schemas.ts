import { Type } from 'typebox'
import { newPassword } from './schemas.ts'

const email = Type.String({ maxLength: 320, examples: ['user@example.com'] })
const token = Type.String({ minLength: 1, maxLength: 128, description: 'From the link of the mail' })
/** Any text: one that can't be a code is a wrong code. */
const code = Type.String({ minLength: 1, maxLength: 64, examples: ['123456'] })
const closed = { additionalProperties: false }

export const AcceptedSchema = Type.Object(
  { message: Type.String() },
  {
    $id: 'Accepted',
    examples: [{ message: 'A mail is on its way to the address.' }],
    ...closed,
    description: 'The same whatever happens next.',
  },
)

export const PasswordResetRequestSchema = Type.Object(
  { email },
  { $id: 'PasswordResetRequest', ...closed, examples: [{ email: 'user@example.com' }] },
)

export const PasswordByLinkSchema = Type.Object(
  { token, new_password: newPassword },
  { $id: 'PasswordByLink', ...closed, examples: [{ token: 'p2Vx…', new_password: 'EvenMoreSecure456' }] },
)

export const VerificationRequestSchema = Type.Object(
  { email: Type.Optional(email) },
  {
    $id: 'VerificationRequest',
    ...closed,
    description: 'Needed without a token. With one, the mail goes to the signed-in user.',
    examples: [{ email: 'user@example.com' }],
  },
)

export const EmailProofSchema = Type.Object(
  { token: Type.Optional(token), code: Type.Optional(code), email: Type.Optional(email) },
  {
    $id: 'EmailProof',
    ...closed,
    description: 'Either `token`, or `code` together with `email` where nobody is signed in.',
    examples: [{ token: 'p2Vx…' }, { email: 'user@example.com', code: '123456' }],
  },
)

export const EmailChangeSchema = Type.Object(
  { new_email: email },
  { $id: 'EmailChange', ...closed, examples: [{ new_email: 'newemail@example.com' }] },
)

export const EmailChangeStartedSchema = Type.Object(
  { new_email: Type.String(), next_step: Type.Literal('verify_email_update_otp') },
  {
    $id: 'EmailChangeStarted',
    description: 'The change is begun. A code completes it.',
    examples: [{ new_email: 'newemail@example.com', next_step: 'verify_email_update_otp' }],
    ...closed,
  },
)

export const EmailChangeProofSchema = Type.Object(
  { new_email: email, code },
  { $id: 'EmailChangeProof', ...closed, examples: [{ new_email: 'newemail@example.com', code: '123456' }] },
)

export const EmailChangedSchema = Type.Object(
  {
    email: Type.String(),
    email_verified: Type.Boolean(),
    email_verified_at: Type.String({ format: 'date-time' }),
  },
  {
    $id: 'EmailChanged',
    description: 'The address that is the user’s now.',
    examples: [
      { email: 'newemail@example.com', email_verified: true, email_verified_at: '2026-01-31T10:00:00.000Z' },
    ],
    ...closed,
  },
)

export const EmailRestoredSchema = Type.Object(
  { email: Type.String() },
  {
    $id: 'EmailRestored',
    description: 'The address that is the user’s again.',
    examples: [{ email: 'ada@example.com' }],
    ...closed,
  },
)

const phone = Type.String({ maxLength: 64, description: 'E.164', examples: ['+431234567'] })

export const PhoneChangeSchema = Type.Object(
  { phone_number: phone },
  { $id: 'PhoneChange', ...closed, examples: [{ phone_number: '+431234567' }] },
)

export const PhoneChangeStartedSchema = Type.Object(
  { phone_number: Type.String(), next_step: Type.Literal('verify_phone_update_otp') },
  {
    $id: 'PhoneChangeStarted',
    description: 'The change is begun. A code completes it.',
    examples: [{ phone_number: '+431234567', next_step: 'verify_phone_update_otp' }],
    ...closed,
  },
)

export const PhoneChangeProofSchema = Type.Object(
  { phone_number: phone, code },
  { $id: 'PhoneChangeProof', ...closed, examples: [{ phone_number: '+431234567', code: '123456' }] },
)

export const PhoneChangedSchema = Type.Object(
  {
    phone_number: Type.String(),
    phone_verified: Type.Boolean(),
    phone_verified_at: Type.String({ format: 'date-time' }),
  },
  {
    $id: 'PhoneChanged',
    description: 'The number that is the user’s now.',
    examples: [
      { phone_number: '+431234567', phone_verified: true, phone_verified_at: '2026-01-31T10:00:00.000Z' },
    ],
    ...closed,
  },
)

export const LinkTokenSchema = Type.Object(
  { token },
  { $id: 'LinkToken', ...closed, examples: [{ token: 'p2Vx…' }] },
)
