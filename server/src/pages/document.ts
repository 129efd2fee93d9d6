import { type Html, html, trusted } from '../lib/html.ts'
import type { Language } from '../words/catalogue.ts'
import type { Look } from './look.ts'

/** What a page shows. */
export type Shown = {
  title: string
  body: Html
  status?: number
  headers?: Readonly<Record<string, string>>
  /** Loads the script. */
  scripted?: boolean
}

/** A whole page: one reply, with its style in it. */
export const renderDocument = (look: Look, language: Language, { title, body, scripted }: Shown): string =>
  html`<!doctype html>
<html lang="${language.tag}" dir="${language.direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>${title} – ${look.brandName}</title>
<link rel="icon" href="${look.icon}">
<style>${trusted(look.style)}</style>
${scripted && html`<script src="${look.script.path}" integrity="${look.script.integrity}" defer></script>\n`}</head>
<body>
<main>
<p class="brand">${brandOf(look)}</p>
<h1>${title}</h1>
${body}
</main>
${footerOf(look, language)}</body>
</html>
`.toString()

const brandOf = ({ brandName, logo }: Look): Html | string =>
  logo ? html`<img src="${logo.src}" alt="${brandName}" height="44">` : brandName

function footerOf({ links }: Look, { say }: Language): Html | undefined {
  const { terms, privacy, support } = links
  if (!terms && !privacy && !support) return undefined
  return html`<footer>${terms && html`<a href="${terms}">${say('common.terms')}</a>`}${
    privacy && html`<a href="${privacy}">${say('common.privacy')}</a>`
  }${support && html`<a href="mailto:${support}">${say('common.help')}</a>`}</footer>\n`
}
