import { Type } from 'typebox'
import { toProblem } from '../http/errors.ts'
import { principalOf } from '../http/guard.ts'
import { problemHeaders } from '../http/problems.ts'
import { ref } from '../http/schemas.ts'
import type { App } from '../http/types.ts'
import { originOf } from '../modules/audit/index.ts'
import { type ChangeEmailDeps, completeEmailChange, initiateEmailChange } from '../modules/auth/index.ts'
import { type ChangeUsernameDeps, changeUsername } from '../modules/users/index.ts'
import { sentencesOf } from './sentences.ts'

/*
 * The profile update API that predates this service: the same rules and checks as /api/v1/auth/profile, under
 * its own addresses, in camelCase, with its own envelopes.
 */

const closed = { additionalProperties: false }

const RefusedSchema = Type.Object(
  { success: Type.Literal(false), error: Type.String() },
  {
    $id: 'ProfileUpdateRefused',
    description: 'Why it was refused, for people.',
    examples: [{ success: false, error: 'Username can only be changed once every 15 days' }],
    ...closed,
  },
)

const done = (data: ReturnType<typeof Type.Object>) =>
  Type.Object(
    { success: Type.Literal(true), message: Type.String(), data },
    { ...closed, description: 'It is done, or begun: what it comes to is in `data`.' },
  )

const UsernameSchema = Type.Object(
  { username: Type.String({ maxLength: 64 }) },
  { $id: 'ProfileUpdateUsername', ...closed, examples: [{ username: 'new_username' }] },
)

const newEmail = Type.String({ maxLength: 320 })

const EmailSchema = Type.Object(
  { newEmail },
  { $id: 'ProfileUpdateEmail', ...closed, examples: [{ newEmail: 'newemail@example.com' }] },
)

const EmailProofSchema = Type.Object(
  { newEmail, otp: Type.String({ minLength: 1, maxLength: 64 }) },
  {
    $id: 'ProfileUpdateEmailProof',
    ...closed,
    examples: [{ newEmail: 'newemail@example.com', otp: '123456' }],
  },
)

/** Every status that these routes answer an error with. */
const refusals = Object.fromEntries(
  [400, 401, 403, 404, 409, 413, 415, 429, 500, 503].map(status => [status, ref(RefusedSchema)]),
)

const tags = ['profile update dialect']

export async function profileUpdateDialect(
  app: App,
  deps: ChangeUsernameDeps & ChangeEmailDeps,
): Promise<void> {
  await app.register(async (dialect: App) => {
    for (const schema of [RefusedSchema, UsernameSchema, EmailSchema, EmailProofSchema]) {
      dialect.addSchema(schema)
    }
    dialect.setErrorHandler((error, _request, reply) => {
      const problem = toProblem(error)
      const headers = { ...problemHeaders(problem), 'content-type': 'application/json; charset=utf-8' }
      return reply
        .code(problem.status)
        .headers(headers)
        .send({ success: false, error: sentencesOf(problem) })
    })
    usernameRoute(dialect, deps)
    emailRoutes(dialect, deps)
  })
}

function usernameRoute(dialect: App, deps: ChangeUsernameDeps): void {
  dialect.route({
    method: 'PUT',
    url: '/auth/profile/username',
    config: { access: 'self' },
    schema: {
      operationId: 'profileUpdateUsername',
      tags,
      summary: 'Change one’s username',
      description: 'As `PUT /api/v1/auth/profile/username`.',
      body: ref(UsernameSchema),
      response: {
        200: done(
          Type.Object(
            { username: Type.String(), lastUsernameUpdated: Type.String({ format: 'date-time' }) },
            closed,
          ),
        ),
        ...refusals,
      },
    },
    async handler(request) {
      const { userId } = principalOf(request)
      const changed = await changeUsername(deps, originOf(request), userId, request.body.username)
      return {
        success: true as const,
        message: 'Username updated successfully',
        data: {
          username: changed.username,
          lastUsernameUpdated: changed.last_username_updated.toISOString(),
        },
      }
    },
  })
}

function emailRoutes(dialect: App, deps: ChangeEmailDeps): void {
  dialect.route({
    method: 'POST',
    url: '/auth/profile/email/initiate',
    config: { access: 'self', rateLimit: 'verification', stepUp: 'highest' },
    schema: {
      operationId: 'profileUpdateEmailInitiate',
      tags,
      summary: 'Begin to change one’s e-mail address',
      description: 'As `POST /api/v1/auth/profile/email/initiate`.',
      body: ref(EmailSchema),
      response: {
        200: done(Type.Object({ newEmail: Type.String(), nextStep: Type.String() }, closed)),
        ...refusals,
      },
    },
    async handler(request) {
      const { newEmail: asked } = request.body
      const { new_email } = await initiateEmailChange(deps, principalOf(request), asked, 'newEmail')
      return {
        success: true as const,
        message: 'OTP sent to new email address. Please verify to complete email update.',
        data: { newEmail: new_email, nextStep: 'verify_email_update_otp' },
      }
    },
  })

  dialect.route({
    method: 'POST',
    url: '/auth/profile/email/complete',
    config: { access: 'self', rateLimit: 'verification' },
    schema: {
      operationId: 'profileUpdateEmailComplete',
      tags,
      summary: 'Change one’s e-mail address',
      description: 'As `POST /api/v1/auth/profile/email/complete`.',
      body: ref(EmailProofSchema),
      response: {
        200: done(
          Type.Object(
            {
              email: Type.String(),
              emailVerified: Type.Boolean(),
              emailVerifiedAt: Type.String({ format: 'date-time' }),
            },
            closed,
          ),
        ),
        ...refusals,
      },
    },
    async handler(request) {
      const { newEmail: new_email, otp } = request.body
      const changed = await completeEmailChange(deps, originOf(request), principalOf(request), {
        new_email,
        code: otp,
      })
      return {
        success: true as const,
        message: 'Email updated successfully',
        data: {
          email: changed.email,
          emailVerified: true,
          emailVerifiedAt: changed.email_verified_at.toISOString(),
        },
      }
    },
  })
}
