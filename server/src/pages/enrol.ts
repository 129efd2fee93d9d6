import { renderSVG } from 'uqr'
import type { Principal } from '../http/principal.ts'
import { ProblemError } from '../http/problems.ts'
import { stepUpProblem } from '../http/step-up.ts'
import { type Html, html } from '../lib/html.ts'
import { originOf } from '../modules/audit/index.ts'
import {
  beginEmail,
  beginSms,
  beginTotp,
  confirmFactor,
  createRecoveryCodes,
  registerPasskey,
} from '../modules/auth/index.ts'
import { readNewPasskey } from './credentials.ts'
import type { PagesDeps } from './deps.ts'
import { faultsOf, missing } from './faults.ts'
import { address, ownPath } from './next.ts'
import { type Form, formTo, type Outcome, type Page, type Visit } from './page.ts'
import { alert, button, buttonLink, type Faults, field, hiddenField, lead, noFaults } from './parts.ts'
import { landing } from './start-session.ts'
import type { Visitor } from './visitor.ts'

/*
 * Enrolling a second factor right after signing in, where a role demands one, and a passkey, which is offered. What
 * is done here is done for whoever is signed in in this browser, so each form must come from our own pages, and they
 * must have proved who they are as recently, and as well, as the API wants for the same.
 */

const methods = ['totp', 'passkey', 'sms', 'email'] as const
type EnrolMethod = (typeof methods)[number]

/** `/sign-in/enrol`: which second step. */
export const enrolPage = (deps: PagesDeps): Page => ({
  path: '/sign-in/enrol',
  async get(visit) {
    return withVisitor(deps, visit, async ({ principal }) => {
      const next = ownPath(visit.query.next, deps.publicUrl)
      const { say } = visit
      const offered = methods.filter(method => method !== 'sms' || deps.smsAvailable)
      const choices = offered.map(
        method =>
          html`<li${method === 'passkey' && html` data-passkeys hidden`}>${choice(visit, method, next)}</li>\n`,
      )
      return {
        title: say('enrol.title'),
        scripted: true,
        body: html`${principal.enrolmentDue && lead(say('enrol.demanded'))}<ul class="choices">${choices}</ul>
<p class="below"><a href="/sign-out">${say('common.sign_out')}</a></p>\n`,
      }
    })
  },
})

function choice({ say }: Visit, method: EnrolMethod, next: string | undefined): Html {
  const words = html`${say(`enrol.choose_${method}`)}<small>${say(`enrol.about_${method}`)}</small>`
  const path = `/sign-in/enrol/${method}`
  // The secret of an app is made by a form: opening or reloading a page makes none in place of one just scanned.
  return method === 'totp'
    ? formTo(path, [
        hiddenField('step', 'begin'),
        next === undefined ? undefined : hiddenField('next', next),
        html`<button class="choice" type="submit">${words}</button>`,
      ])
    : html`<a class="choice" href="${address(path, { next })}">${words}</a>`
}

/** `/sign-in/enrol/totp` */
export const enrolTotpPage = (deps: PagesDeps): Page => ({
  path: '/sign-in/enrol/totp',
  rateLimit: 'mfa',
  get: visit => ({ redirect: address('/sign-in/enrol', { next: visit.query.next }) }),
  post: (visit, form) =>
    withProvedVisitor(deps, visit, async ({ principal }) => {
      if (form.step === 'begin') {
        const { otpauth_url } = await beginTotp(deps, principal)
        return showTotp(visit, { url: otpauth_url, next: form.next })
      }
      await confirmCode(deps, visit, principal, 'totp', form)
      return { redirect: address('/sign-in/enrol/recovery-codes', { next: form.next }) }
    }),
  failed: (visit, form, problem) =>
    isKeyUrl(form.url)
      ? showTotp(visit, { url: form.url, next: form.next }, codeFaults(visit, problem))
      : undefined,
})

const isKeyUrl = (url: string | undefined): url is string =>
  url?.startsWith('otpauth://totp/') === true && URL.canParse(url) && url.length < 1000

function showTotp(
  { say }: Visit,
  { url, next }: { url: string; next: string | undefined },
  faults: Faults = noFaults,
): Outcome {
  const secret = new URL(url).searchParams.get('secret') ?? ''
  const picture = `data:image/svg+xml;base64,${Buffer.from(renderSVG(url, { border: 1 })).toString('base64')}`
  return {
    title: say('enrol.totp_title'),
    body: html`${lead(say('enrol.totp_scan'))}<img class="qr" src="${picture}" alt="${say('enrol.qr')}" width="200" height="200">
<p class="key"><span class="visually-hidden">${say('enrol.totp_key')}</span> <code>${secret.replaceAll(/(.{4})(?=.)/g, '$1 ')}</code></p>
${alert(faults)}${formTo('/sign-in/enrol/totp', [hiddenField('url', url), ...codeForm(say, next, faults)])}`,
  }
}

const codeForm = (say: Visit['say'], next: string | undefined, faults: Faults): (Html | undefined)[] => [
  next === undefined ? undefined : hiddenField('next', next),
  field(
    { name: 'code', label: say('common.code'), autocomplete: 'one-time-code', code: true, autofocus: true },
    faults,
  ),
  button(say('enrol.confirm')),
]

/** `/sign-in/enrol/sms` and `/sign-in/enrol/email`: sends a code, then takes it. */
export const enrolBySending = (deps: PagesDeps, method: 'sms' | 'email'): Page => ({
  path: `/sign-in/enrol/${method}`,
  rateLimit: 'mfa',
  get: visit =>
    withProvedVisitor(deps, visit, async visitor => showSending(visit, method, visitor, visit.query.next)),
  post: (visit, form) =>
    withProvedVisitor(deps, visit, async visitor => {
      if (form.step === 'confirm') {
        await confirmCode(deps, visit, visitor.principal, method, form)
        return { redirect: address('/sign-in/enrol/recovery-codes', { next: form.next }) }
      }
      const target =
        method === 'sms'
          ? await beginSms(deps, visitor.principal, form.phone_number ?? '')
          : await beginEmail(deps, visitor.principal)
      return showSent(visit, method, target, form.next)
    }),
  failed: (visit, form, problem) =>
    withVisitor(deps, visit, async visitor => {
      const faults = codeFaults(visit, problem)
      return form.step === 'confirm'
        ? showSent(visit, method, form.target ?? '', form.next, faults)
        : showSending(visit, method, visitor, form.next, faults, form.phone_number)
    }),
})

function showSending(
  { say }: Visit,
  method: 'sms' | 'email',
  { user }: Visitor,
  next: string | undefined,
  faults: Faults = noFaults,
  typed?: string,
): Outcome {
  const number =
    method === 'sms' &&
    field(
      {
        name: 'phone_number',
        label: say('enrol.sms_number'),
        type: 'tel',
        autocomplete: 'tel',
        help: say('enrol.sms_number_help'),
        value: typed ?? user.phone_number ?? undefined,
        autofocus: true,
      },
      faults,
    )
  return {
    title: say(`enrol.${method}_title`),
    body: html`${lead(say(`enrol.about_${method}`))}${alert(faults)}${formTo(`/sign-in/enrol/${method}`, [
      next === undefined ? undefined : hiddenField('next', next),
      number,
      button(say('enrol.send')),
    ])}`,
  }
}

function showSent(
  { say }: Visit,
  method: 'sms' | 'email',
  target: string,
  next: string | undefined,
  faults: Faults = noFaults,
): Outcome {
  return {
    title: say(`enrol.${method}_title`),
    body: html`${lead(say('enrol.code_sent', { target }))}${alert(faults)}${formTo(
      `/sign-in/enrol/${method}`,
      [hiddenField('step', 'confirm'), hiddenField('target', target), ...codeForm(say, next, faults)],
    )}`,
  }
}

async function confirmCode(
  deps: PagesDeps,
  visit: Visit,
  principal: Principal,
  method: 'totp' | 'sms' | 'email',
  form: Form,
): Promise<void> {
  if (!form.code?.trim()) throw new ProblemError('invalid_code')
  await confirmFactor(deps, originOf(visit.request, principal), principal, method, form.code)
}

function codeFaults(visit: Visit, problem: ProblemError): Faults {
  if (problem.code === 'invalid_code') return missing('code', visit.say('enrol.wrong'))
  return faultsOf(problem, visit.language)
}

/** `/sign-in/enrol/recovery-codes`: made by its form, so that going back or reloading makes no others. */
export const recoveryCodesPage = (deps: PagesDeps): Page => ({
  path: '/sign-in/enrol/recovery-codes',
  rateLimit: 'mfa',
  get: visit =>
    withProvedVisitor(deps, visit, async ({ principal }) => {
      const { say, query } = visit
      // New ones would make those that they keep worthless.
      if (await hasRecoveryCodes(deps, principal)) return { redirect: landing(deps, query.next) }
      return {
        title: say('enrol.recovery_title'),
        body: html`${lead(say('enrol.recovery_text'))}${formTo('/sign-in/enrol/recovery-codes', [
          query.next === undefined ? undefined : hiddenField('next', query.next),
          button(say('enrol.recovery_show')),
        ])}${buttonLink(landing(deps, query.next), say('passkey_offer.later'), 'plain')}`,
      }
    }),
  post: (visit, form) =>
    withProvedVisitor(deps, visit, async ({ principal }) => {
      const { say } = visit
      const codes = await createRecoveryCodes(deps, originOf(visit.request, principal), principal)
      return {
        title: say('enrol.recovery_title'),
        body: html`${lead(say('enrol.recovery_text'))}<ul class="codes">${codes.map(code => html`<li>${code}</li>`)}</ul>
${buttonLink(landing(deps, form.next), say('enrol.recovery_kept'))}`,
      }
    }),
})

async function hasRecoveryCodes({ factors, store }: PagesDeps, { userId }: Principal): Promise<boolean> {
  const enrolled = await factors.list(store.db, userId)
  return enrolled.some(({ method }) => method === 'recovery_code')
}

/** `/sign-in/enrol/passkey` where a factor is demanded, `/sign-in/passkey` where it is an offer. */
export const newPasskeyPage = (deps: PagesDeps, kind: 'demanded' | 'offered'): Page => {
  const path = kind === 'offered' ? '/sign-in/passkey' : '/sign-in/enrol/passkey'
  return {
    path,
    rateLimit: 'mfa',
    get: visit =>
      withProvedVisitor(deps, visit, async visitor => {
        const shown = await showNewPasskey(deps, visit, visitor, kind, visit.query.next)
        return { ...shown, cookies: [reply => deps.cookies.noteOffered(reply)] }
      }),
    post: (visit, form) =>
      withProvedVisitor(deps, visit, async ({ principal }) => {
        const credential = readNewPasskey(form.credential)
        await registerPasskey(deps, originOf(visit.request, principal), principal, credential, undefined)
        return { redirect: address('/sign-in/enrol/recovery-codes', { next: form.next }) }
      }),
    failed: (visit, form, problem) =>
      withVisitor(deps, visit, visitor =>
        showNewPasskey(deps, visit, visitor, kind, form.next, faultsOf(problem, visit.language)),
      ),
  }
}

async function showNewPasskey(
  deps: PagesDeps,
  { say }: Visit,
  { user }: Visitor,
  kind: 'demanded' | 'offered',
  next: string | undefined,
  faults: Faults = noFaults,
): Promise<Outcome> {
  const options = await deps.passkeys.registrationOptions(user, false)
  const path = kind === 'offered' ? '/sign-in/passkey' : '/sign-in/enrol/passkey'
  const onward =
    kind === 'offered'
      ? buttonLink(landing(deps, next), say('passkey_offer.later'), 'plain')
      : buttonLink(address('/sign-in/enrol', { next }), say('second_factor.other'), 'plain')
  return {
    title: say(kind === 'offered' ? 'passkey_offer.title' : 'enrol.passkey_title'),
    scripted: true,
    body: html`${lead(say(kind === 'offered' ? 'passkey_offer.text' : 'enrol.about_passkey'))}<noscript><p class="notice bad">${say('second_factor.needs_script')}</p></noscript>
${alert(faults)}${formTo(path, [
  next === undefined ? undefined : hiddenField('next', next),
  hiddenField('credential', ''),
  html`<button class="button" type="button" data-passkey="create" data-options="${JSON.stringify(options)}">${say('enrol.create_passkey')}</button>
<p class="wrong" role="alert" hidden data-passkey-failed>${say('passkey_offer.failed')}</p>\n`,
])}${onward}`,
  }
}

/** For whoever is signed in; anybody else signs in first and comes back. */
export async function withVisitor(
  deps: PagesDeps,
  visit: Visit,
  go: (visitor: Visitor) => Promise<Outcome>,
): Promise<Outcome> {
  const visitor = await visit.visitor()
  return visitor ? go(visitor) : { redirect: address('/sign-in', { next: here(deps, visit) }) }
}

/** For whoever has just proved who they are, with their second factor where they have one; else they sign in again. */
function withProvedVisitor(
  deps: PagesDeps,
  visit: Visit,
  go: (visitor: Visitor) => Promise<Outcome>,
): Promise<Outcome> {
  return withVisitor(deps, visit, async visitor => {
    if (!stepUpProblem('highest', visitor.principal, deps.clock.now())) return go(visitor)
    const login_hint = visitor.user.email
    return { redirect: address('/sign-in', { prompt: 'login', login_hint, next: here(deps, visit) }) }
  })
}

/** Where to come back to; what a form was sent to can't be opened. */
const here = ({ publicUrl }: PagesDeps, { request }: Visit): string | undefined =>
  request.method === 'GET' ? ownPath(request.url, publicUrl) : undefined
