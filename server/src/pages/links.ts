import { ProblemError } from '../http/problems.ts'
import { type Html, html } from '../lib/html.ts'
import { sha256 } from '../lib/secrets.ts'
import { originOf } from '../modules/audit/index.ts'
import { restoreOwnAccount, setPasswordByLink, undoEmailChange, verifyEmail } from '../modules/auth/index.ts'
import { findUserRecord } from '../modules/users/index.ts'
import type { LinkPurpose, Proof } from '../modules/verification/index.ts'
import type { WordKey } from '../words/catalogue.ts'
import type { PagesDeps } from './deps.ts'
import { faultsOf } from './faults.ts'
import { formTo, type Outcome, type Page, speakTo, type Visit } from './page.ts'
import { alert, button, buttonLink, type Faults, hiddenField, lead, noFaults } from './parts.ts'
import { passwordField } from './password-field.ts'
import { landing } from './start-session.ts'

type Owner = Awaited<ReturnType<typeof findUserRecord>>

/** One page that the link of a mail opens: what it asks, and what its form does. */
type LinkPage = {
  path: string
  purpose: LinkPurpose
  rateLimit: 'password' | 'verification'
  /** What its words are called in the catalogue: `links.<words>_title` and so on. */
  words: 'verify' | 'reset' | 'undo' | 'restore' | 'invitation'
  text?(proof: Proof, visit: Visit, user: Owner): Promise<WordKey> | WordKey
  asksPassword: boolean
  /** Does it. @returns what the page that says so must know */
  act(deps: PagesDeps, visit: Visit, token: string, password: string): Promise<'handed-over' | undefined>
}

const linkPages: readonly LinkPage[] = [
  {
    path: '/verify-email',
    purpose: 'EMAIL_VERIFICATION',
    rateLimit: 'verification',
    words: 'verify',
    text: verifyText,
    asksPassword: false,
    async act(deps, visit, token) {
      const principal = (await visit.visitor())?.principal
      const { handedOver } = await verifyEmail(deps, originOf(visit.request, principal), principal, { token })
      return handedOver ? 'handed-over' : undefined
    },
  },
  {
    path: '/reset-password',
    purpose: 'PASSWORD_RESET',
    rateLimit: 'password',
    words: 'reset',
    asksPassword: true,
    async act(deps, { request }, token, new_password) {
      await setPasswordByLink(deps, originOf(request), 'PASSWORD_RESET', { token, new_password })
      return undefined
    },
  },
  {
    path: '/undo-email-change',
    purpose: 'EMAIL_UNDO',
    rateLimit: 'password',
    words: 'undo',
    asksPassword: true,
    async act(deps, { request }, token, new_password) {
      await undoEmailChange(deps, originOf(request), { token, new_password })
      return undefined
    },
  },
  {
    path: '/restore-account',
    purpose: 'ACCOUNT_RESTORE',
    rateLimit: 'verification',
    words: 'restore',
    asksPassword: false,
    text: ({ data }) => (data.hands_over === true ? 'links.restore_text_anyone' : 'links.restore_text'),
    async act(deps, { request }, token) {
      const { handedOver } = await restoreOwnAccount(deps, originOf(request), token)
      return handedOver ? 'handed-over' : undefined
    },
  },
  {
    path: '/accept-invitation',
    purpose: 'INVITATION',
    rateLimit: 'password',
    words: 'invitation',
    asksPassword: true,
    async act(deps, { request }, token, new_password) {
      await setPasswordByLink(deps, originOf(request), 'INVITATION', { token, new_password })
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

/** What will end with the proof, unless this browser is signed in to the account. */
async function verifyText({ data, userId }: Proof, visit: Visit, user: Owner): Promise<WordKey> {
  const visitor = await visit.visitor()
  if (visitor?.principal.userId === userId) return 'links.verify_text'
  if (data.asker === 'anyone') return 'links.verify_text_anyone'
  return user?.mfa_enabled && !user.email_verified_at ? 'links.verify_text_factors' : 'links.verify_text'
}

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
      const what = await link.act(deps, visit, token, new_password)
      return {
        redirect: `${link.path}/done${what === undefined ? '' : `?${what}=1`}`,
        cookies: [reply => deps.cookies.noteUsedLink(reply, markOf(token))],
      }
    },
    async failed(visit, form, problem) {
      const { token = '' } = form
      const proof = await find(token)
      if (!proof) return usedOrDead(deps, visit, link, token)
      return problem.status === 429 ? undefined : show(deps, visit, link, token, proof, problem)
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
  problem?: ProblemError,
): Promise<Outcome> {
  const user = await findUserRecord(deps.store.db, proof.userId)
  const cookies = speakTo(deps, visit, user?.locale ?? null)
  const faults = problem ? faultsOf(problem, visit.language) : noFaults
  const { say } = visit
  const brand = deps.look.brandName
  const text = (await link.text?.(proof, visit, user)) ?? (`links.${link.words}_text` as const)
  const password = link.asksPassword && newPassword(deps, visit, user, faults)
  return {
    title: say(`links.${link.words}_title`, { brand }),
    scripted: link.asksPassword,
    cookies,
    body: html`${lead(say(text))}${alert(faults)}${formTo(link.path, [
      hiddenField('token', token),
      password,
      button(say(`links.${link.words}_button`)),
    ])}`,
  }
}

/** With whose password it is, so that password managers keep it under the right name. */
function newPassword(deps: PagesDeps, visit: Visit, user: Owner, faults: Faults): Html {
  const label = visit.say('common.new_password')
  return html`<input class="visually-hidden" name="username" value="${user?.email}" autocomplete="username" tabindex="-1" aria-hidden="true" readonly>
${passwordField(deps, visit, { name: 'new_password', label }, faults)}`
}

function donePage(deps: PagesDeps, link: LinkPage): Page {
  return {
    path: `${link.path}/done`,
    async get(visit) {
      const { say, query } = visit
      const canHandOver = link.words === 'verify' || link.words === 'restore'
      const isHandedOver = canHandOver && query['handed-over'] === '1'
      const text: WordKey = isHandedOver
        ? link.words === 'verify'
          ? 'links.verify_done_handed_over'
          : 'links.restore_done_handed_over'
        : `links.${link.words}_done`
      const isSignedIn = (await visit.visitor()) !== undefined
      const onward = isSignedIn
        ? buttonLink(landing(deps), say('common.continue'))
        : !isHandedOver && buttonLink('/sign-in', say('common.sign_in'))
      return { title: say(`links.${link.words}_done_title`), body: html`${lead(say(text))}${onward}` }
    },
  }
}
