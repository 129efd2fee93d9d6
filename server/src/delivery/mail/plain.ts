import { escapeHtml } from '../../lib/html.ts'
import type { MailView } from './view.ts'

/** The text part, and what is sent where no template works: the words alone. */
export function plainText(view: MailView): string {
  const { action, code, facts = [], note, brand } = view
  const blocks = [
    view.greeting,
    ...view.paragraphs,
    ...(facts.length > 0 ? [facts.map(({ label, value }) => `${label}: ${value}`).join('\n')] : []),
    ...(action ? [`${action.label}:\n${action.url}`] : []),
    ...(code === undefined ? [] : [`    ${code}`]),
    ...(note === undefined ? [] : [note]),
    `-- \n${brand.name}\n${brand.site}`,
  ]
  return `${blocks.join('\n\n')}\n`
}

/** The same as HTML without any layout. */
export const plainHtml = (view: MailView): string =>
  `<!doctype html>
<html lang="${view.lang}"><head><meta charset="utf-8"><title>${escapeHtml(view.subject)}</title></head>
<body><pre style="font-family: sans-serif; white-space: pre-wrap; overflow-wrap: anywhere;">${withLinks(plainText(view))}</pre></body></html>
`

/** Escaped, with the addresses on lines of their own made links. */
const withLinks = (text: string): string =>
  escapeHtml(text).replace(/^https?:\/\/\S+$/gm, url => `<a href="${url}">${url}</a>`)
