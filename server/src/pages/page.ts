import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RateLimitGroup } from '../config.ts'
import { toProblem } from '../http/errors.ts'
import { ProblemError, problemHeaders } from '../http/problems.ts'
import type { Query } from '../http/query-string.ts'
import type { App } from '../http/types.ts'
import { type Html, html } from '../lib/html.ts'
import { randomToken } from '../lib/secrets.ts'
import { acceptedLanguages, duration, type Language } from '../words/catalogue.ts'
import type { PagesDeps } from './deps.ts'
import { renderDocument, type Shown } from './document.ts'
import { buttonLink, hiddenField, lead } from './parts.ts'
import { isFromOurPages } from './same-site.ts'
import type { Visitor } from './visitor.ts'

/** What a form sent, or a query string, by name. */
export type Form = Readonly<Record<string, string>>

/** What a page is asked, and by whom. */
export type Visit = {
  request: FastifyRequest
  query: Form
  language: Language
  say: Language['say']
  /** Who is signed in in this browser. Asks the database once. */
  visitor(): Promise<Visitor | undefined>
}

/** What comes of a visit: a page, or another address. `cookies` are put on whichever it is. */
export type Outcome = (Shown | { redirect: string }) & { cookies?: readonly Cookie[] }

/** Sets a cookie or takes one away. */
export type Cookie = (reply: FastifyReply) => void

export type Page = {
  path: string
  get?(visit: Visit): Promise<Outcome> | Outcome
  post?(visit: Visit, form: Form): Promise<Outcome>
  /** The form again, with what is wrong. Without it, and for what no form can mend, a page says so. */
  failed?(visit: Visit, form: Form, problem: ProblemError): Promise<Outcome | undefined> | Outcome | undefined
  /** The limit that its form counts in. */
  rateLimit?: RateLimitGroup
  /** For forms that carry a secret which no other site can know, such as a link's token. */
  anyOrigin?: boolean
}

const hidden = { schema: { hide: true } } as const

/** Adds a page: what it shows, and what its form does. */
export function addPage(app: App, deps: PagesDeps, page: Page): void {
  const { path, get, post, rateLimit = 'write' } = page
  if (get) {
    app.get(path, { ...hidden, config: { access: 'public' } }, async (request, reply) => {
      const visit = startVisit(deps, request, reply)
      return answer(deps, visit, reply, () => get(visit))
    })
  }
  if (post) {
    const options = { ...hidden, config: { access: 'public', rateLimit }, bodyLimit: 32 * 1024 } as const
    app.post(path, options, async (request, reply) => {
      const visit = startVisit(deps, request, reply)
      const form = singles(request.body)
      return answer(deps, visit, reply, () => submit(deps, page, visit, form))
    })
  }
}

async function submit(deps: PagesDeps, page: Page, visit: Visit, form: Form): Promise<Outcome> {
  if (!page.anyOrigin && !isFromOurPages(visit.request, deps.browserMode.isOurs)) return foreignForm(visit)
  const posted = { path: page.path, cookies: visit.request.headers.cookie ?? '', form }
  return deps.repeats.once(posted, async () => {
    try {
      return (await page.post?.(visit, form)) ?? notFound(visit)
    } catch (error) {
      const problem = toProblem(error)
      const again = problem.status < 500 ? await page.failed?.(visit, form, problem) : undefined
      if (!again) throw problem
      deps.reportProblem(visit.request, problem)
      return 'redirect' in again ? again : withHeadersOf(problem, again)
    }
  })
}

async function answer(
  deps: PagesDeps,
  visit: Visit,
  reply: FastifyReply,
  run: () => Promise<Outcome> | Outcome,
): Promise<FastifyReply> {
  let outcome: Outcome
  try {
    outcome = await run()
  } catch (error) {
    const problem = toProblem(error)
    deps.reportProblem(visit.request, problem)
    outcome = problemPage(visit, problem)
  }
  return send(deps, visit, reply, outcome)
}

/** Sends a page with its policy, or sends on: 303, so that going back or reloading posts nothing again. */
export function send(deps: PagesDeps, visit: Visit, reply: FastifyReply, outcome: Outcome): FastifyReply {
  for (const setCookie of outcome.cookies ?? []) setCookie(reply)
  for (const [name, value] of pageHeaders) reply.header(name, value)
  reply.header('content-security-policy', deps.look.policy)
  if ('redirect' in outcome) return reply.redirect(outcome.redirect, 303)
  if (outcome.headers) reply.headers(outcome.headers)
  return reply
    .code(outcome.status ?? 200)
    .header('content-language', visit.language.tag)
    .header('vary', 'Accept-Language, Cookie')
    .type('text/html; charset=utf-8')
    .send(renderDocument(deps.look, visit.language, outcome))
}

/** `same-origin`: browsers must say to ourselves where a form comes from, and to nobody else. */
const pageHeaders = [
  ['cross-origin-opener-policy', 'same-origin'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['referrer-policy', 'same-origin'],
  [
    'permissions-policy',
    'camera=(), geolocation=(), microphone=(), payment=(), usb=(), publickey-credentials-get=(self), publickey-credentials-create=(self)',
  ],
  ['x-frame-options', 'DENY'],
] as const

export function startVisit(deps: PagesDeps, request: FastifyRequest, reply: FastifyReply): Visit {
  const query = singles(request.query)
  const asked = query.ui_locales?.slice(0, 200)
  if (asked !== undefined && /^[\w -]+$/.test(asked)) deps.cookies.keepLocales(reply, asked)
  const language = deps.catalogue.choose([
    ...(asked ?? deps.cookies.chosenLocales(request) ?? '').split(' '),
    ...acceptedLanguages(request.headers['accept-language']),
  ])
  let visitor: Promise<Visitor | undefined> | undefined
  return {
    request,
    query,
    language,
    say: language.say,
    visitor: () => (visitor ??= deps.readVisitor(request)),
  }
}

/**
 * Goes on in a person's language, which their mails are in too, unless the address asks for another.
 * @param locale of the person, BCP 47
 * @returns what keeps it for the pages that follow
 */
export function speakTo(deps: PagesDeps, visit: Visit, locale: string | null): Cookie[] {
  if (locale === null || visit.query.ui_locales !== undefined) return []
  visit.language = deps.catalogue.choose([locale])
  visit.say = visit.language.say
  return [reply => deps.cookies.keepLocales(reply, locale)]
}

/** A form that posts to a page of ours. Its random number tells a double click from another attempt. */
export const formTo = (path: string, content: Html | readonly (Html | undefined | false)[]): Html =>
  html`<form method="post" action="${path}">${hiddenField('form', randomToken(12))}${content}</form>\n`

/** The page that a problem leads to. */
export function problemPage(visit: Visit, problem: ProblemError): Outcome {
  const { say, language } = visit
  const wait = duration(problem.retryAfter ?? 60, language)
  const [title, text] =
    problem.code === 'invalid_link'
      ? [say('links.dead_title'), say('links.dead')]
      : problem.code === 'not_found'
        ? [say('errors.not_found_title'), say('errors.not_found')]
        : problem.status === 429
          ? [say('limits.title'), say('limits.text', { time: wait })]
          : problem.status === 503
            ? [say('limits.busy_title'), say('limits.busy', { time: wait })]
            : problem.status >= 500
              ? [say('errors.server_title'), say('errors.server')]
              : [say('errors.title'), problem.detail ?? problem.title]
  const reference =
    problem.status >= 500 &&
    html`<p class="below">${say('errors.reference', { id: String(visit.request.id) })}</p>\n`
  const body = html`${lead(text)}${buttonLink('/sign-in', say('common.sign_in'))}${reference}`
  return withHeadersOf(problem, { title, body })
}

/** Status and headers of a problem but its type: this one is a page. */
function withHeadersOf(problem: ProblemError, outcome: Outcome & Shown): Outcome {
  const { 'content-type': _, 'www-authenticate': __, ...headers } = problemHeaders(problem)
  return { ...outcome, status: problem.status, headers: { ...headers, ...outcome.headers } }
}

const foreignForm = ({ say }: Visit): Outcome => ({
  status: 403,
  title: say('errors.foreign_title'),
  body: html`${lead(say('errors.foreign'))}${buttonLink('/sign-in', say('common.sign_in'))}`,
})

/** For what was open too long, or went on in another tab. */
export const expired = ({ say }: Visit, again: string): Outcome => ({
  status: 410,
  title: say('errors.expired_title'),
  body: html`${lead(say('errors.expired'))}${buttonLink(again, say('common.try_again'))}`,
})

const notFound = (visit: Visit): Outcome => problemPage(visit, new ProblemError('not_found'))

/** What came once; nothing of what came more often. */
function singles(values: unknown): Form {
  // Both a query string and a form come from parseQueryString(), and no form has a field twice.
  const query = (values ?? {}) as Query
  const once = Object.entries(query).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1].length <= 16_000,
  )
  return Object.fromEntries(once)
}
