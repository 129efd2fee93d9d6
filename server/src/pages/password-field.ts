import { type Html, html } from '../lib/html.ts'
import type { PagesDeps } from './deps.ts'
import type { Visit } from './page.ts'
import { type Faults, field } from './parts.ts'

/** What the script can tell of a rule while the password is typed, as a pattern; the rest is checked by us alone. */
const patterns = { upper: '\\p{Lu}', lower: '\\p{Ll}', digit: '\\p{Nd}' } as const

/** A field for a new password, with the rules below it. Where scripts run they are ticked off as it is typed. */
export function passwordField(
  { passwordPolicy }: Pick<PagesDeps, 'passwordPolicy'>,
  { say }: Visit,
  { name, label }: { name: string; label: string },
  faults: Faults,
): Html {
  const isStandard = passwordPolicy === 'standard'
  const count = isStandard ? 8 : 15
  const composition = isStandard ? (['upper', 'lower', 'digit'] as const) : []
  return html`${field({ name, label, type: 'password', autocomplete: 'new-password' }, faults)}<p class="help visually-hidden" id="${name}-rules">${say('password_rules.heading')}</p>
<ul class="rules" aria-labelledby="${name}-rules" data-rules-of="${name}">
<li data-pattern="^.{${count},}$">${say('password_rules.length', { count })}</li>
${composition.map(rule => html`<li data-pattern="${patterns[rule]}">${say(`password_rules.${rule}`)}</li>\n`)}<li>${say('password_rules.uncommon')}</li>
<li>${say('password_rules.not_own')}</li>
</ul>
`
}
