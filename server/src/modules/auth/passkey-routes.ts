import type { RegistrationResponseJSON } from '@simplewebauthn/server'
import { Type } from 'typebox'
import { principalOf } from '../../http/guard.ts'
import { ProblemError } from '../../http/problems.ts'
import { idParams, NoBody, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { originOf } from '../audit/index.ts'
import { BrowserHeaders, type BrowserMode } from '../sessions/index.ts'
import { findUserRecord } from '../users/index.ts'
import { type ArrivalReplyDeps, ArrivalSchema, replyToArrival } from './arrival-reply.ts'
import { toAssertion } from './assertion.ts'
import { registerPasskey, removePasskey, renamePasskey } from './enrol-factor.ts'
import {
  NewPasskeySchema,
  PasskeyListSchema,
  PasskeyNameSchema,
  PasskeyOptionsSchema,
  PasskeyRegistrationRequestSchema,
  PasskeyRegistrationSchema,
  PasskeySchema,
  PasskeySignInSchema,
} from './mfa-schemas.ts'
import { signInWithPasskey } from './passkey-sign-in.ts'
import type { SecondFactorDeps } from './second-factor.ts'

type PasskeyDeps = SecondFactorDeps & ArrivalReplyDeps & { browserMode: BrowserMode }

const schemas = [
  PasskeyRegistrationRequestSchema,
  PasskeyRegistrationSchema,
  PasskeyNameSchema,
  NewPasskeySchema,
  PasskeySignInSchema,
  PasskeySchema,
  PasskeyListSchema,
]

const own = { access: 'self', rateLimit: 'mfa', enrolment: true, stepUp: 'highest' } as const
const params = idParams('the passkey')

/** Passkeys (WebAuthn Level 3): keeping them, and signing in with one alone. */
export function passkeyRoutes(app: App, deps: PasskeyDeps): void {
  for (const schema of schemas) app.addSchema(schema)
  registrationRoutes(app, deps)
  signInRoutes(app, deps)
  managementRoutes(app, deps)
}

function registrationRoutes(app: App, deps: PasskeyDeps): void {
  app.route({
    method: 'POST',
    url: '/auth/passkeys/register/options',
    config: own,
    schema: {
      operationId: 'passkeyRegistrationOptions',
      tags: ['passkeys'],
      summary: 'Begin to register a passkey',
      description:
        'For `navigator.credentials.create()`. Good for 5 minutes and one answer. Where the browser is to make the ' +
        'passkey by itself after a sign-in (`mediation: "conditional"`), say so here: nobody need be present then.',
      body: Type.Union([ref(PasskeyRegistrationRequestSchema), Type.Null()], {
        description: 'May be left out.',
      }),
      response: { 200: ref(PasskeyOptionsSchema), ...problemResponses('conflict') },
    },
    async handler(request) {
      const user = await findUserRecord(deps.store.db, principalOf(request).userId)
      if (!user) throw new ProblemError('invalid_token')
      return deps.passkeys.registrationOptions(user, request.body?.mediation === 'conditional')
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/passkeys/register/verify',
    config: own,
    schema: {
      operationId: 'registerPasskey',
      tags: ['passkeys'],
      summary: 'Register a passkey',
      description:
        'With what the browser answered, and a name. It is a second factor from here on, and a way to sign in ' +
        'alone. The other sessions end, and a mail tells the user.',
      body: ref(NewPasskeySchema),
      response: {
        201: ref(PasskeySchema),
        ...problemResponses('invalid_passkey', 'passkey_taken', 'conflict', 'not_found'),
      },
    },
    async handler(request, reply) {
      const { credential, name } = request.body
      // The schema is WebAuthn's, down to names of transports that the library's type does not know yet.
      const registration = { clientExtensionResults: {}, ...credential } as RegistrationResponseJSON
      const passkey = await registerPasskey(deps, originOf(request), principalOf(request), registration, name)
      reply.code(201)
      return passkey
    },
  })
}

function signInRoutes(app: App, deps: PasskeyDeps): void {
  app.route({
    method: 'POST',
    url: '/auth/passkeys/login/options',
    config: { access: 'public', rateLimit: 'login' },
    schema: {
      operationId: 'passkeySignInOptions',
      tags: ['passkeys'],
      summary: 'Begin to sign in with a passkey',
      description:
        'For `navigator.credentials.get()`, also with `mediation: "conditional"`. Takes no name: the authenticator ' +
        'knows whose passkeys it holds, and so nothing is told about anybody.',
      response: { 200: ref(PasskeyOptionsSchema) },
    },
    async handler() {
      return deps.passkeys.authenticationOptions('sign_in')
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/passkeys/login/verify',
    config: { access: 'public', rateLimit: 'login' },
    schema: {
      operationId: 'signInWithPasskey',
      tags: ['passkeys'],
      summary: 'Sign in with a passkey',
      description:
        'A passkey that verified its person (PIN, fingerprint …) is two factors. After another one, a further one ' +
        'that is enrolled is asked for, or the password. Works for accounts that are locked for passwords.',
      headers: BrowserHeaders,
      body: ref(PasskeySignInSchema),
      response: {
        200: ArrivalSchema,
        ...problemResponses(
          'invalid_credentials',
          'unknown_passkey',
          'email_not_verified',
          'too_many_attempts',
          'csrf_failed',
        ),
      },
    },
    async handler(request, reply) {
      const device = deps.browserMode.device(request, reply)
      const assertion = toAssertion(request.body.credential)
      const arrival = await signInWithPasskey(deps, originOf(request), assertion, device)
      return replyToArrival(deps, request, reply, arrival)
    },
  })
}

function managementRoutes(app: App, deps: PasskeyDeps): void {
  app.route({
    method: 'GET',
    url: '/auth/passkeys',
    config: { access: 'self', enrolment: true },
    schema: {
      operationId: 'listPasskeys',
      tags: ['passkeys'],
      summary: 'One’s passkeys',
      description: 'In order of registration.',
      response: { 200: ref(PasskeyListSchema) },
    },
    async handler(request) {
      return { items: await deps.passkeys.list(principalOf(request).userId) }
    },
  })

  app.route({
    method: 'PATCH',
    url: '/auth/passkeys/:id',
    config: { access: 'self' },
    schema: {
      operationId: 'renamePasskey',
      tags: ['passkeys'],
      summary: 'Rename a passkey',
      description: 'The name is the user’s own, to tell their passkeys apart.',
      params,
      body: ref(PasskeyNameSchema),
      response: { 200: ref(PasskeySchema), ...problemResponses('not_found') },
    },
    async handler(request) {
      const { params, body } = request
      return renamePasskey(deps, originOf(request), principalOf(request), params.id, body.name)
    },
  })

  app.route({
    method: 'DELETE',
    url: '/auth/passkeys/:id',
    config: { access: 'self', rateLimit: 'mfa', stepUp: 'highest' },
    schema: {
      operationId: 'removePasskey',
      tags: ['passkeys'],
      summary: 'Remove a passkey',
      description: 'The other sessions end.',
      params,
      response: { 204: NoBody, ...problemResponses('not_found') },
    },
    async handler(request, reply) {
      await removePasskey(deps, originOf(request), principalOf(request), request.params.id)
      return reply.code(204).send()
    },
  })
}
