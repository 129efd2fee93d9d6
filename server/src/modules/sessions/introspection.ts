import { type Static, Type } from 'typebox'
import { acceptForms } from '../../http/form-body.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import type { Authenticator } from './authenticator.ts'

const IntrospectionRequestSchema = Type.Object(
  {
    token: Type.String({ maxLength: 4096, description: 'An access token' }),
    token_type_hint: Type.Optional(Type.String({ maxLength: 100, description: 'Changes nothing' })),
  },
  { $id: 'IntrospectionRequest', additionalProperties: false, examples: [{ token: 'eyJhbGciOi…' }] },
)

const seconds = (description: string) =>
  Type.Optional(Type.Integer({ description: `${description}, in seconds since 1970` }))
const text = (description: string) => Type.Optional(Type.String({ description }))

const IntrospectionSchema = Type.Object(
  {
    active: Type.Boolean({
      description: 'False for whatever is no valid token now; then nothing else is told',
    }),
    scope: text('Permissions that the user holds now, spaces between'),
    token_type: Type.Optional(Type.Literal('Bearer')),
    sub: text('The user’s id'),
    sid: text('The session’s id'),
    roles: Type.Optional(Type.Array(Type.String(), { description: 'Roles that the user holds now' })),
    iss: text('Who made the token'),
    aud: text('For whom it was made'),
    jti: text('The token’s id'),
    exp: seconds('When it expires'),
    iat: seconds('When it was made'),
    auth_time: seconds('When the user last proved who they are'),
    amr: Type.Optional(Type.Array(Type.String(), { description: 'How they did (RFC 8176)' })),
    aal: text('`aal1`, or `aal2` with a second factor'),
  },
  {
    $id: 'Introspection',
    description: 'What the token is worth this very moment.',
    title: 'Introspection',
    additionalProperties: false,
    examples: [
      {
        active: true,
        scope: 'users:read',
        token_type: 'Bearer',
        sub: '01993a52-7c1b-7f3e-9a10-6f0d2f3c9b11',
        sid: '01993a52-8d20-7b52-8f0e-3a4bb1d7c001',
        roles: ['support', 'user'],
        iss: 'https://accounts.example.com',
        aud: 'https://accounts.example.com',
        jti: 'kJ3v8Xq0aZ1mYw2L',
        exp: 1_798_763_400,
        iat: 1_798_761_600,
        auth_time: 1_798_761_600,
        amr: ['pwd'],
        aal: 'aal1',
      },
      { active: false },
    ],
  },
)

type Introspection = Static<typeof IntrospectionSchema>

/** RFC 7662: for services that must know of a sign-out at once, or can't verify a signature. */
export async function introspectionRoute(app: App, deps: { authenticator: Authenticator }): Promise<void> {
  for (const schema of [IntrospectionRequestSchema, IntrospectionSchema]) app.addSchema(schema)
  await app.register(async (forms: App) => {
    acceptForms(forms)
    forms.route({
      method: 'POST',
      url: '/auth/introspect',
      config: { access: { permission: 'tokens:introspect' }, rateLimit: 'introspect' },
      schema: {
        operationId: 'introspectToken',
        tags: ['sessions'],
        summary: 'Ask whether an access token is valid',
        description:
          'Token introspection (RFC 7662), with a form or with JSON. A token is active while its signature and times ' +
          'are right and its session, its user and its roles let it through this very moment.',
        consumes: ['application/x-www-form-urlencoded', 'application/json'],
        body: ref(IntrospectionRequestSchema),
        response: { 200: ref(IntrospectionSchema) },
      },
      handler: request => introspect(deps.authenticator, request.body.token),
    })
  })
}

async function introspect(authenticator: Authenticator, token: string): Promise<Introspection> {
  const principal = await findPrincipal(authenticator, token)
  // Such a session's token is for nobody but this service.
  if (!principal || principal.enrolmentDue) return { active: false }
  const { iss, aud, jti, exp, iat, amr } = claimsOf(token)
  return {
    active: true,
    scope: [...principal.permissions].sort().join(' '),
    token_type: 'Bearer',
    sub: principal.userId,
    sid: principal.sessionId,
    roles: [...principal.roles],
    iss,
    aud,
    jti,
    exp,
    iat,
    auth_time: Math.floor(principal.authenticatedAt.getTime() / 1000),
    amr,
    aal: principal.assuranceLevel,
  }
}

async function findPrincipal(authenticator: Authenticator, token: string): Promise<Principal | undefined> {
  try {
    return await authenticator.authenticate(token)
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'invalid_token') return undefined
    throw error
  }
}

type Claims = Required<Pick<Introspection, 'iss' | 'aud' | 'jti' | 'exp' | 'iat' | 'amr'>>

/** Of a token that was verified. */
const claimsOf = (token: string): Claims =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
