import { days, hours, minutes } from '../lib/clock.ts'

/** A moment, as a Date or in ISO 8601. */
type Moment = Date | string

/**
 * What each mail needs to know. `name` is what the person is called, as far as known; it, `device` and
 * `inviter` come from people and may hold anything. Links are complete URLs.
 */
export type MailData = {
  /** Without `code` while an address is closed to codes. */
  verify_email: { name?: string | null; code?: string; link: string }
  password_reset: { name?: string | null; link: string }
  email_change_code: { name?: string | null; code: string }
  email_changed: { name?: string | null; new_email_masked: string; undo_link: string }
  new_device: { name?: string | null; device: string; ip: string; at: Moment }
  password_changed: { name?: string | null; at: Moment }
  refresh_token_reused: { name?: string | null; at: Moment }
  account_deleted: { name?: string | null; restore_link: string; erase_at: Moment }
  invitation: { name?: string | null; link: string; inviter?: string | null }
  /** `link`: to a password reset. */
  address_already_registered: { name?: string | null; link: string }
  username_changed: { name?: string | null; new_username: string }
  phone_changed: { name?: string | null; new_phone_masked: string; at: Moment }
  mfa_code: { name?: string | null; code: string }
  /** `what`: what happened to which second factor. */
  mfa_changed: { name?: string | null; what: MfaChange }
}

export type MfaChange =
  | 'totp_added'
  | 'totp_removed'
  | 'sms_added'
  | 'sms_removed'
  | 'email_added'
  | 'email_removed'
  | 'passkey_added'
  | 'passkey_removed'
  | 'all_removed'
  | 'all_handed_over'
  | 'newer_removed'
  | 'recovery_codes_created'
  | 'recovery_code_used'

/** What each text message needs to know. `custom` is what an operator writes. */
export type SmsData = {
  phone_code: { code: string }
  mfa_code: { code: string }
  custom: { text: string }
}

export type MailTemplate = keyof MailData
export type SmsTemplate = keyof SmsData

/** What a message is about: the purpose of its code or link (as in one-time codes), or its occasion. */
type TemplateFacts = { purpose: string; usefulFor: number }

/**
 * Of each template: the purpose that the mailbox shows, and the milliseconds after which it is not worth
 * sending any more, because its code or link no longer works or its news is old.
 */
export const mailTemplates: Readonly<Record<MailTemplate, TemplateFacts>> = {
  verify_email: { purpose: 'EMAIL_VERIFICATION', usefulFor: hours(24) },
  password_reset: { purpose: 'PASSWORD_RESET', usefulFor: hours(1) },
  email_change_code: { purpose: 'EMAIL_UPDATE', usefulFor: minutes(10) },
  email_changed: { purpose: 'EMAIL_UNDO', usefulFor: hours(72) },
  new_device: { purpose: 'NEW_DEVICE', usefulFor: days(3) },
  password_changed: { purpose: 'PASSWORD_CHANGED', usefulFor: days(3) },
  refresh_token_reused: { purpose: 'REFRESH_TOKEN_REUSED', usefulFor: days(3) },
  account_deleted: { purpose: 'ACCOUNT_RESTORE', usefulFor: days(30) },
  invitation: { purpose: 'INVITATION', usefulFor: days(7) },
  address_already_registered: { purpose: 'ADDRESS_ALREADY_REGISTERED', usefulFor: hours(1) },
  username_changed: { purpose: 'USERNAME_CHANGED', usefulFor: days(3) },
  phone_changed: { purpose: 'PHONE_CHANGED', usefulFor: days(3) },
  mfa_code: { purpose: 'MFA_EMAIL', usefulFor: minutes(10) },
  mfa_changed: { purpose: 'MFA_CHANGED', usefulFor: days(3) },
}

export const smsTemplates: Readonly<Record<SmsTemplate, TemplateFacts>> = {
  phone_code: { purpose: 'PHONE_VERIFICATION', usefulFor: minutes(10) },
  mfa_code: { purpose: 'MFA_SMS', usefulFor: minutes(10) },
  custom: { purpose: 'CUSTOM', usefulFor: days(1) },
}
