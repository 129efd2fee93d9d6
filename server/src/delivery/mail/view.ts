import type { MailData, MailTemplate } from '../templates.ts'
import type { Context, Language, MailContent } from './content.ts'
import { english } from './english.ts'
import { german } from './german.ts'
import { inertData, sayableName } from './inert.ts'

const languages: ReadonlyMap<string, Language> = new Map([
  ['en', english],
  ['de', german],
])

/** How mails look and whom they are from. */
export type Brand = { name: string; logoUrl: string | undefined; color: string; site: string }

/** For whom a message is: language and time zone, as far as known. */
export type Reader = { locale: string | null; timezone: string | null }

/** What a template can refer to. All of it is plain text; templates escape it. */
export type MailView = Omit<MailContent, 'paragraphs'> & {
  lang: string
  greeting: string
  paragraphs: readonly string[]
  link_hint: string
  footer: string
  brand: { name: string; logo_url: string | undefined; color: string; on_color: string; site: string }
  /** The message's own data, for templates that say it in their own words. */
  data: object
}

/** Everything that a mail says, in the reader's language or else in English. */
export function viewMail<Template extends MailTemplate>(
  template: Template,
  data: MailData[Template],
  brand: Brand,
  reader: Reader,
): MailView {
  const { lang, words } = languageOf(reader.locale)
  const inert = inertData(data)
  const context = contextFor(brand, reader)
  const content: MailContent = words.mails[template](inert, context)
  return {
    ...content,
    lang,
    greeting: words.greeting(sayableName(data.name)),
    link_hint: words.linkHint,
    footer: words.footer(context),
    brand: {
      name: brand.name,
      logo_url: brand.logoUrl,
      color: brand.color,
      on_color: readableOn(brand.color),
      site: brand.site,
    },
    data: inert,
  }
}

/** The words of a language, by BCP 47 tag: `de-AT` is German; what we do not speak is English. */
export function languageOf(locale: string | null): { lang: string; words: Language } {
  const lang = locale?.split('-', 1)[0]?.toLowerCase() ?? ''
  const words = languages.get(lang)
  return words ? { lang, words } : { lang: 'en', words: english }
}

export function contextFor(brand: Pick<Brand, 'name' | 'site'>, { locale, timezone }: Reader): Context {
  const { lang } = languageOf(locale)
  const options = {
    year: 'numeric',
    month: 'long',
    day: 'numeric',
    hour: 'numeric',
    minute: '2-digit',
    timeZoneName: 'short',
    timeZone: timezone ?? 'UTC',
  } as const
  // The region matters: 1 March and March 1 are both English.
  const format = new Intl.DateTimeFormat(locale?.startsWith(lang) ? locale : lang, options)
  return {
    brand: brand.name,
    site: brand.site,
    when: moment => format.format(new Date(moment)),
  }
}

/** Black or white, whichever has more contrast with a colour `#rrggbb` (WCAG 2.2, relative luminance). */
export function readableOn(color: string): '#ffffff' | '#16181d' {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map(at => {
    const part = Number.parseInt(color.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
  return 1.05 / (luminance + 0.05) >= 4.5 || luminance < 0.18 ? '#ffffff' : '#16181d'
}
