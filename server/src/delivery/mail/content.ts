import type { MailData, MailTemplate, SmsData, SmsTemplate } from '../templates.ts'

/** What a mail says, in words of one language and without any layout. Everything is plain text. */
export type MailContent = {
  subject: string
  /** Shown beside the subject in a list of mails. */
  preview: string
  heading: string
  paragraphs: readonly string[]
  /** To be read out and typed. */
  code?: string
  action?: { label: string; url: string }
  facts?: readonly { label: string; value: string }[]
  /** Smaller, below. */
  note?: string
}

/** What the words may refer to besides a mail's own data. */
export type Context = {
  brand: string
  /** The service's address. */
  site: string
  /** A moment as people of the language write it, in the reader's time zone. */
  when(moment: Date | string): string
}

type Words<Data, Template extends keyof Data, Result> = {
  readonly [T in Template]: (data: Data[T], context: Context) => Result
}

/** One language. A template without words is a compile error. */
export type Language = {
  /** Of somebody who may have no name. */
  greeting(name: string | undefined): string
  /** Stands above the address behind a button. */
  linkHint: string
  footer(context: Context): string
  mails: Words<MailData, MailTemplate, MailContent>
  texts: Words<SmsData, SmsTemplate, string>
}
