export { createDelivery, type Delivery } from './delivery.ts'
export type { MailMessage, Outbound, SmsMessage } from './outbound.ts'
export type { MailData, MailTemplate, MfaChange, SmsData, SmsTemplate } from './templates.ts'
