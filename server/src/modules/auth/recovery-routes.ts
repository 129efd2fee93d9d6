import { alsoNamed } from '../../http/also-named.ts'
import { principalOf } from '../../http/guard.ts'
import { ProblemError } from '../../http/problems.ts'
import { NoBody, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { originOf } from '../audit/index.ts'
import { type UserReader, UserSchema } from '../users/index.ts'
import {
  AcceptedSchema,
  EmailProofSchema,
  LinkTokenSchema,
  PasswordByLinkSchema,
  PasswordResetRequestSchema,
  VerificationRequestSchema,
} from './contact-schemas.ts'
import { type DeleteAccountDeps, deleteOwnAccount, restoreOwnAccount } from './delete-account.ts'
import { type ResetPasswordDeps, requestPasswordReset, setPasswordByLink } from './reset-password.ts'
import {
  requestOwnVerification,
  requestVerification,
  type VerifyEmailDeps,
  verifyEmail,
} from './verify-email.ts'

export type RecoveryDeps = ResetPasswordDeps & VerifyEmailDeps & DeleteAccountDeps & { users: UserReader }

const schemas = [
  AcceptedSchema,
  EmailProofSchema,
  LinkTokenSchema,
  PasswordByLinkSchema,
  PasswordResetRequestSchema,
  VerificationRequestSchema,
]

/** Proving an address, choosing a password by mail, and deleting and restoring one’s account. */
export function recoveryRoutes(app: App, deps: RecoveryDeps): void {
  for (const schema of schemas) app.addSchema(schema)
  passwordRoutes(app, deps)
  verificationRoutes(app, deps)
  accountRoutes(app, deps)
}

function passwordRoutes(app: App, deps: RecoveryDeps): void {
  app.route({
    method: 'POST',
    url: '/auth/password-reset-request',
    config: { access: 'public', rateLimit: 'password' },
    schema: {
      operationId: 'requestPasswordReset',
      tags: ['auth'],
      summary: 'Ask for a mail to choose a new password',
      description:
        'Always the same reply. Where there is an active account, a mail with a link comes, unless the address ' +
        'was sent too many. The link lives for an hour and works once; opening it uses nothing up.',
      body: ref(PasswordResetRequestSchema),
      response: { 202: ref(AcceptedSchema) },
    },
    async handler(request, reply) {
      await requestPasswordReset(deps, originOf(request), request.body.email)
      reply.code(202)
      return { message: 'If there is an account with this address, a mail is on its way.' }
    },
  })

  for (const [path, purpose, operationId, summary] of [
    ['password-reset-confirm', 'PASSWORD_RESET', 'confirmPasswordReset', 'Choose a new password'],
    ['accept-invitation', 'INVITATION', 'acceptInvitation', 'Accept an invitation by choosing a password'],
  ] as const) {
    app.route({
      method: 'POST',
      url: `/auth/${path}`,
      config: { access: 'public', rateLimit: 'password' },
      schema: {
        operationId,
        tags: ['auth'],
        summary,
        description:
          'With the token of the mail. Every session ends and none begins; a second factor is still asked for ' +
          'at the next sign-in. The address counts as verified; if it did not before, whoever registered with it ' +
          'may be somebody else, and second factors and passkeys are removed.',
        body: ref(PasswordByLinkSchema),
        response: { 204: NoBody, ...problemResponses('invalid_link') },
      },
      async handler(request, reply) {
        await setPasswordByLink(deps, originOf(request), purpose, request.body)
        return reply.code(204).send()
      },
    })
  }
}

function verificationRoutes(app: App, deps: RecoveryDeps): void {
  app.route({
    method: 'POST',
    url: '/auth/verify-email-request',
    config: { access: { optional: true }, rateLimit: 'verification' },
    schema: {
      operationId: 'requestEmailVerification',
      tags: ['auth'],
      summary: 'Ask for a mail that proves an address',
      description:
        'To the signed-in user, or to `email`. By address the reply is always the same; and whoever then proves ' +
        'the address without being signed in takes the account over: its sessions and its password end.',
      security: [{}, { bearerAuth: [] }],
      body: ref(VerificationRequestSchema),
      response: { 202: ref(AcceptedSchema), ...problemResponses('otp_quota_exceeded') },
    },
    async handler(request, reply) {
      const { email } = request.body
      if (request.principal) await requestOwnVerification(deps, request.principal.userId)
      else if (email !== undefined) await requestVerification(deps, email)
      else throw new ProblemError('unauthorized')
      reply.code(202)
      return { message: 'If the address has an account and is not verified yet, a mail is on its way.' }
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/verify-email',
    preValidation: alsoNamed('otp', 'code'),
    config: { access: { optional: true }, rateLimit: 'verification' },
    schema: {
      operationId: 'verifyEmail',
      tags: ['auth'],
      summary: 'Prove an address',
      description:
        'With the token of the link, or with the code of the mail: while signed in, or with `email`. Send the access ' +
        'token along where there is one: without, second factors and passkeys from before end. The code of a mail ' +
        'that was not asked for in registering, used without being signed in, also ends the sessions and the ' +
        'password of the account; a mail to choose one follows.',
      security: [{}, { bearerAuth: [] }],
      body: ref(EmailProofSchema),
      response: { 200: ref(UserSchema), ...problemResponses('invalid_link', 'invalid_code', 'otp_cooldown') },
    },
    async handler(request) {
      const { userId } = await verifyEmail(deps, originOf(request), request.principal, request.body)
      return deps.users.read(userId)
    },
  })
}

function accountRoutes(app: App, deps: RecoveryDeps): void {
  app.route({
    method: 'DELETE',
    url: '/users/me',
    config: { access: 'self', stepUp: 'recent' },
    schema: {
      operationId: 'deleteMe',
      tags: ['users'],
      summary: 'Delete one’s account',
      description:
        'Inactive at once; every session ends. A mail brings a link that restores the account until it is erased ' +
        '(`ERASE_AFTER_DAYS`).',
      response: { 204: NoBody, ...problemResponses('last_administrator', 'not_found') },
    },
    async handler(request, reply) {
      await deleteOwnAccount(deps, originOf(request), principalOf(request))
      return reply.code(204).send()
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/restore-account',
    config: { access: 'public', rateLimit: 'verification' },
    schema: {
      operationId: 'restoreAccount',
      tags: ['auth'],
      summary: 'Restore a deleted account',
      description: 'With the token of the mail about its deletion. Does not sign in.',
      body: ref(LinkTokenSchema),
      response: { 204: NoBody, ...problemResponses('invalid_link') },
    },
    async handler(request, reply) {
      await restoreOwnAccount(deps, originOf(request), request.body.token)
      return reply.code(204).send()
    },
  })
}
