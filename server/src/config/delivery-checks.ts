import { type Finding, refuse, type SettingContext, warn } from './setting.ts'

const chosen = (context: SettingContext, name: string): string | undefined =>
  context.text(name)?.trim().toLowerCase()

export const checkEmailProvider = (
  provider: 'resend' | 'smtp' | 'mailbox' | undefined,
  context: SettingContext,
): Finding | undefined => refuseMailbox(provider, context)

export const checkSmsProvider = (
  provider: 'twilio' | 'mailbox' | 'none' | undefined,
  context: SettingContext,
): Finding | undefined => refuseMailbox(provider, context)

const refuseMailbox = (provider: string | undefined, { environment }: SettingContext): Finding | undefined =>
  environment === 'production' && provider === 'mailbox'
    ? refuse('shows every message to everybody, so it is for development only')
    : undefined

export function checkResendKey(key: string | undefined, context: SettingContext): Finding | undefined {
  if (key !== undefined || chosen(context, 'EMAIL_PROVIDER') !== 'resend') return
  return refuse('missing: EMAIL_PROVIDER=resend sends with it')
}

export function checkSmtpUrl(url: string | undefined, context: SettingContext): Finding | undefined {
  const used = chosen(context, 'EMAIL_PROVIDER') === 'smtp'
  if (url === undefined) return used ? refuse('missing: EMAIL_PROVIDER=smtp sends through it') : undefined
  return used ? undefined : warn('has no effect: mail goes through it only with EMAIL_PROVIDER=smtp')
}

/** For each of the three that Twilio needs. */
export const checkTwilio =
  (name: string) =>
  (value: string | undefined, context: SettingContext): Finding | undefined =>
    value === undefined && chosen(context, 'SMS_PROVIDER') === 'twilio'
      ? refuse(`missing: SMS_PROVIDER=twilio needs ${name}`)
      : undefined
