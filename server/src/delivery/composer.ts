import type { ContentSeal } from './content-seal.ts'
import type { MailRenderer, RenderedMail } from './mail/render.ts'
import { type Brand, contextFor, languageOf } from './mail/view.ts'
import {
  type MailData,
  type MailTemplate,
  mailTemplates,
  type SmsData,
  type SmsTemplate,
  smsTemplates,
} from './templates.ts'

/** A stored message, as far as its words depend on it. */
export type Stored = {
  id: string
  template: string
  locale: string | null
  timezone: string | null
  content: Buffer | null
}

/** Makes words of a stored message. */
export type Composer = {
  mail(message: Stored): Promise<RenderedMail>
  text(message: Stored): string
  /** What a person would read out of it, and what it is for. */
  facts(message: Stored): { purpose: string; code: string | null; link: string | null }
}

export function createComposer(deps: { seal: ContentSeal; renderer: MailRenderer; brand: Brand }): Composer {
  const { seal, renderer, brand } = deps

  function open(message: Stored): object {
    if (message.content === null) throw new Error('its content is gone')
    const data = seal.open(message.id, message.content)
    if (typeof data !== 'object' || data === null) throw new Error('its content is no object')
    return data
  }

  return {
    async mail(message) {
      const template = known(mailTemplates, message.template)
      // Sealed by this service under the template's name: the seal vouches for the shape.
      return renderer.render(template, open(message) as MailData[MailTemplate], message)
    },
    text(message) {
      const template = known(smsTemplates, message.template)
      const { words } = languageOf(message.locale)
      // As above; the words of one template take the data of that template, which TypeScript can't follow.
      const say = words.texts[template] as (data: SmsData[SmsTemplate], context: object) => string
      return say(open(message) as SmsData[SmsTemplate], contextFor(brand, message))
    },
    facts(message) {
      const { purpose } = { ...mailTemplates, ...smsTemplates }[known(allTemplates, message.template)]
      const data = new Map(Object.entries(open(message)))
      const text = (key: string) => (typeof data.get(key) === 'string' ? String(data.get(key)) : null)
      return { purpose, code: text('code'), link: text('link') ?? text('undo_link') ?? text('restore_link') }
    },
  }
}

const allTemplates = { ...mailTemplates, ...smsTemplates }

function known<Name extends string>(table: Readonly<Record<Name, unknown>>, name: string): Name {
  if (!Object.hasOwn(table, name)) throw new Error(`there is no template ${name}`)
  return name as Name // a key of the table, as the line above has seen
}
