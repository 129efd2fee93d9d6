import { alsoNamed } from '../../http/also-named.ts'
import { principalOf } from '../../http/guard.ts'
import { problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { originOf } from '../audit/index.ts'
import { type ChangeEmailDeps, completeEmailChange, initiateEmailChange } from './change-email.ts'
import { type ChangePhoneDeps, completePhoneChange, initiatePhoneChange } from './change-phone.ts'
import {
  EmailChangedSchema,
  EmailChangeProofSchema,
  EmailChangeSchema,
  EmailChangeStartedSchema,
  EmailRestoredSchema,
  PasswordByLinkSchema,
  PhoneChangedSchema,
  PhoneChangeProofSchema,
  PhoneChangeSchema,
  PhoneChangeStartedSchema,
} from './contact-schemas.ts'
import type { ResetPasswordDeps } from './reset-password.ts'
import { undoEmailChange } from './undo-email-change.ts'

export type ContactDeps = ChangeEmailDeps & ChangePhoneDeps & ResetPasswordDeps

const schemas = [
  EmailChangedSchema,
  EmailChangeProofSchema,
  EmailChangeSchema,
  EmailChangeStartedSchema,
  EmailRestoredSchema,
  PhoneChangedSchema,
  PhoneChangeProofSchema,
  PhoneChangeSchema,
  PhoneChangeStartedSchema,
]

/** Changing one’s e-mail address and phone number, each proved by a code sent there. */
export function contactRoutes(app: App, deps: ContactDeps): void {
  for (const schema of schemas) app.addSchema(schema)
  emailRoutes(app, deps)
  phoneRoutes(app, deps)
}

function emailRoutes(app: App, deps: ContactDeps): void {
  app.route({
    method: 'POST',
    url: '/auth/profile/email/initiate',
    config: { access: 'self', rateLimit: 'verification', stepUp: 'highest' },
    schema: {
      operationId: 'initiateEmailChange',
      tags: ['profile'],
      summary: 'Begin to change one’s e-mail address',
      description: 'Sends a six-digit code to the new address.',
      body: ref(EmailChangeSchema),
      response: {
        200: ref(EmailChangeStartedSchema),
        ...problemResponses('email_unchanged', 'email_taken', 'otp_quota_exceeded', 'otp_cooldown'),
      },
    },
    async handler(request) {
      const started = await initiateEmailChange(deps, principalOf(request), request.body.new_email)
      return { ...started, next_step: 'verify_email_update_otp' as const }
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/profile/email/complete',
    preValidation: alsoNamed('otp', 'code'),
    config: { access: 'self', rateLimit: 'verification' },
    schema: {
      operationId: 'completeEmailChange',
      tags: ['profile'],
      summary: 'Change one’s e-mail address',
      description:
        'With the code from the new address, which counts as verified then. The other sessions end. The old ' +
        'address is told, with a link that undoes the change for 72 hours.',
      body: ref(EmailChangeProofSchema),
      response: {
        200: ref(EmailChangedSchema),
        ...problemResponses('invalid_code', 'email_taken', 'otp_cooldown'),
      },
    },
    async handler(request) {
      const changed = await completeEmailChange(deps, originOf(request), principalOf(request), request.body)
      return {
        email: changed.email,
        email_verified: true,
        email_verified_at: changed.email_verified_at.toISOString(),
      }
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/profile/email/undo',
    config: { access: 'public', rateLimit: 'password' },
    schema: {
      operationId: 'undoEmailChange',
      tags: ['profile'],
      summary: 'Undo a change of one’s e-mail address',
      description:
        'With the token of the mail to the old address, and a new password, since the old one may be in other ' +
        'hands. Every session ends; factors and passkeys that were added after the change are removed, all of them ' +
        'where the old address was not verified; and an account that was deleted with `DELETE /users/me` after it ' +
        'is restored.',
      body: ref(PasswordByLinkSchema),
      response: { 200: ref(EmailRestoredSchema), ...problemResponses('invalid_link', 'email_taken') },
    },
    handler: request => undoEmailChange(deps, originOf(request), request.body),
  })
}

function phoneRoutes(app: App, deps: ContactDeps): void {
  app.route({
    method: 'POST',
    url: '/auth/profile/phone/initiate',
    config: { access: 'self', rateLimit: 'verification', stepUp: 'recent' },
    schema: {
      operationId: 'initiatePhoneChange',
      tags: ['profile'],
      summary: 'Begin to change or verify one’s phone number',
      description: 'Sends a six-digit code to the number by SMS.',
      body: ref(PhoneChangeSchema),
      response: {
        200: ref(PhoneChangeStartedSchema),
        ...problemResponses(
          'phone_unchanged',
          'phone_taken',
          'otp_quota_exceeded',
          'otp_cooldown',
          'sms_unavailable',
        ),
      },
    },
    async handler(request) {
      const started = await initiatePhoneChange(deps, principalOf(request), request.body.phone_number)
      return { ...started, next_step: 'verify_phone_update_otp' as const }
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/profile/phone/complete',
    preValidation: alsoNamed('otp', 'code'),
    config: { access: 'self', rateLimit: 'verification' },
    schema: {
      operationId: 'completePhoneChange',
      tags: ['profile'],
      summary: 'Change or verify one’s phone number',
      description: 'With the code from the number. The other sessions end. Another number is told by mail.',
      body: ref(PhoneChangeProofSchema),
      response: {
        200: ref(PhoneChangedSchema),
        ...problemResponses('invalid_code', 'phone_taken', 'otp_cooldown'),
      },
    },
    async handler(request) {
      const changed = await completePhoneChange(deps, originOf(request), principalOf(request), request.body)
      return {
        phone_number: changed.phone_number,
        phone_verified: true,
        phone_verified_at: changed.phone_verified_at.toISOString(),
      }
    },
  })
}
