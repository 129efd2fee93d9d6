import { ProblemError } from '../http/problems.ts'
import { type Html, html } from '../lib/html.ts'
import { sha256 } from '../lib/secrets.ts'
import { type Origin, originOf } from '../modules/audit/index.ts'
import { restoreOwnAccount, setPasswordByLink, undoEmailChange, verifyEmail } from '../modules/auth/index.ts'
import { findUserRecord } from '../modules/users/index.ts'
import type { LinkPurpose, Proof } from '../modules/verification/index.ts'
import type { WordKey } from '../words/catalogue.ts'
import type { PagesDeps } from './deps.ts'
import { faultsOf } from './faults.ts'
import { formTo, type Outcome, type Page, type Visit } from './page.ts'
import { alert, button, buttonLink, type Faults, hiddenField, lead, noFaults } from './parts.ts'
import { passwordField } from './password-field.ts'
import { landing } from './start-session.ts'

/** One page that the link of a mail opens: what it asks, and what its form does. */
type LinkPage = {
  path: string
  purpose: LinkPurpose
  rateLimit: 'password' | 'verification'
  /** What its words are called in the catalogue: `links.<words>_title` and so on. */
  words: 'verify' | 'reset' | 'undo' | 'restore' | 'invitation'
  text?(proof: Proof): WordKey
  asksPassword: boolean
  /** Does it. @returns what the page that says so must know */
  act(deps: PagesDeps, origin: Origin, token: string, password: string): Promise<'handed-over' | undefined>
}

const linkPages: readonly LinkPage[] = [
  {
    path: '/verify-email',
    purpose: 'EMAIL_VERIFICATION',
    rateLimit: 'verification',
    words: 'verify',
    text: ({ data }) => (data.asker === 'anyone' ? 'links.verify_text_anyone' : 'links.verify_text'),
    asksPassword: false,
    async act(deps, origin, token) {
      const { handedOver } = await verifyEmail(deps, origin, undefined, { token })
      return handedOver ? 'handed-over' : undefined
    },
  },
  {
    path: '/reset-password',
    purpose: 'PASSWORD_RESET',
    rateLimit: 'password',
    words: 'reset',
    asksPassword: true,
    async act(deps, origin, token, new_password) {
      await setPasswordByLink(deps, origin, 'PASSWORD_RESET', { token, new_password })
      return undefined
    },
  },
  {
    path: '/undo-email-change',
    purpose: 'EMAIL_UNDO',
    rateLimit: 'password',
    words: 'undo',
    asksPassword: true,
    async act(deps, origin, token, new_password) {
      await undoEmailChange(deps, origin, { token, new_password })
      return undefined
    },
  },
  {
    path: '/restore-account',
    purpose: 'ACCOUNT_RESTORE',
    rateLimit: 'verification',
    words: 'restore',
    asksPassword: false,
    async act(deps, origin, token) {
      await restoreOwnAccount(deps, origin, token)
      return undefined
    },
  },
  {
    path: '/accept-invitation',
    purpose: 'INVITATION',
    rateLimit: 'password',
    words: 'invitation',
    asksPassword: true,
    async act(deps, origin, token, new_password) {
      await setPasswordByLink(deps, origin, 'INVITATION', { token, new_password })
      return undefined
    },
  },
]

/**
 * The pages that links in mails open, and those that say that it is done. Opening one uses nothing up, so a mail
 * scanner can't: its form does. It needs no other protection against foreign sites than the secret of the link
 * itself, which no other site has. A browser that has just used a link is told so when it comes back to it.
 */
export const linkPagesOf = (deps: PagesDeps): Page[] =>
  linkPages.flatMap(link => [openPage(deps, link), donePage(deps, link)])

function openPage(deps: PagesDeps, link: LinkPage): Page {
  const find = (token: string) => deps.verification.findLink(deps.store.db, link.purpose, token)
  return {
    path: link.path,
    rateLimit: link.rateLimit,
    anyOrigin: true,
    async get(visit) {
      const { token = '' } = visit.query
      const proof = await find(token)
      return proof ? show(deps, visit, link, token, proof) : usedOrDead(deps, visit, link, token)
    },
    async post(visit, form) {
      const { token = '', new_password = '' } = form
      const what = await link.act(deps, originOf(visit.request), token, new_password)
      return {
        redirect: `${link.path}/done${what === undefined ? '' : `?${what}=1`}`,
        cookies: [reply => deps.cookies.noteUsedLink(reply, markOf(token))],
      }
    },
    async failed(visit, form, problem) {
      const { token = '' } = form
      const proof = await find(token)
      if (!proof) return usedOrDead(deps, visit, link, token)
      return problem.status === 429
        ? undefined
        : show(deps, visit, link, token, proof, faultsOf(problem, visit.language))
    },
  }
}

/** @throws ProblemError invalid_link where this browser has not just used it */
function usedOrDead(deps: PagesDeps, { request }: Visit, link: LinkPage, token: string): Outcome {
  if (token !== '' && deps.cookies.usedLink(request) === markOf(token))
    return { redirect: `${link.path}/done` }
  throw new ProblemError('invalid_link')
}

const markOf = (token: string): string => sha256(`used ${token}`).toString('base64url')

async function show(
  deps: PagesDeps,
  visit: Visit,
  link: LinkPage,
  token: string,
  proof: Proof,
  faults: Faults = noFaults,
): Promise<Outcome> {
  const { say } = visit
  const brand = deps.look.brandName
  const password = link.asksPassword && (await newPassword(deps, visit, proof, faults))
  return {
    title: say(`links.${link.words}_title`, { brand }),
    scripted: link.asksPassword,
    body: html`${lead(say(link.text?.(proof) ?? (`links.${link.words}_text` as const)))}${alert(faults)}${formTo(
      link.path,
      [hiddenField('token', token), password, button(say(`links.${link.words}_button`))],
    )}`,
  }
}

/** With whose password it is, so that password managers keep it under the right name. */
async function newPassword(deps: PagesDeps, visit: Visit, proof: Proof, faults: Faults): Promise<Html> {
  const user = await findUserRecord(deps.store.db, proof.userId)
  const label = visit.say('common.new_password')
  return html`<input class="visually-hidden" name="username" value="${user?.email}" autocomplete="username" tabindex="-1" aria-hidden="true" readonly>
${passwordField(deps, visit, { name: 'new_password', label }, faults)}`
}

function donePage(deps: PagesDeps, link: LinkPage): Page {
  return {
    path: `${link.path}/done`,
    async get(visit) {
      const { say, query } = visit
      const isHandedOver = link.words === 'verify' && query['handed-over'] === '1'
      const text: WordKey = isHandedOver ? 'links.verify_done_handed_over' : `links.${link.words}_done`
      const isSignedIn = (await visit.visitor()) !== undefined
      const onward = isSignedIn
        ? buttonLink(landing(deps), say('common.continue'))
        : !isHandedOver && buttonLink('/sign-in', say('common.sign_in'))
      return { title: say(`links.${link.words}_done_title`), body: html`${lead(say(text))}${onward}` }
    },
  }
}
