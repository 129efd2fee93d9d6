import type { ProblemError } from '../http/problems.ts'
import { type Html, html } from '../lib/html.ts'
import { emailKey } from '../lib/text.ts'
import { originOf } from '../modules/audit/index.ts'
import {
  login,
  register,
  requestOwnVerification,
  requestVerification,
  verifyEmail,
} from '../modules/auth/index.ts'
import type { PagesDeps } from './deps.ts'
import { faultsOf, missing } from './faults.ts'
import { address, ownPath } from './next.ts'
import { type Form, formTo, type Outcome, type Page, type Visit } from './page.ts'
import {
  alert,
  button,
  buttonLink,
  type Faults,
  field,
  goodNews,
  hiddenField,
  lead,
  noFaults,
} from './parts.ts'
import { passwordField } from './password-field.ts'
import { landing, startPageSession } from './start-session.ts'

/** `/sign-up`: an account, and at once a session with it, where an address need not be proved before. */
export const signUpPage = (deps: PagesDeps): Page => ({
  path: '/sign-up',
  rateLimit: 'register',
  get: visit => (deps.registration === 'closed' ? closed(deps, visit) : showForm(deps, visit, visit.query)),
  async post(visit, form) {
    if (deps.registration === 'closed') return closed(deps, visit)
    const { email = '', password = '', full_name = '', username = '' } = form
    const lacking = lackingFields(visit, form)
    if (lacking.size > 0) return { ...showForm(deps, visit, form, lacking), status: 400 }
    const id = await register(deps, originOf(visit.request), undefined, {
      email,
      password,
      ...(full_name.trim() !== '' && { full_name }),
      ...(username.trim() !== '' && { username }),
    })
    const next = ownPath(form.next, deps.publicUrl)
    const waiting = address('/check-mail', { email, next })
    if (id === undefined || deps.requireVerifiedEmail) return { redirect: waiting }
    return signInNew(deps, visit, { email, password, next: waiting, canMakePasskeys: false })
  },
  failed: (visit, form, problem) =>
    problem.code === 'registration_closed'
      ? closed(deps, visit)
      : problem.status === 429
        ? undefined
        : showForm(deps, visit, form, faultsOf(problem, visit.language)),
})

async function signInNew(
  deps: PagesDeps,
  visit: Visit,
  given: { email: string; password: string; next: string; canMakePasskeys: boolean },
): Promise<Outcome> {
  const device = deps.browserMode.deviceOf(visit.request)
  const { email, password } = given
  const result = await login(deps, originOf(visit.request), { email, password }, device)
  if (!('session' in result)) return { redirect: given.next }
  return startPageSession(deps, visit, result.session, { ...given, device })
}

function lackingFields({ say }: Visit, form: Form): Faults {
  const needed = ['email', 'password'] as const
  return new Map(
    needed.filter(name => !form[name]?.trim()).map(name => [name, [say('errors.required')]] as const),
  )
}

function showForm(deps: PagesDeps, visit: Visit, form: Form, faults: Faults = noFaults): Outcome {
  const { say } = visit
  const next = ownPath(form.next, deps.publicUrl)
  return {
    title: say('sign_up.title', { brand: deps.look.brandName }),
    scripted: true,
    body: html`${alert(faults)}${formTo('/sign-up', [
      next === undefined ? undefined : hiddenField('next', next),
      field(
        {
          name: 'full_name',
          label: say('common.full_name'),
          autocomplete: 'name',
          value: form.full_name,
          aside: say('common.optional'),
          optional: true,
        },
        faults,
      ),
      field(
        {
          name: 'email',
          label: say('common.email'),
          type: 'email',
          autocomplete: 'username',
          value: form.email,
          help: say('sign_up.email_help'),
        },
        faults,
      ),
      passwordField(deps, visit, { name: 'password', label: say('common.password') }, faults),
      agreement(deps, visit),
      button(say('sign_up.create')),
    ])}<p class="below">${say('sign_up.have_account')} <a href="${address('/sign-in', { next })}">${say('common.sign_in')}</a></p>\n`,
  }
}

function agreement({ look }: PagesDeps, { say }: Visit): Html | undefined {
  const { terms } = look.links
  if (terms === undefined) return undefined
  // The link stands where the language puts it.
  const [before = '', after = ''] = say('sign_up.agree', { terms: '\u0000' }).split('\u0000')
  return html`<p class="help">${before}<a href="${terms}">${say('common.terms')}</a>${after}</p>\n`
}

const closed = ({ look }: PagesDeps, { say }: Visit): Outcome => ({
  status: 403,
  title: say('sign_up.closed_title'),
  body: html`${lead(say('sign_up.closed', { brand: look.brandName }))}${buttonLink('/sign-in', say('common.sign_in'))}`,
})

/** `/check-mail`: after registering, whether or not the address was taken; takes the code of the mail. */
export const checkMailPage = (deps: PagesDeps): Page => ({
  path: '/check-mail',
  rateLimit: 'verification',
  get: visit => showCheckMail(deps, visit, visit.query, noFaults),
  async post(visit, form) {
    const email = form.email ?? ''
    const next = ownPath(form.next, deps.publicUrl)
    const visitor = await visit.visitor()
    // Whoever is signed in with another account proves this address as nobody.
    const owner = visitor && emailKey(visitor.user.email) === emailKey(email) ? visitor.principal : undefined
    if (form.again === '1') {
      if (owner) await requestOwnVerification(deps, owner.userId)
      else await requestVerification(deps, email)
      return { redirect: address('/check-mail', { email, next, again: '1' }) }
    }
    if (!form.code?.trim()) {
      const faults = missing('code', visit.say('second_factor.code_needed'))
      return { ...(await showCheckMail(deps, visit, form, faults)), status: 400 }
    }
    await verifyEmail(deps, originOf(visit.request, owner), owner, { code: form.code, email })
    return { redirect: address('/address-confirmed', { next }) }
  },
  failed: (visit, form, problem) => showCheckMail(deps, visit, form, codeFaults(visit, problem)),
})

function codeFaults(visit: Visit, problem: ProblemError): Faults {
  if (problem.code === 'invalid_code') return missing('code', visit.say('check_mail.wrong'))
  return faultsOf(problem, visit.language)
}

async function showCheckMail(
  deps: PagesDeps,
  visit: Visit,
  { email = '', next, again }: Form,
  faults: Faults,
): Promise<Outcome & { title: string; body: Html }> {
  const { say } = visit
  const visitor = await visit.visitor()
  const own = ownPath(next, deps.publicUrl)
  const which = [hiddenField('email', email), own === undefined ? undefined : hiddenField('next', own)]
  const onward = visitor && buttonLink(landing(deps, own), say('check_mail.later'), 'plain')
  return {
    title: say('check_mail.title'),
    body: html`${lead(say('check_mail.text', { email }))}${again === '1' && goodNews(say('check_mail.sent_again'))}${alert(faults)}${formTo(
      '/check-mail',
      [
        ...which,
        field(
          {
            name: 'code',
            label: say('common.code'),
            autocomplete: 'one-time-code',
            code: true,
            autofocus: true,
          },
          faults,
        ),
        button(say('check_mail.confirm')),
      ],
    )}${onward}${formTo('/check-mail', [
      ...which,
      hiddenField('again', '1'),
      html`<p class="below"><button class="link" type="submit">${say('check_mail.again')}</button></p>`,
    ])}`,
  }
}

/** `/address-confirmed`: says so, and leads on. */
export const addressConfirmedPage = (deps: PagesDeps): Page => ({
  path: '/address-confirmed',
  async get(visit) {
    const { say, query } = visit
    const next = ownPath(query.next, deps.publicUrl)
    const onward = (await visit.visitor())
      ? buttonLink(landing(deps, next), say('common.continue'))
      : buttonLink(address('/sign-in', { next }), say('common.sign_in'))
    return { title: say('check_mail.done_title'), body: html`${lead(say('links.verify_done'))}${onward}` }
  },
})
