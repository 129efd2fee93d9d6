import { ProblemError } from '../http/problems.ts'
import { html } from '../lib/html.ts'
import { meansPhone } from '../lib/phone.ts'
import { originOf } from '../modules/audit/index.ts'
import { login, type SignInResult, signInWithPasskey, toAssertion } from '../modules/auth/index.ts'
import type { Flow } from './cookies.ts'
import { readAssertion } from './credentials.ts'
import type { PagesDeps } from './deps.ts'
import { faultsOf, missing } from './faults.ts'
import { address, ownPath } from './next.ts'
import { expired, formTo, type Outcome, type Page, type Visit } from './page.ts'
import { alert, button, type Faults, field, hiddenField, lead, noFaults, orLine } from './parts.ts'
import { landing, startPageSession } from './start-session.ts'
import { calledName, type Visitor } from './visitor.ts'

/** `/sign-in`: the name first, or a passkey; whoever is signed in chooses whether to go on as that. */
export const namePage = (deps: PagesDeps): Page => ({
  path: '/sign-in',
  async get(visit) {
    const { prompt, next, login_hint } = visit.query
    const visitor = prompt === 'login' ? undefined : await visit.visitor()
    return visitor
      ? chooseAccount(deps, visit, visitor, next)
      : showName(deps, visit, { next, name: login_hint })
  },
  async post(visit, form) {
    const name = form.name?.trim() ?? ''
    if (name === '')
      return {
        ...showName(deps, visit, form, missing('name', visit.say('sign_in.name_needed'))),
        status: 400,
      }
    const flow = deps.cookies.newFlow({
      name: name.slice(0, 254),
      next: ownPath(form.next, deps.publicUrl),
      canMakePasskeys: form.passkeys === '1',
    })
    return {
      redirect: address('/sign-in/password', { flow: flow.id }),
      cookies: [
        reply => deps.cookies.dropOldFlows(visit.request, reply),
        reply => deps.cookies.keepFlow(reply, flow),
      ],
    }
  },
})

function showName(
  deps: PagesDeps,
  { say, language }: Visit,
  given: { name?: string | undefined; next?: string | undefined },
  faults: Faults = noFaults,
): Outcome {
  const next = ownPath(given.next, deps.publicUrl)
  const name = field(
    {
      name: 'name',
      label: say('sign_in.name'),
      autocomplete: 'username webauthn',
      value: given.name,
      autofocus: true,
    },
    faults,
  )
  const register =
    deps.registration === 'open' &&
    html`<p class="below">${say('sign_in.no_account')} <a href="${address('/sign-up', { next })}">${say('sign_in.create_account')}</a></p>\n`
  return {
    title: say('sign_in.title', { brand: deps.look.brandName }),
    scripted: true,
    body: html`${alert(faults)}${formTo('/sign-in', [
      next === undefined ? undefined : hiddenField('next', next),
      html`<input type="hidden" name="passkeys" value="0" data-can-make-passkeys>`,
      name,
      button(say('common.continue')),
    ])}<div data-passkeys hidden>${orLine(language)}${passkeyForm(say, next)}</div>
${register}`,
  }
}

/** Posts what the authenticator answers; the script fills it in, and is what makes it visible. */
const passkeyForm = (say: Visit['say'], next: string | undefined) =>
  formTo('/sign-in/with-passkey', [
    hiddenField('credential', ''),
    next === undefined ? undefined : hiddenField('next', next),
    html`<button class="button plain" type="button" data-passkey="sign-in">${say('sign_in.passkey')}</button>
<p class="wrong" role="alert" hidden data-passkey-failed>${say('sign_in.passkey_failed')}</p>\n`,
  ])

function chooseAccount(deps: PagesDeps, { say }: Visit, visitor: Visitor, next: string | undefined): Outcome {
  const own = ownPath(next, deps.publicUrl)
  const onward = visitor.principal.enrolmentDue
    ? address('/sign-in/enrol', { next: own })
    : landing(deps, own)
  return {
    title: say('account.choose_title'),
    body: html`${lead(say('account.choose_text'))}<ul class="choices">
<li><a class="choice" href="${onward}">${say('account.continue_as', { name: calledName(visitor) })}<small><bdi>${visitor.user.email}</bdi></small></a></li>
<li><a class="choice" href="${address('/sign-in', { prompt: 'login', next: own })}">${say('sign_in.other_account')}</a></li>
</ul>
<p class="below"><a href="/sign-out">${say('common.sign_out')}</a></p>\n`,
  }
}

/** `/sign-in/password`: the same for every name, whether it has an account or not. */
export const passwordPage = (deps: PagesDeps): Page => ({
  path: '/sign-in/password',
  rateLimit: 'login',
  get(visit) {
    const flow = deps.cookies.readFlow(visit.request, visit.query.flow)
    return flow ? showPassword(visit, flow) : expired(visit, '/sign-in')
  },
  async post(visit, form) {
    const flow = deps.cookies.readFlow(visit.request, form.flow)
    if (!flow) return expired(visit, address('/sign-in', { login_hint: form.username }))
    const { password = '' } = form
    if (password === '')
      return {
        ...showPassword(visit, flow, missing('password', visit.say('sign_in.password_needed'))),
        status: 400,
      }
    const device = deps.browserMode.deviceOf(visit.request)
    const input = { ...nameOf(flow.name), password }
    const result = await login(deps, originOf(visit.request), input, device)
    return goOn(deps, visit, flow, result, device)
  },
  failed(visit, form, problem) {
    const flow = deps.cookies.readFlow(visit.request, form.flow)
    if (!flow || problem.status === 429) return undefined
    return showPassword(visit, flow, signInFaults(visit, problem))
  },
})

function signInFaults(visit: Visit, problem: ProblemError): Faults {
  if (problem.code === 'email_not_verified') return missing('', visit.say('sign_in.unverified'))
  if (problem.code === 'invalid_credentials' || problem.code === 'validation_failed')
    return missing('', visit.say('sign_in.wrong'))
  return faultsOf(problem, visit.language)
}

function showPassword({ say, language }: Visit, flow: Flow, faults: Faults = noFaults): Outcome {
  const forgot = html`<a href="${address('/forgot-password', { email: flow.name.includes('@') ? flow.name : undefined })}">${say('sign_in.forgot')}</a>`
  return {
    title: say('sign_in.password_title'),
    scripted: true,
    body: html`<p class="who"><bdi>${flow.name}</bdi> <a href="${address('/sign-in', { prompt: 'login', next: flow.next })}">${say('sign_in.not_you')}</a></p>
${alert(faults)}${formTo('/sign-in/password', [
  hiddenField('flow', flow.id),
  // For password managers, which file a password under the name in its form.
  html`<input class="visually-hidden" name="username" value="${flow.name}" autocomplete="username" tabindex="-1" aria-hidden="true" readonly>`,
  field(
    {
      name: 'password',
      label: say('common.password'),
      type: 'password',
      autocomplete: 'current-password',
      aside: forgot,
      autofocus: true,
    },
    faults,
  ),
  button(say('common.sign_in')),
])}<div data-passkeys hidden>${orLine(language)}${passkeyForm(say, flow.next)}</div>
`,
  }
}

/** What a name is: an address, a phone number, or a username. */
function nameOf(name: string): { email: string } | { phone_number: string } | { username: string } {
  if (name.includes('@')) return { email: name }
  return meansPhone(name) ? { phone_number: name } : { username: name }
}

/** `/sign-in/with-passkey`: what the browser's authenticator answered. */
export const passkeySignIn = (deps: PagesDeps): Page => ({
  path: '/sign-in/with-passkey',
  rateLimit: 'login',
  async post(visit, form) {
    const device = deps.browserMode.deviceOf(visit.request)
    const credential = readAssertion(form.credential)
    const result = await signInWithPasskey(deps, originOf(visit.request), toAssertion(credential), device)
    const flow = deps.cookies.newFlow({
      name: '',
      next: ownPath(form.next, deps.publicUrl),
      canMakePasskeys: false,
    })
    return goOn(deps, visit, flow, result, device)
  },
  failed(visit, form, problem) {
    if (problem.status === 429) return undefined
    return showName(deps, visit, form, missing('', visit.say('sign_in.passkey_failed')))
  },
})

/** Where a sign-in that proved something leads. */
export async function goOn(
  deps: PagesDeps,
  visit: Visit,
  flow: Flow,
  result: SignInResult,
  device: string,
): Promise<Outcome> {
  if (result.state === 'anonymous') {
    throw new ProblemError(result.reason === 'refused' ? 'invalid_credentials' : 'email_not_verified')
  }
  if (result.state === 'second_factor_due') {
    const due: Flow = { ...flow, mfaToken: result.mfaToken, methods: result.methods }
    return {
      redirect: address('/sign-in/second-factor', { flow: due.id }),
      cookies: [reply => deps.cookies.keepFlow(reply, due)],
    }
  }
  return startPageSession(deps, visit, result.session, {
    next: flow.next,
    canMakePasskeys: flow.canMakePasskeys,
    device,
    cookies: [reply => deps.cookies.dropFlow(reply, flow.id)],
  })
}
