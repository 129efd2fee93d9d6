import { type Html, html } from '../../../lib/html.ts'

export type Field = {
  name: string
  label: string
  type: 'email' | 'password' | 'text'
  autocomplete: string
  value?: string
}

export type Page = {
  brandName: string
  title: string
  text: string
  /** What is wrong with the last attempt. */
  errors?: readonly string[]
  form?: {
    action: string
    /** Sent along unseen: the token of the link. */
    hidden: Readonly<Record<string, string>>
    fields: readonly Field[]
    button: string
  }
}

/** A whole page: no script, one style sheet, and one form at most. */
export const renderPage = ({ brandName, title, text, errors = [], form }: Page): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} – ${brandName}</title>
<link rel="stylesheet" href="/pages/page.css">
</head>
<body>
<main>
<p class="brand">${brandName}</p>
<h1>${title}</h1>
<p>${text}</p>
${errors.length > 0 && html`<ul class="errors" role="alert">${errors.map(error => html`<li>${error}</li>`)}</ul>\n`}${form && renderForm(form)}</main>
</body>
</html>
`.toString()

const renderForm = ({ action, hidden, fields, button }: NonNullable<Page['form']>): Html =>
  html`<form method="post" action="${action}">
${Object.entries(hidden).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}${fields.map(renderField)}
<button type="submit">${button}</button>
</form>
`

const renderField = ({ name, label, type, autocomplete, value }: Field): Html =>
  html`<label>${label}<input name="${name}" type="${type}" autocomplete="${autocomplete}" required${
    value !== undefined && html` value="${value}"`
  }></label>`
