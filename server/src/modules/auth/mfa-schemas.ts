import { Type } from 'typebox'
import { nullable, ref } from '../../http/schemas.ts'

const closed = { additionalProperties: false } as const

const methods = [
  Type.Literal('totp'),
  Type.Literal('sms'),
  Type.Literal('email'),
  Type.Literal('passkey'),
  Type.Literal('recovery_code'),
] as const

const MethodSchema = Type.Union([...methods], { description: 'A second factor' })

const ProofMethodSchema = Type.Union([...methods, Type.Literal('password')], {
  description: 'A second factor; or the password, after a passkey that did not verify its person',
})

const code = Type.String({ minLength: 1, maxLength: 64, examples: ['123456'] })
const encoded = (maxLength = 16_384) => Type.String({ maxLength, pattern: '^[A-Za-z0-9_-]*=*$' })
const extensions = Type.Optional(Type.Record(Type.String(), Type.Unknown()))
const attachment = Type.Optional(nullable(Type.String({ maxLength: 32 })))

/** What a browser sends grows with its version: members that are not known here are left alone. */
const open = { additionalProperties: true } as const

export const PasskeyRegistrationRequestSchema = Type.Object(
  {
    mediation: Type.Optional(
      Type.String({
        enum: ['conditional', 'optional', 'required', 'silent'],
        description: 'As the client will give it to `navigator.credentials.create()`',
      }),
    ),
  },
  { $id: 'PasskeyRegistrationRequest', ...closed, examples: [{ mediation: 'conditional' }] },
)

/** What `navigator.credentials.create()` gives, as JSON (WebAuthn Level 3, RegistrationResponseJSON). */
export const PasskeyRegistrationSchema = Type.Object(
  {
    id: encoded(2048),
    rawId: encoded(2048),
    type: Type.Literal('public-key'),
    response: Type.Object(
      {
        clientDataJSON: encoded(),
        attestationObject: encoded(65_536),
        transports: Type.Optional(Type.Array(Type.String({ maxLength: 32 }), { maxItems: 10 })),
        authenticatorData: Type.Optional(encoded(65_536)),
        publicKey: Type.Optional(encoded()),
        publicKeyAlgorithm: Type.Optional(Type.Integer()),
      },
      open,
    ),
    clientExtensionResults: extensions,
    authenticatorAttachment: attachment,
  },
  { $id: 'PasskeyRegistration', ...open },
)

/** What `navigator.credentials.get()` gives, as JSON (WebAuthn Level 3, AuthenticationResponseJSON). */
export const PasskeyAssertionSchema = Type.Object(
  {
    id: encoded(2048),
    rawId: encoded(2048),
    type: Type.Literal('public-key'),
    response: Type.Object(
      {
        clientDataJSON: encoded(),
        authenticatorData: encoded(),
        signature: encoded(),
        userHandle: Type.Optional(nullable(encoded(128))),
      },
      open,
    ),
    clientExtensionResults: extensions,
    authenticatorAttachment: attachment,
  },
  { $id: 'PasskeyAssertion', ...open },
)

export const MfaRequiredSchema = Type.Object(
  {
    mfa_required: Type.Literal(true),
    mfa_token: Type.String({ description: 'For `POST /api/v1/auth/mfa/verify`, for 10 minutes' }),
    methods: Type.Array(ProofMethodSchema, {
      description: 'What may be given: what is enrolled; after a passkey the password too',
    }),
  },
  {
    $id: 'MfaRequired',
    description: 'The sign-in needs a second factor.',
    examples: [{ mfa_required: true, mfa_token: 'mfa_…', methods: ['totp', 'recovery_code'] }],
    ...closed,
  },
)

export const MfaChallengeSchema = Type.Object(
  { mfa_token: Type.String({ maxLength: 128 }), method: ProofMethodSchema },
  { $id: 'MfaChallenge', ...closed, examples: [{ mfa_token: 'mfa_…', method: 'sms' }] },
)

const proof = {
  code: Type.Optional(code),
  credential: Type.Optional(ref(PasskeyAssertionSchema)),
  password: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
}

export const MfaVerificationSchema = Type.Object(
  { mfa_token: Type.String({ maxLength: 128 }), method: ProofMethodSchema, ...proof },
  {
    $id: 'MfaVerification',
    ...closed,
    description:
      'With `code`; for the method `passkey` with `credential`, for `password` with `password` instead.',
    examples: [{ mfa_token: 'mfa_…', method: 'totp', code: '123456' }],
  },
)

export const StepUpSchema = Type.Object(
  { method: Type.Optional(ProofMethodSchema), ...proof },
  {
    $id: 'StepUp',
    ...closed,
    description: 'The password alone; or a second factor with its `method`, as when signing in.',
    examples: [{ password: 'SecurePass123' }, { method: 'totp', code: '123456' }],
  },
)

export const StepUpChallengeSchema = Type.Object(
  { method: ProofMethodSchema },
  { $id: 'StepUpChallenge', ...closed, examples: [{ method: 'passkey' }] },
)

/** Options of WebAuthn: their shape is the browser's, and grows with it. */
export const PasskeyOptionsSchema = Type.Object(
  {},
  {
    additionalProperties: true,
    $id: 'PasskeyOptions',
    examples: [
      {
        challenge: 'c2hvcnQtbGl2ZWQ',
        rpId: 'id.example.com',
        userVerification: 'preferred',
        timeout: 300_000,
      },
    ],
    description:
      'For `navigator.credentials`, as PublicKeyCredentialCreationOptionsJSON or …RequestOptionsJSON (WebAuthn Level 3).',
  },
)

export const MfaChallengedSchema = Type.Object(
  {
    method: ProofMethodSchema,
    options: Type.Optional(ref(PasskeyOptionsSchema)),
  },
  {
    $id: 'MfaChallenged',
    description: 'The second factor can be given: its code was sent, or these are its options.',
    examples: [{ method: 'sms' }],
    ...closed,
  },
)

const time = Type.String({ format: 'date-time' })

const EnrolledSchema = Type.Object(
  {
    method: MethodSchema,
    target: nullable(Type.String({ description: 'Where its codes go, masked' })),
    created_at: time,
    last_used_at: nullable(time),
    count: Type.Integer({ description: 'Passkeys, or recovery codes left; else 1' }),
  },
  closed,
)

export const MfaSchema = Type.Object(
  {
    mfa_enabled: Type.Boolean({ description: 'Whether a sign-in needs a second factor' }),
    mfa_required: Type.Boolean({ description: 'Whether a role demands one that is not there yet' }),
    methods: Type.Array(EnrolledSchema),
  },
  {
    $id: 'Mfa',
    description: 'The second factors of the account.',
    examples: [
      {
        mfa_enabled: true,
        mfa_required: false,
        methods: [
          {
            method: 'totp',
            target: null,
            created_at: '2026-01-31T10:00:00.000Z',
            last_used_at: null,
            count: 1,
          },
        ],
      },
    ],
    ...closed,
  },
)

export const TotpSetupSchema = Type.Object(
  {
    secret: Type.String({ description: 'Base 32, for typing in' }),
    otpauth_url: Type.String(),
    qr_svg: Type.String({ description: 'The same as a picture' }),
  },
  {
    $id: 'TotpSetup',
    description: 'The secret for an authenticator app, whose first code enrols it.',
    examples: [
      {
        secret: 'JBSWY3DPEHPK3PXP',
        otpauth_url: 'otpauth://totp/Roster:ada%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Roster',
        qr_svg: '<svg …>',
      },
    ],
    ...closed,
  },
)

export const FactorCodeSchema = Type.Object(
  { code },
  { $id: 'FactorCode', ...closed, examples: [{ code: '123456' }] },
)

export const SmsSetupSchema = Type.Object(
  { phone_number: Type.String({ maxLength: 64, description: 'E.164' }) },
  { $id: 'SmsSetup', ...closed, examples: [{ phone_number: '+431234567' }] },
)

export const CodeSentSchema = Type.Object(
  { sent_to: Type.String() },
  { $id: 'CodeSent', description: 'The code was sent.', examples: [{ sent_to: '+431234567' }], ...closed },
)

export const RecoveryCodesSchema = Type.Object(
  { codes: Type.Array(Type.String(), { description: 'Shown this once. Each works once' }) },
  {
    $id: 'RecoveryCodes',
    description: 'New recovery codes, in place of all earlier ones.',
    examples: [{ codes: ['7k3m-x9pq-2f8d-h4ta', 'w2en-5gcv-8rjt-q0z6'] }],
    ...closed,
  },
)

const passkeyName = Type.String({ minLength: 1, maxLength: 100 })

export const PasskeyNameSchema = Type.Object(
  { name: passkeyName },
  { $id: 'PasskeyName', ...closed, examples: [{ name: 'Laptop' }] },
)

const credentialExample = {
  id: 'cGFzc2tleQ',
  rawId: 'cGFzc2tleQ',
  type: 'public-key',
  clientExtensionResults: {},
} as const
const clientDataJSON = 'eyJ0eXBlIjoid2ViYXV0aG4'

export const NewPasskeySchema = Type.Object(
  { credential: ref(PasskeyRegistrationSchema), name: Type.Optional(passkeyName) },
  {
    $id: 'NewPasskey',
    examples: [
      {
        name: 'Laptop',
        credential: {
          ...credentialExample,
          response: { clientDataJSON, attestationObject: 'o2NmbXRkbm9uZQ' },
        },
      },
    ],
    ...closed,
  },
)

export const PasskeySignInSchema = Type.Object(
  { credential: ref(PasskeyAssertionSchema) },
  {
    $id: 'PasskeySignIn',
    examples: [
      {
        credential: {
          ...credentialExample,
          response: { clientDataJSON, authenticatorData: 'SZYN5YgOjGh0NBcP', signature: 'MEUCIQDx' },
        },
      },
    ],
    ...closed,
  },
)

const passkeyExample = {
  id: '019c1379-cc00-7000-8000-000000000006',
  name: 'Laptop',
  created_at: '2026-01-31T10:00:00.000Z',
  last_used_at: null,
  is_synced: true,
  transports: ['internal'],
}

export const PasskeySchema = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    name: Type.String(),
    created_at: time,
    last_used_at: nullable(time),
    is_synced: Type.Boolean({ description: 'Kept by a password manager on several devices' }),
    transports: Type.Array(Type.String()),
  },
  {
    $id: 'Passkey',
    description: 'A passkey of the account.',
    examples: [passkeyExample],
    title: 'Passkey',
    ...closed,
  },
)

export const PasskeyListSchema = Type.Object(
  { items: Type.Array(ref(PasskeySchema)) },
  {
    $id: 'PasskeyList',
    description: 'The passkeys of the account.',
    examples: [{ items: [passkeyExample] }],
    ...closed,
  },
)
