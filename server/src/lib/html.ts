const replacements: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text fit to stand in HTML, as content or as a quoted attribute. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, one => replacements[one] ?? one)

/** A piece of HTML, made by {@link html} alone. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toString(): string {
    return this.text
  }
}

type Part = string | number | Html | null | undefined | false | readonly Part[]

/** A text of our own that is fit for HTML as it is, such as a style sheet. Never something that came from outside. */
export const trusted = (text: string): Html => new Html(text)

/** HTML with every value in it escaped, except pieces that are HTML already; null, undefined and false are nothing. */
export const html = (texts: TemplateStringsArray, ...parts: Part[]): Html =>
  new Html(texts.map((text, i) => (i === 0 ? '' : show(parts[i - 1])) + text).join(''))

function show(part: Part): string {
  if (part === null || part === undefined || part === false) return ''
  if (part instanceof Html) return part.text
  if (typeof part === 'object') return part.map(show).join('')
  return escapeHtml(String(part))
}
