import type { Config } from '../../config.ts'
import { isLoopback } from '../../lib/loopback.ts'
import type { MailProvider, SmsProvider } from './provider.ts'
import { createResendProvider } from './resend.ts'
import { createSmtpProvider } from './smtp.ts'
import { createTwilioProvider } from './twilio.ts'

/** What sends messages; undefined where nothing does, as with the mailbox. */
export type Providers = { email: MailProvider | undefined; sms: SmsProvider | undefined }

/** The providers that the configuration names. */
export const createProviders = (config: Config): Providers => ({
  email: mailProvider(config),
  sms: smsProvider(config),
})

/** Where Twilio reports what became of a message. */
export const statusPath = '/twilio/sms/status'

function mailProvider(config: Config): MailProvider | undefined {
  const { emailProvider, resendApiKey, smtpUrl, mailFrom, brandName } = config
  const from = { name: mailFrom.name ?? brandName, address: mailFrom.address }
  if (emailProvider === 'resend' && resendApiKey !== undefined) {
    return createResendProvider({ apiKey: resendApiKey, from })
  }
  if (emailProvider === 'smtp' && smtpUrl !== undefined) {
    const requireTls = config.environment === 'production' && !isLoopback(new URL(smtpUrl).hostname)
    return createSmtpProvider({ url: smtpUrl, from, requireTls })
  }
  return undefined
}

function smsProvider(config: Config): SmsProvider | undefined {
  const { smsProvider: provider, twilioAccountSid, twilioAuthToken, twilioFrom, publicUrl } = config
  const complete = twilioAccountSid !== undefined && twilioAuthToken !== undefined && twilioFrom !== undefined
  if (provider !== 'twilio' || !complete) return undefined
  return createTwilioProvider({
    accountSid: twilioAccountSid,
    authToken: twilioAuthToken,
    from: twilioFrom,
    statusUrl: publicUrl + statusPath,
  })
}
