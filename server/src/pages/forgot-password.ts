import { html } from '../lib/html.ts'
import { originOf } from '../modules/audit/index.ts'
import { requestPasswordReset } from '../modules/auth/index.ts'
import type { PagesDeps } from './deps.ts'
import { faultsOf, missing } from './faults.ts'
import { address } from './next.ts'
import { formTo, type Outcome, type Page, type Visit } from './page.ts'
import { alert, button, buttonLink, type Faults, field, lead, noFaults } from './parts.ts'

/** `/forgot-password`: says the same of every address. */
export const forgotPasswordPage = (deps: PagesDeps): Page => ({
  path: '/forgot-password',
  rateLimit: 'password',
  get: visit => (visit.query.sent === undefined ? showForm(visit, visit.query.email) : showSent(visit)),
  async post(visit, form) {
    const email = form.email?.trim() ?? ''
    if (email === '')
      return { ...showForm(visit, email, missing('email', visit.say('errors.email'))), status: 400 }
    await requestPasswordReset(deps, originOf(visit.request), email)
    return { redirect: address('/forgot-password', { sent: email }) }
  },
  failed: (visit, form, problem) =>
    problem.status === 429 ? undefined : showForm(visit, form.email, faultsOf(problem, visit.language)),
})

function showForm({ say }: Visit, email: string | undefined, faults: Faults = noFaults): Outcome {
  return {
    title: say('forgot.title'),
    body: html`${lead(say('forgot.text'))}${alert(faults)}${formTo('/forgot-password', [
      field(
        {
          name: 'email',
          label: say('common.email'),
          type: 'email',
          autocomplete: 'username',
          value: email,
          autofocus: true,
        },
        faults,
      ),
      button(say('forgot.send')),
    ])}<p class="below"><a href="/sign-in">${say('forgot.back')}</a></p>\n`,
  }
}

const showSent = ({ say, query }: Visit): Outcome => ({
  title: say('forgot.sent_title'),
  body: html`${lead(say('forgot.sent', { email: query.sent?.slice(0, 254) ?? '' }))}${buttonLink('/sign-in', say('forgot.back'), 'plain')}`,
})
