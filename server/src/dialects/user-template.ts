import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { toProblem } from '../http/errors.ts'
import { acceptForms } from '../http/form-body.ts'
import { bearerToken, principalOf } from '../http/guard.ts'
import { ProblemError, problemHeaders } from '../http/problems.ts'
import { NoBody, ref } from '../http/schemas.ts'
import type { App } from '../http/types.ts'
import { meansPhone } from '../lib/phone.ts'
import { adminRole } from '../modules/access/index.ts'
import { originOf } from '../modules/audit/index.ts'
import {
  type ChangePasswordDeps,
  checkRegistration,
  type DeleteAccountDeps,
  deleteOwnAccount,
  type LoginDeps,
  login,
  preparePasswordAfterSignIn,
  type RegisterDeps,
  register,
  tokensOf,
} from '../modules/auth/index.ts'
import type { Authenticator } from '../modules/sessions/index.ts'
import {
  type ChangeUsernameDeps,
  changeUsernameWithin,
  countUsernameChange,
  findUserRecord,
  readFields,
  type User,
  updateProfileWithin,
} from '../modules/users/index.ts'
import { sentencesOf } from './sentences.ts'
import {
  TemplateChangesSchema,
  TemplateRefusedSchema,
  TemplateRegisteredSchema,
  TemplateRegistrationSchema,
  TemplateTokenRequestSchema,
  TemplateTokenSchema,
  TemplateUserSchema,
} from './user-template-schemas.ts'

/*
 * The user API of a well-known project template: the same rules and checks as /api/v1, under its own addresses,
 * with `{detail}` for errors. Its role check reads the roles of the moment, not those of the token.
 */

export type UserTemplateDeps = RegisterDeps &
  LoginDeps &
  ChangePasswordDeps &
  ChangeUsernameDeps &
  DeleteAccountDeps & { authenticator: Authenticator }

const refusals = Object.fromEntries(
  [400, 401, 403, 404, 409, 413, 415, 429, 500, 503].map(status => [status, ref(TemplateRefusedSchema)]),
)

const tags = ['user template dialect']

export async function userTemplateDialect(app: App, deps: UserTemplateDeps): Promise<void> {
  await app.register(async (dialect: App) => {
    const schemas = [
      TemplateRefusedSchema,
      TemplateRegistrationSchema,
      TemplateRegisteredSchema,
      TemplateUserSchema,
      TemplateChangesSchema,
      TemplateTokenRequestSchema,
      TemplateTokenSchema,
    ]
    for (const schema of schemas) dialect.addSchema(schema)
    dialect.setErrorHandler((error, request, reply) => refuse(request, reply, toProblem(error)))
    dialect.sendUnknownWith('/v1/api/users', refuse)
    registerRoute(dialect, deps)
    ownRecordRoutes(dialect, deps)
    await dialect.register(async (forms: App) => {
      acceptForms(forms)
      tokenRoute(forms, deps)
    })
  })
}

function refuse(_request: FastifyRequest, reply: FastifyReply, problem: ProblemError): FastifyReply {
  const headers = { ...problemHeaders(problem), 'content-type': 'application/json; charset=utf-8' }
  return reply
    .code(problem.status)
    .headers(headers)
    .send({ detail: sentencesOf(problem) })
}

function registerRoute(dialect: App, deps: UserTemplateDeps): void {
  dialect.route({
    method: 'POST',
    url: '/auth/register',
    config: {
      access: { optional: true },
      rateLimit: 'register',
      rules: (input: Parameters<typeof checkRegistration>[1]) => checkRegistration(deps, input),
    },
    schema: {
      operationId: 'templateRegister',
      tags,
      summary: 'Register',
      description: 'As `POST /api/v1/auth/register`: `role: "admin"` needs a token that has `users:create`.',
      body: ref(TemplateRegistrationSchema),
      response: {
        201: ref(TemplateRegisteredSchema),
        202: Type.Object({ detail: Type.String() }, { description: 'A mail says how to go on.' }),
        ...refusals,
      },
    },
    async handler(request, reply) {
      const id = await register(deps, originOf(request), request.principal, request.body)
      if (id === undefined) {
        return reply.code(202).send({ detail: 'You will get a mail that says how to go on.' })
      }
      const user = await deps.users.read(id)
      const { created_at, updated_at, deleted_at } = user
      return reply.code(201).send({ ...toTemplateUser(user), created_at, updated_at, deleted_at })
    },
  })
}

function tokenRoute(forms: App, deps: UserTemplateDeps): void {
  forms.route({
    method: 'POST',
    url: '/auth/token',
    config: { access: 'public', rateLimit: 'login' },
    schema: {
      operationId: 'templateToken',
      tags,
      summary: 'Get a token for a password',
      description:
        'As `POST /api/v1/auth/login`. Takes a form, as the password grant of OAuth 2.0 does (RFC 6749, section ' +
        '4.3), or the same as JSON; `username` is a username, an e-mail address or a phone number.',
      consumes: ['application/x-www-form-urlencoded', 'application/json'],
      body: ref(TemplateTokenRequestSchema),
      response: { 200: ref(TemplateTokenSchema), ...refusals },
    },
    async handler(request) {
      const { username, password } = request.body
      const arrival = await login(deps, originOf(request), { ...nameFrom(username), password })
      const tokens = await tokensOf(deps, arrival)
      return {
        access_token: tokens.access_token,
        token_type: 'bearer' as const,
        expires_in: tokens.expires_in,
        refresh_token: tokens.refresh_token,
      }
    },
  })
}

const nameFrom = (text: string) =>
  text.includes('@') ? { email: text } : meansPhone(text) ? { phone_number: text } : { username: text }

/**
 * Tells whoever deleted their account that there is no such user, as this dialect does, where a token alone would
 * only be invalid. Nobody learns it without a token that was issued to that user and has not expired.
 */
async function tellOfGone(
  { authenticator, store }: UserTemplateDeps,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const problem = toProblem(error)
  const token = bearerToken(request.headers.authorization ?? '')
  if (problem.code !== 'invalid_token' || token === undefined) return refuse(request, reply, problem)
  const userId = await authenticator.ownerOf(token)
  const user = userId === undefined ? undefined : await findUserRecord(store.db, userId)
  const isGone = userId !== undefined && (user?.deleted_at ?? user === undefined)
  return refuse(
    request,
    reply,
    isGone ? new ProblemError('not_found', { detail: 'User not found' }) : problem,
  )
}

function ownRecordRoutes(dialect: App, deps: UserTemplateDeps): void {
  const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
    tellOfGone(deps, error, request, reply)

  dialect.route({
    method: 'GET',
    url: '/v1/api/users/',
    errorHandler,
    config: { access: 'self' },
    schema: {
      operationId: 'templateGetUser',
      tags,
      summary: 'Read one’s own record',
      description: 'As `GET /api/v1/users/me`, in fewer fields.',
      response: { 200: ref(TemplateUserSchema), ...refusals },
    },
    handler: async request => toTemplateUser(await deps.users.read(principalOf(request).userId)),
  })

  dialect.route({
    method: 'PATCH',
    url: '/v1/api/users/',
    errorHandler,
    config: {
      access: 'self',
      rateLimit: 'password',
      rules: (input: TemplateChanges) => checkTemplateChanges(deps, input),
    },
    schema: {
      operationId: 'templateUpdateUser',
      tags,
      summary: 'Change one’s own record',
      description:
        'All of it or nothing. `password` needs a sign-in or step-up from the last 10 minutes, `username` can ' +
        'change once in 15 days, and addresses are changed by the routes that verify them.',
      body: ref(TemplateChangesSchema),
      response: { 202: ref(TemplateUserSchema), ...refusals },
    },
    async handler(request, reply) {
      const { email, phone_number, role, is_active, username, password, ...profile } = request.body
      refuseElsewhere({ email, phone_number })
      refusePrivileged({ role, is_active })
      const principal = principalOf(request)
      const { userId } = principal
      const origin = originOf(request)
      const at = deps.clock.now()
      checkTemplateChanges(deps, request.body)
      const fields = readFields(profile)
      const setPassword =
        password === undefined
          ? undefined
          : await preparePasswordAfterSignIn(deps, origin, principal, password)
      const change = () =>
        deps.store.transact(async trx => {
          await updateProfileWithin(deps.store, trx, at, origin, userId, fields)
          if (username !== undefined) await changeUsernameWithin(deps, trx, at, origin, userId, username)
          await setPassword?.(trx)
        })
      await (username === undefined ? change() : countUsernameChange(deps, change))
      return reply.code(202).send(toTemplateUser(await deps.users.read(userId)))
    },
  })

  dialect.route({
    method: 'DELETE',
    url: '/v1/api/users/',
    errorHandler,
    config: { access: 'self', stepUp: 'recent' },
    schema: {
      operationId: 'templateDeleteUser',
      tags,
      summary: 'Delete one’s account',
      description: 'As `DELETE /api/v1/users/me`: softly, with a mail that can restore it.',
      response: { 204: NoBody, ...refusals },
    },
    async handler(request, reply) {
      await deleteOwnAccount(deps, originOf(request), principalOf(request))
      return reply.code(204).send()
    },
  })

  dialect.route({
    method: 'GET',
    url: '/v1/api/users/admin-only',
    config: { access: 'self' },
    schema: {
      operationId: 'templateAdminOnly',
      tags,
      summary: 'Find out whether one is an administrator',
      description: 'For trying tokens.',
      response: {
        200: Type.Object({ message: Type.String() }, { description: 'The caller is an administrator.' }),
        ...refusals,
      },
    },
    handler(request) {
      if (!principalOf(request).roles.includes(adminRole)) {
        throw new ProblemError('forbidden', { detail: 'Admin access required' })
      }
      return { message: 'Admin access granted' }
    },
  })
}

type TemplateChanges = Static<typeof TemplateChangesSchema>

/** Names every bad field, also of what is changed apart. @throws ProblemError validation_failed */
const checkTemplateChanges = (
  deps: ChangeUsernameDeps,
  { first_name, last_name, username }: TemplateChanges,
) => readFields({ first_name, last_name, username }, deps.isReservedUsername)

const verifiedBy: Readonly<Record<string, string>> = {
  email: 'POST /api/v1/auth/profile/email/initiate',
  phone_number: 'POST /api/v1/auth/profile/phone/initiate',
}

function refuseElsewhere(fields: Readonly<Record<string, unknown>>): void {
  const [field] = Object.keys(fields).filter(name => fields[name] !== undefined)
  if (field === undefined) return
  const detail = `${field} is changed with ${verifiedBy[field]}, which verifies it`
  throw new ProblemError('validation_failed', { detail })
}

function refusePrivileged(fields: Readonly<Record<string, unknown>>): void {
  const [field] = Object.keys(fields).filter(name => fields[name] !== undefined)
  if (field !== undefined)
    throw new ProblemError('forbidden_field', { detail: `${field} can’t be set by its owner` })
}

const toTemplateUser = (user: User) => ({
  id: user.id,
  username: user.username,
  email: user.email,
  first_name: user.first_name,
  last_name: user.last_name,
  phone_number: user.phone_number,
  role: user.role,
  is_active: user.is_active,
})
