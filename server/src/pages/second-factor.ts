import type { ProblemError } from '../http/problems.ts'
import { type Html, html } from '../lib/html.ts'
import { originOf } from '../modules/audit/index.ts'
import {
  challengeSecondFactor,
  type GivenProof,
  type ProofMethod,
  verifySecondFactor,
} from '../modules/auth/index.ts'
import type { Flow } from './cookies.ts'
import { readAssertion } from './credentials.ts'
import type { PagesDeps } from './deps.ts'
import { faultsOf, missing } from './faults.ts'
import { address } from './next.ts'
import { expired, type Form, formTo, type Outcome, type Page, type Visit } from './page.ts'
import { alert, button, type Faults, field, hiddenField, lead, noFaults } from './parts.ts'
import { goOn } from './sign-in.ts'

/** The ways to prove a second factor, the handiest first. */
const order = ['passkey', 'totp', 'sms', 'email', 'password', 'recovery_code'] as const

/** A sign-in that waits for its second factor. */
type Waiting = Flow & { mfaToken: string; methods: string[] }

/** `/sign-in/second-factor`: one way at a time, and the others below. */
export const secondFactorPage = (deps: PagesDeps): Page => ({
  path: '/sign-in/second-factor',
  rateLimit: 'mfa',
  async get(visit) {
    const flow = waitingFlow(deps, visit, visit.query.flow)
    if (!flow) return expired(visit, '/sign-in')
    return show(deps, visit, flow, methodIn(flow, visit.query.method), {
      wasSent: visit.query.sent === '1',
    })
  },
  async post(visit, form) {
    const flow = waitingFlow(deps, visit, form.flow)
    if (!flow) return expired(visit, '/sign-in')
    const method = methodIn(flow, form.method)
    const given = readGiven(method, form)
    if (given === undefined) {
      const faults = missing(
        method === 'password' ? 'password' : 'code',
        visit.say('second_factor.code_needed'),
      )
      return { ...(await show(deps, visit, flow, method, { faults, wasSent: true })), status: 400 }
    }
    const device = deps.browserMode.deviceOf(visit.request)
    const result = await verifySecondFactor(deps, originOf(visit.request), flow.mfaToken, given, device)
    return goOn(deps, visit, flow, result, device)
  },
  async failed(visit, form, problem) {
    const flow = waitingFlow(deps, visit, form.flow)
    if (!flow || problem.code === 'invalid_mfa_token') return expired(visit, '/sign-in')
    if (problem.status === 429 && problem.code !== 'otp_cooldown') return undefined
    const faults = faultsOfGuess(visit, problem)
    return show(deps, visit, flow, methodIn(flow, form.method), { faults, wasSent: true })
  },
})

/** `/sign-in/second-factor/send`: sends a code, so that opening the page sends none. */
export const sendCodePage = (deps: PagesDeps): Page => ({
  path: '/sign-in/second-factor/send',
  rateLimit: 'mfa',
  async post(visit, form) {
    const flow = waitingFlow(deps, visit, form.flow)
    if (!flow) return expired(visit, '/sign-in')
    const method = methodIn(flow, form.method)
    await challengeSecondFactor(deps, flow.mfaToken, method)
    return { redirect: address('/sign-in/second-factor', { flow: flow.id, method, sent: '1' }) }
  },
  async failed(visit, form, problem) {
    const flow = waitingFlow(deps, visit, form.flow)
    if (!flow || problem.code === 'invalid_mfa_token') return expired(visit, '/sign-in')
    const faults = faultsOf(problem, visit.language)
    return show(deps, visit, flow, methodIn(flow, form.method), { faults, wasSent: false })
  },
})

function waitingFlow(deps: PagesDeps, visit: Visit, id: string | undefined): Waiting | undefined {
  const flow = deps.cookies.readFlow(visit.request, id)
  return flow?.mfaToken !== undefined && flow.methods !== undefined
    ? { ...flow, mfaToken: flow.mfaToken, methods: flow.methods }
    : undefined
}

/** The way that was asked for, where it is one of theirs; else the handiest that they have. */
function methodIn({ methods }: Waiting, asked: string | undefined): ProofMethod {
  const theirs = order.filter(method => methods.includes(method))
  return theirs.find(method => method === asked) ?? theirs[0] ?? 'recovery_code'
}

function readGiven(method: ProofMethod, form: Form): GivenProof | undefined {
  if (method === 'passkey') return { method, credential: readAssertion(form.credential) }
  if (method === 'password') return form.password ? { method, password: form.password } : undefined
  return form.code?.trim() ? { method, code: form.code } : undefined
}

function faultsOfGuess(visit: Visit, problem: ProblemError): Faults {
  const isWrong = problem.code === 'invalid_mfa_code' || problem.code === 'invalid_credentials'
  return isWrong ? missing('', visit.say('second_factor.wrong')) : faultsOf(problem, visit.language)
}

async function show(
  deps: PagesDeps,
  visit: Visit,
  flow: Waiting,
  method: ProofMethod,
  { faults = noFaults, wasSent }: { faults?: Faults; wasSent: boolean },
): Promise<Outcome & { title: string; body: Html }> {
  const { say } = visit
  const others = order.filter(other => other !== method && flow.methods.includes(other))
  const ways = others.map(
    other =>
      html`<li><a class="choice" href="${address('/sign-in/second-factor', { flow: flow.id, method: other })}">${say(`second_factor.use_${other}`)}</a></li>\n`,
  )
  const otherWays =
    ways.length > 0 &&
    html`<div class="or">${say('second_factor.other')}</div>\n<ul class="choices">${ways}</ul>\n`
  return {
    title: say('second_factor.title'),
    scripted: method === 'passkey',
    body: html`${alert(faults)}${await formFor(deps, visit, flow, method, faults, wasSent)}${otherWays}`,
  }
}

async function formFor(
  deps: PagesDeps,
  { say }: Visit,
  flow: Waiting,
  method: ProofMethod,
  faults: Faults,
  wasSent: boolean,
): Promise<Html> {
  const path = '/sign-in/second-factor'
  const which = [hiddenField('flow', flow.id), hiddenField('method', method)]
  if (method === 'passkey') {
    const { options } = await challengeSecondFactor(deps, flow.mfaToken, 'passkey')
    return html`${lead(say('second_factor.passkey'))}<noscript><p class="notice bad">${say('second_factor.needs_script')}</p></noscript>
${formTo(path, [
  ...which,
  hiddenField('credential', ''),
  html`<button class="button" type="button" data-passkey="get" data-options="${JSON.stringify(options)}">${say('second_factor.start_passkey')}</button>
<p class="wrong" role="alert" hidden data-passkey-failed>${say('sign_in.passkey_failed')}</p>\n`,
])}`
  }
  if (method === 'password') {
    const password = { name: 'password', label: say('common.password'), type: 'password' } as const
    return html`${lead(say('second_factor.password'))}${formTo(path, [
      ...which,
      field({ ...password, autocomplete: 'current-password', autofocus: true }, faults),
      button(say('second_factor.confirm')),
    ])}`
  }
  const isSent = method === 'sms' || method === 'email'
  if (isSent && !wasSent) {
    return html`${lead(say(`second_factor.${method}_before`))}${formTo(`${path}/send`, [...which, button(say('second_factor.send'))])}`
  }
  const label = say(method === 'recovery_code' ? 'second_factor.recovery_label' : 'common.code')
  return html`${lead(say(`second_factor.${method}`))}${formTo(path, [
    ...which,
    field(
      {
        name: 'code',
        label,
        autocomplete: 'one-time-code',
        code: method !== 'recovery_code',
        autofocus: true,
      },
      faults,
    ),
    button(say('second_factor.confirm')),
  ])}${isSent && formTo(`${path}/send`, [...which, button(say('second_factor.send_again'), 'plain')])}`
}
