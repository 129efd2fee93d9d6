import type { preValidationHookHandler } from 'fastify'
import { principalOf } from '../../http/guard.ts'
import { can } from '../../http/principal.ts'
import { NoBody, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { originOf } from '../audit/index.ts'
import { BrowserHeaders, type BrowserMode } from '../sessions/index.ts'
import { isPrivilegedField, refuseFields, UserSchema } from '../users/index.ts'
import { type ArrivalReplyDeps, ArrivalSchema, replyToArrival } from './arrival-reply.ts'
import { type ChangePasswordDeps, changePassword } from './change-password.ts'
import { type ContactDeps, contactRoutes } from './contact-routes.ts'
import { AcceptedSchema } from './contact-schemas.ts'
import { type AdministratorDeps, setUpAdministrator } from './first-administrator.ts'
import { type LoginDeps, login } from './login.ts'
import { mfaRoutes } from './mfa-routes.ts'
import { passkeyRoutes } from './passkey-routes.ts'
import { type RecoveryDeps, recoveryRoutes } from './recovery-routes.ts'
import { checkRegistration, type RegisterDeps, register } from './register.ts'
import {
  LoginSchema,
  PasswordChangeSchema,
  type Registration,
  RegistrationSchema,
  SetupSchema,
} from './schemas.ts'
import type { SecondFactorDeps } from './second-factor.ts'
import { stepUpRoutes } from './step-up-routes.ts'

export type AuthDeps = RegisterDeps &
  LoginDeps &
  ChangePasswordDeps &
  AdministratorDeps &
  RecoveryDeps &
  ContactDeps &
  SecondFactorDeps

export function authRoutes(app: App, deps: AuthDeps & ArrivalReplyDeps & { browserMode: BrowserMode }): void {
  recoveryRoutes(app, deps)
  contactRoutes(app, deps)
  mfaRoutes(app, deps)
  passkeyRoutes(app, deps)
  stepUpRoutes(app, deps)
  for (const schema of [RegistrationSchema, LoginSchema, PasswordChangeSchema, SetupSchema])
    app.addSchema(schema)

  app.route({
    method: 'POST',
    url: '/auth/register',
    config: {
      access: { optional: true },
      rateLimit: 'register',
      rules: (input: Registration) => checkRegistration(deps, input),
    },
    preValidation: refusePrivilegedFields,
    schema: {
      operationId: 'register',
      tags: ['auth'],
      summary: 'Register',
      description:
        'Open to anyone unless `REGISTRATION=closed`. With a token that has `users:create`, privileged fields ' +
        'may be set as well. Sends a mail that proves the address. With `REGISTRATION_PRIVACY=true` the reply to ' +
        'the anonymous is always 202, and the owner of a taken address gets a mail.',
      security: [{}, { bearerAuth: [] }],
      body: ref(RegistrationSchema),
      response: {
        201: ref(UserSchema),
        202: ref(AcceptedSchema),
        ...problemResponses(
          'registration_closed',
          'step_up_required',
          'forbidden_field',
          'email_taken',
          'username_taken',
          'phone_taken',
        ),
      },
    },
    async handler(request, reply) {
      const id = await register(deps, originOf(request), request.principal, request.body)
      if (id === undefined) {
        reply.code(202)
        return { message: 'A mail is on its way to the address.' }
      }
      reply.code(201)
      return deps.users.read(id)
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/login',
    config: { access: 'public', rateLimit: 'login' },
    schema: {
      operationId: 'login',
      tags: ['auth'],
      summary: 'Sign in with a password',
      description:
        'The reply to a wrong password is that to an unknown, inactive or deleted account. Who has a second ' +
        'factor gets an `mfa_token` instead of tokens. After five failures in a row each further one costs a delay, ' +
        'for unknown accounts too.',
      headers: BrowserHeaders,
      body: ref(LoginSchema),
      response: {
        200: ArrivalSchema,
        ...problemResponses('invalid_credentials', 'email_not_verified', 'too_many_attempts', 'csrf_failed'),
      },
    },
    async handler(request, reply) {
      const device = deps.browserMode.device(request, reply)
      const arrival = await login(deps, originOf(request), request.body, device)
      return replyToArrival(deps, request, reply, arrival)
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/change-password',
    config: { access: 'self', rateLimit: 'password' },
    schema: {
      operationId: 'changePassword',
      tags: ['auth'],
      summary: 'Change one’s password',
      description: 'Ends every other session.',
      body: ref(PasswordChangeSchema),
      response: {
        204: NoBody,
        ...problemResponses('invalid_current_password', 'conflict', 'too_many_attempts'),
      },
    },
    async handler(request, reply) {
      await changePassword(deps, originOf(request), principalOf(request), request.body)
      return reply.code(204).send()
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/setup',
    config: { access: 'public', rateLimit: 'setup' },
    schema: {
      operationId: 'setUp',
      tags: ['auth'],
      summary: 'Create the first administrator',
      description: 'With the code that the service prints while there is no administrator. It works once.',
      body: ref(SetupSchema),
      response: {
        201: ref(UserSchema),
        ...problemResponses(
          'invalid_setup_code',
          'setup_unavailable',
          'email_taken',
          'username_taken',
          'too_many_attempts',
        ),
      },
    },
    async handler(request, reply) {
      const { code, ...administrator } = request.body
      const id = await setUpAdministrator(deps, originOf(request), code, administrator)
      reply.code(201)
      return deps.users.read(id)
    },
  })
}

/** Fields that no registration has (`id`, `is_premium` …): an attempt at more than the default, not a slip. */
const refusePrivilegedFields: preValidationHookHandler = ({ principal, body }, _reply, done) => {
  if (!can(principal, 'users:create')) {
    const isPrivileged = (field: string) => isPrivilegedField(field, RegistrationSchema.properties)
    refuseFields(body, isPrivileged, 'can’t be set at registration')
  }
  done()
}
