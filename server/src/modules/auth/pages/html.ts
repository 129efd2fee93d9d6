const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Text that nothing in it can make more than text, in an element or a quoted attribute. */
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, char => entities[char] ?? '')

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
export const renderPage = (page: Page): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(page.title)} – ${escapeHtml(page.brandName)}</title>
<link rel="stylesheet" href="/pages/page.css">
</head>
<body>
<main>
<p class="brand">${escapeHtml(page.brandName)}</p>
<h1>${escapeHtml(page.title)}</h1>
<p>${escapeHtml(page.text)}</p>
${renderErrors(page.errors ?? [])}${page.form ? renderForm(page.form) : ''}</main>
</body>
</html>
`

const renderErrors = (errors: readonly string[]): string =>
  errors.length === 0
    ? ''
    : `<ul class="errors" role="alert">${errors.map(error => `<li>${escapeHtml(error)}</li>`).join('')}</ul>\n`

function renderForm({ action, hidden, fields, button }: NonNullable<Page['form']>): string {
  const unseen = Object.entries(hidden).map(
    ([name, value]) => `<input type="hidden" name="${name}" value="${escapeHtml(value)}">`,
  )
  return `<form method="post" action="${action}">
${unseen.join('')}${fields.map(renderField).join('')}
<button type="submit">${escapeHtml(button)}</button>
</form>
`
}

const renderField = ({ name, label, type, autocomplete, value }: Field): string =>
  `<label>${escapeHtml(label)}<input name="${name}" type="${type}" autocomplete="${autocomplete}" required${
    value === undefined ? '' : ` value="${escapeHtml(value)}"`
  }></label>`
