import { readFile } from 'node:fs/promises'
import type { MailData, MailTemplate } from '../templates.ts'
import { createEngine, type Engine } from './liquid.ts'
import { type Overrides, openOverrides } from './overrides.ts'
import { plainHtml, plainText } from './plain.ts'
import { type Brand, type MailView, type Reader, viewMail } from './view.ts'

export type RenderedMail = { subject: string; html: string; text: string }

export type MailRenderer = {
  /**
   * A mail in the reader's language. Of the operator's template, the built-in one and the plain form, the first
   * that works is used; each that does not is reported, and the mail goes out all the same.
   */
  render<Template extends MailTemplate>(
    template: Template,
    data: MailData[Template],
    reader: Reader,
  ): Promise<RenderedMail>
}

export type MailRendererOptions = {
  brand: Brand
  /** Folder of the operator's own templates. */
  templatesDir: string | undefined
  onFailure: (template: string, error: unknown) => void
  /** The built-in page, made from mail.mjml by `npm run generate`. */
  builtIn?: URL
}

export function createMailRenderer(options: MailRendererOptions): MailRenderer {
  const { brand, templatesDir, onFailure, builtIn = new URL('mail.html', import.meta.url) } = options
  const overrides = templatesDir === undefined ? undefined : openOverrides(templatesDir)
  const readBuiltIn = async () => createEngine(await readFile(builtIn, 'utf8'), 'html')
  let page: Promise<Engine> | undefined
  const builtInPage = () => {
    page ??= readBuiltIn().catch(error => {
      page = undefined
      throw error
    })
    return page
  }

  return {
    async render(template, data, reader) {
      const view = viewMail(template, data, brand, reader)
      const attempt = <T>(make: () => Promise<T | undefined>): Promise<T | undefined> =>
        make().catch(error => {
          onFailure(template, error)
          return undefined
        })
      const own = overrides && ownTemplate(overrides, template, reader)
      const text = own && (await attempt(() => own.text(view)))
      const html =
        (own && (await attempt(() => own.html(view)))) ??
        (await attempt(async () => (await builtInPage()).render(view))) ??
        plainHtml(view)
      return { subject: text?.subject ?? view.subject, text: text?.body ?? plainText(view), html }
    },
  }
}

function ownTemplate(overrides: Overrides, template: MailTemplate, { locale }: Reader) {
  const find = (extension: 'mjml' | 'txt') => overrides.find(template, locale, extension)
  return {
    html: async (view: MailView): Promise<string | undefined> => (await find('mjml'))?.render(view),
    async text(view: MailView) {
      const engine = await find('txt')
      return engine && splitSubject(await engine.render(view))
    },
  }
}

/** A text template may begin with `Subject: …`; the rest is the text part. */
function splitSubject(text: string): { subject: string | undefined; body: string } {
  const [, subject, body] = /^subject:[ \t]*(\S[^\n]*)\n\s*([\s\S]*)$/i.exec(text) ?? []
  return { subject: subject?.trim(), body: body ?? text }
}
