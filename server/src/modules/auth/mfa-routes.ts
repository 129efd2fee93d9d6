import { Type } from 'typebox'
import { principalOf } from '../../http/guard.ts'
import type { Principal } from '../../http/principal.ts'
import { NoBody, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { originOf } from '../audit/index.ts'
import type { EnrolledFactor } from '../factors/index.ts'
import { BrowserHeaders, type BrowserMode } from '../sessions/index.ts'
import { type ArrivalReplyDeps, ArrivalSchema, replyToArrival } from './arrival-reply.ts'
import {
  beginEmail,
  beginSms,
  beginTotp,
  confirmFactor,
  createRecoveryCodes,
  removeFactor,
} from './enrol-factor.ts'
import { readProof } from './given-proof.ts'
import {
  CodeSentSchema,
  FactorCodeSchema,
  MfaChallengedSchema,
  MfaChallengeSchema,
  MfaRequiredSchema,
  MfaSchema,
  MfaVerificationSchema,
  PasskeyAssertionSchema,
  PasskeyOptionsSchema,
  RecoveryCodesSchema,
  SmsSetupSchema,
  TotpSetupSchema,
} from './mfa-schemas.ts'
import { challengeSecondFactor, type SecondFactorDeps, verifySecondFactor } from './second-factor.ts'

type MfaDeps = SecondFactorDeps & ArrivalReplyDeps & { browserMode: BrowserMode }

const schemas = [
  PasskeyAssertionSchema,
  PasskeyOptionsSchema,
  CodeSentSchema,
  FactorCodeSchema,
  MfaChallengedSchema,
  MfaChallengeSchema,
  MfaRequiredSchema,
  MfaSchema,
  MfaVerificationSchema,
  RecoveryCodesSchema,
  SmsSetupSchema,
  TotpSetupSchema,
]

/** Second factors: enrolling them, and completing a sign-in with one. */
export function mfaRoutes(app: App, deps: MfaDeps): void {
  for (const schema of schemas) app.addSchema(schema)
  signInRoutes(app, deps)
  setupRoutes(app, deps)
  confirmRoutes(app, deps)
  otherRoutes(app, deps)
}

const own = { access: 'self', rateLimit: 'mfa', enrolment: true, stepUp: 'highest' } as const
const sending = ['otp_quota_exceeded', 'otp_cooldown'] as const

function signInRoutes(app: App, deps: MfaDeps): void {
  app.route({
    method: 'POST',
    url: '/auth/mfa/challenge',
    config: { access: 'public', rateLimit: 'mfa' },
    schema: {
      operationId: 'challengeMfa',
      tags: ['mfa'],
      summary: 'Prepare the second factor of a sign-in',
      description:
        'Sends the code of `sms` or `email`, or gives the options for a passkey. The others need no preparation.',
      body: ref(MfaChallengeSchema),
      response: {
        200: ref(MfaChallengedSchema),
        ...problemResponses('invalid_mfa_token', 'mfa_not_enrolled', ...sending, 'sms_unavailable'),
      },
    },
    async handler(request) {
      const { mfa_token, method } = request.body
      return challengeSecondFactor(deps, mfa_token, method)
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/mfa/verify',
    config: { access: 'public', rateLimit: 'mfa' },
    schema: {
      operationId: 'verifyMfa',
      tags: ['mfa'],
      summary: 'Complete a sign-in with its second factor',
      description: 'Each code works once. A wrong one is counted, and leaves the `mfa_token` good.',
      headers: BrowserHeaders,
      body: ref(MfaVerificationSchema),
      response: {
        200: ArrivalSchema,
        ...problemResponses(
          'invalid_mfa_token',
          'invalid_mfa_code',
          'invalid_credentials',
          'email_not_verified',
          'too_many_attempts',
          'otp_cooldown',
          'csrf_failed',
        ),
      },
    },
    async handler(request, reply) {
      const { mfa_token, ...body } = request.body
      const device = deps.browserMode.device(request, reply)
      const arrival = await verifySecondFactor(deps, originOf(request), mfa_token, readProof(body), device)
      return replyToArrival(deps, request, reply, arrival)
    },
  })
}

function setupRoutes(app: App, deps: MfaDeps): void {
  app.route({
    method: 'POST',
    url: '/auth/mfa/totp/setup',
    config: own,
    schema: {
      operationId: 'setUpTotp',
      tags: ['mfa'],
      summary: 'Begin to enrol an authenticator app',
      description: 'Nothing counts before the first code is confirmed. Beginning again makes another secret.',
      response: { 200: ref(TotpSetupSchema), ...problemResponses('mfa_already_enrolled', 'not_found') },
    },
    async handler(request, reply) {
      reply.header('cache-control', 'no-store')
      return beginTotp(deps, principalOf(request))
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/mfa/sms/setup',
    config: own,
    schema: {
      operationId: 'setUpSms',
      tags: ['mfa'],
      summary: 'Begin to enrol a phone number for codes by SMS',
      description: 'Sends a code to the number.',
      body: ref(SmsSetupSchema),
      response: {
        200: ref(CodeSentSchema),
        ...problemResponses('mfa_already_enrolled', ...sending, 'sms_unavailable', 'not_found'),
      },
    },
    async handler(request) {
      return { sent_to: await beginSms(deps, principalOf(request), request.body.phone_number) }
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/mfa/email/setup',
    config: own,
    schema: {
      operationId: 'setUpEmailCodes',
      tags: ['mfa'],
      summary: 'Begin to enrol codes by mail',
      description: 'Sends a code to one’s e-mail address.',
      response: {
        200: ref(CodeSentSchema),
        ...problemResponses('mfa_already_enrolled', ...sending, 'not_found'),
      },
    },
    async handler(request) {
      return { sent_to: await beginEmail(deps, principalOf(request)) }
    },
  })
}

function confirmRoutes(app: App, deps: MfaDeps): void {
  for (const [method, operationId, what] of [
    ['totp', 'confirmTotp', 'an authenticator app'],
    ['sms', 'confirmSms', 'codes by SMS'],
    ['email', 'confirmEmailCodes', 'codes by mail'],
  ] as const) {
    app.route({
      method: 'POST',
      url: `/auth/mfa/${method}/confirm`,
      config: own,
      schema: {
        operationId,
        tags: ['mfa'],
        summary: `Enrol ${what} with the first code`,
        description:
          'From here on every sign-in needs a second factor. The other sessions end; this one counts as having ' +
          'proved it. A mail tells the user.',
        body: ref(FactorCodeSchema),
        response: {
          200: ref(MfaSchema),
          ...problemResponses(
            'invalid_code',
            'mfa_not_begun',
            'too_many_attempts',
            'otp_cooldown',
            'not_found',
          ),
        },
      },
      async handler(request) {
        const principal = principalOf(request)
        await confirmFactor(deps, originOf(request), principal, method, request.body.code)
        return { mfa_enabled: true, mfa_required: false, methods: await enrolled(deps, principal) }
      },
    })
  }
}

function otherRoutes(app: App, deps: MfaDeps): void {
  app.route({
    method: 'GET',
    url: '/auth/mfa',
    config: { access: 'self', enrolment: true },
    schema: {
      operationId: 'readMfa',
      tags: ['mfa'],
      summary: 'One’s second factors',
      description: 'What is enrolled; recovery codes and passkeys with how many there are.',
      response: { 200: ref(MfaSchema) },
    },
    async handler(request) {
      const principal = principalOf(request)
      return {
        mfa_enabled: principal.mfaEnabled,
        mfa_required: principal.enrolmentDue,
        methods: await enrolled(deps, principal),
      }
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/mfa/recovery-codes',
    config: own,
    schema: {
      operationId: 'createRecoveryCodes',
      tags: ['mfa'],
      summary: 'Make recovery codes',
      description: 'Ten, shown this once, each for one sign-in. They replace any from before.',
      response: { 200: ref(RecoveryCodesSchema), ...problemResponses('mfa_not_enrolled', 'not_found') },
    },
    async handler(request, reply) {
      reply.header('cache-control', 'no-store')
      return { codes: await createRecoveryCodes(deps, originOf(request), principalOf(request)) }
    },
  })

  app.route({
    method: 'DELETE',
    url: '/auth/mfa/:method',
    config: { access: 'self', rateLimit: 'mfa', stepUp: 'highest' },
    schema: {
      operationId: 'removeMfa',
      tags: ['mfa'],
      summary: 'Remove a second factor',
      description:
        'The other sessions end. With the last factor the recovery codes go as well. Passkeys have a route of ' +
        'their own.',
      params: Type.Object({
        method: Type.Union([Type.Literal('totp'), Type.Literal('sms'), Type.Literal('email')], {
          description: 'The second factor',
        }),
      }),
      response: { 204: NoBody, ...problemResponses('not_found') },
    },
    async handler(request, reply) {
      await removeFactor(deps, originOf(request), principalOf(request), request.params.method)
      return reply.code(204).send()
    },
  })
}

const enrolled = ({ factors, store }: MfaDeps, { userId }: Principal): Promise<EnrolledFactor[]> =>
  factors.list(store.db, userId)
