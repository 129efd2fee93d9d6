import { type Html, html } from '../lib/html.ts'
import type { Language } from '../words/catalogue.ts'

/** One line of a form. */
export type Field = {
  name: string
  label: string
  type?: 'email' | 'password' | 'text' | 'tel'
  autocomplete: string
  value?: string | undefined
  help?: string
  /** Beside the label, such as “optional”. */
  aside?: Html | string | undefined
  optional?: boolean
  readonly?: boolean
  /** A one-time code: digits on phones' keyboards. */
  code?: boolean
  autofocus?: boolean
}

/** What is wrong with a form: by the name of a field, and as a whole under `''`. */
export type Faults = ReadonlyMap<string, readonly string[]>

export const noFaults: Faults = new Map()

/** A field with its label above, its help below, and what is wrong with it in words beside it. */
export function field(given: Field, faults: Faults = noFaults): Html {
  const { name, label, type = 'text', autocomplete, value, help, aside } = given
  const wrong = faults.get(name) ?? []
  const described = [help && `${name}-help`, wrong.length > 0 && `${name}-wrong`].filter(Boolean).join(' ')
  return html`<div class="field">
<div class="field-head"><label for="${name}">${label}</label>${aside && html`<span class="aside">${aside}</span>`}</div>
<input id="${name}" name="${name}" type="${type}" autocomplete="${autocomplete}"${
    value !== undefined && html` value="${value}"`
  }${!given.optional && html` required`}${given.readonly && html` readonly`}${
    given.code && html` class="code" inputmode="numeric"`
  }${type === 'password' || given.code ? html` maxlength="200"` : html` maxlength="254"`}${
    type !== 'password' && html` autocapitalize="none" spellcheck="false"`
  }${given.autofocus && html` autofocus`}${wrong.length > 0 && html` aria-invalid="true"`}${
    described !== '' && html` aria-describedby="${described}"`
  }>
${help && html`<p class="help" id="${name}-help">${help}</p>\n`}${
  wrong.length > 0 && html`<p class="wrong" id="${name}-wrong">${wrong.join(' ')}</p>\n`
}</div>
`
}

export const hiddenField = (name: string, value: string): Html =>
  html`<input type="hidden" name="${name}" value="${value}">`

export const button = (label: string, kind: 'main' | 'plain' = 'main'): Html =>
  html`<button class="button${kind === 'plain' && ' plain'}" type="submit">${label}</button>\n`

export const buttonLink = (href: string, label: string, kind: 'main' | 'plain' = 'main'): Html =>
  html`<a class="button${kind === 'plain' && ' plain'}" href="${href}">${label}</a>\n`

export const lead = (text: string | Html): Html => html`<p class="lead">${text}</p>\n`

/** What is wrong with the form as a whole. */
export function alert(faults: Faults): Html | undefined {
  const texts = faults.get('')
  return texts && texts.length > 0
    ? html`<p class="notice bad" role="alert">${texts.join(' ')}</p>\n`
    : undefined
}

export const goodNews = (text: string): Html => html`<p class="notice good" role="status">${text}</p>\n`

export const orLine = ({ say }: Language): Html => html`<div class="or">${say('sign_in.or')}</div>\n`
