import { html } from '../lib/html.ts'
import { hasAdministrator } from '../modules/access/index.ts'
import { originOf } from '../modules/audit/index.ts'
import { setUpAdministrator } from '../modules/auth/index.ts'
import type { PagesDeps } from './deps.ts'
import { faultsOf } from './faults.ts'
import { address } from './next.ts'
import { type Form, formTo, type Outcome, type Page, type Visit } from './page.ts'
import { alert, button, buttonLink, type Faults, field, hiddenField, lead, noFaults } from './parts.ts'
import { passwordField } from './password-field.ts'

/** `/setup`: the first administrator, once, for whoever has the code that the service printed. */
export const setupPage = (deps: PagesDeps): Page => ({
  path: '/setup',
  rateLimit: 'setup',
  anyOrigin: true,
  get: async visit =>
    (await hasAdministrator(deps.store.db)) ? over(visit) : show(deps, visit, visit.query),
  async post(visit, form) {
    const { code = '', email = '', password = '' } = form
    await setUpAdministrator(deps, originOf(visit.request), code, { email, password })
    return { redirect: address('/setup/done', { email }) }
  },
  failed: (visit, form, problem) =>
    problem.code === 'setup_unavailable'
      ? over(visit)
      : problem.status === 429
        ? undefined
        : show(deps, visit, form, faultsOf(problem, visit.language)),
})

/** `/setup/done` */
export const setupDonePage = (): Page => ({
  path: '/setup/done',
  get: ({ say, query }) => ({
    title: say('links.setup_done_title'),
    body: html`${lead(say('links.setup_done'))}${buttonLink(address('/sign-in', { login_hint: query.email }), say('common.sign_in'))}`,
  }),
})

function show(deps: PagesDeps, visit: Visit, form: Form, faults: Faults = noFaults): Outcome {
  const { say } = visit
  const code =
    form.code && !faults.has('code')
      ? hiddenField('code', form.code)
      : field({ name: 'code', label: say('links.setup_code'), autocomplete: 'off', value: form.code }, faults)
  return {
    title: say('links.setup_title'),
    scripted: true,
    body: html`${lead(say('links.setup_text'))}${alert(faults)}${formTo('/setup', [
      code,
      field(
        {
          name: 'email',
          label: say('common.email'),
          type: 'email',
          autocomplete: 'username',
          value: form.email,
        },
        faults,
      ),
      passwordField(deps, visit, { name: 'password', label: say('common.password') }, faults),
      button(say('links.setup_button')),
    ])}`,
  }
}

const over = ({ say }: Visit): Outcome => ({
  status: 409,
  title: say('links.setup_over_title'),
  body: html`${lead(say('links.setup_over'))}${buttonLink('/sign-in', say('common.sign_in'))}`,
})
