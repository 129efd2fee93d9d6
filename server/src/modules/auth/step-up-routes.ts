import { principalOf } from '../../http/guard.ts'
import { ProblemError } from '../../http/problems.ts'
import { problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { originOf } from '../audit/index.ts'
import { BrowserHeaders, type BrowserMode, TokensSchema } from '../sessions/index.ts'
import { type ArrivalReplyDeps, replyToArrival } from './arrival-reply.ts'
import { readProof } from './given-proof.ts'
import { MfaChallengedSchema, StepUpChallengeSchema, StepUpSchema } from './mfa-schemas.ts'
import { prepareFactor, type SecondFactorDeps } from './second-factor.ts'
import { stepUp } from './step-up.ts'

/** Proving again who one is. */
export function stepUpRoutes(
  app: App,
  deps: SecondFactorDeps & ArrivalReplyDeps & { browserMode: BrowserMode },
): void {
  app.addSchema(StepUpSchema)
  app.addSchema(StepUpChallengeSchema)

  app.route({
    method: 'POST',
    url: '/auth/step-up',
    config: { access: 'self', rateLimit: 'password', enrolment: true },
    schema: {
      operationId: 'stepUp',
      tags: ['auth'],
      summary: 'Prove again who one is',
      description:
        'With the password, or a second factor. Answers with the tokens of a new session, in place of the present ' +
        'one. Sensitive routes want this or a sign-in from the last 10 minutes; those that change second factors ' +
        'want a second factor, where one is enrolled.',
      headers: BrowserHeaders,
      body: ref(StepUpSchema),
      response: {
        200: ref(TokensSchema),
        ...problemResponses(
          'invalid_current_password',
          'invalid_code',
          'too_many_attempts',
          'otp_cooldown',
          'csrf_failed',
        ),
      },
    },
    async handler(request, reply) {
      // A foreign Origin is refused here, while there is still a session that it leaves alone.
      deps.browserMode.isOn(request)
      const { body } = request
      const method = body.method ?? (body.password === undefined ? undefined : 'password')
      if (!method) {
        throw new ProblemError('validation_failed', {
          errors: [{ path: '', code: 'one_proof', message: 'takes either password or method' }],
        })
      }
      const proof = readProof({ ...body, method })
      const session = await stepUp(deps, originOf(request), principalOf(request), proof)
      return replyToArrival(deps, request, reply, { state: 'signed_in', session })
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/step-up/challenge',
    config: { access: 'self', rateLimit: 'mfa', enrolment: true },
    schema: {
      operationId: 'challengeStepUp',
      tags: ['auth'],
      summary: 'Prepare a second factor for stepping up',
      description: 'Sends the code of `sms` or `email`, or gives the options for a passkey.',
      body: ref(StepUpChallengeSchema),
      response: {
        200: ref(MfaChallengedSchema),
        ...problemResponses('mfa_not_enrolled', 'otp_quota_exceeded', 'otp_cooldown', 'sms_unavailable'),
      },
    },
    async handler(request) {
      const { userId } = principalOf(request)
      return prepareFactor(deps, userId, request.body.method, 'step_up')
    },
  })
}
