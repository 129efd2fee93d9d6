import { readFileSync } from 'node:fs'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { toProblem } from '../../../http/errors.ts'
import { acceptForms } from '../../../http/form-body.ts'
import { ProblemError, problemHeaders } from '../../../http/problems.ts'
import type { Query } from '../../../http/query-string.ts'
import { sendPage } from '../../../http/security-headers.ts'
import type { App } from '../../../http/types.ts'
import { originOf } from '../../audit/index.ts'
import type { AuthDeps } from '../routes.ts'
import { type Form, renderForm } from './forms.ts'
import { renderPage } from './html.ts'
import { type LinkPage, linkPages } from './link-pages.ts'

export type PagesDeps = AuthDeps & { brandName: string }

/**
 * The pages that links in mails open. Opening one uses nothing up, so a mail scanner can't: its form, which
 * posts to the same address, does. The form needs no other protection against foreign sites than the secret
 * of the link itself, which no other site has.
 */
export async function linkPageRoutes(app: App, deps: PagesDeps): Promise<void> {
  await app.register(async (pages: App) => {
    pages.removeAllContentTypeParsers()
    acceptForms(pages)
    pages.setErrorHandler((error, _request, reply) => sendProblemPage(reply, deps, toProblem(error)))
    styleRoute(pages)
    for (const page of linkPages) pageRoutes(pages, deps, page)
  })
}

const hidden = { schema: { hide: true } } as const

function styleRoute(pages: App): void {
  const css = readFileSync(new URL('page.css', import.meta.url), 'utf8')
  pages.get('/pages/page.css', { ...hidden, config: { access: 'public' } }, (_request, reply) =>
    reply.header('cache-control', 'public, max-age=3600').type('text/css; charset=utf-8').send(css),
  )
}

function pageRoutes(pages: App, deps: PagesDeps, page: LinkPage): void {
  const { path, purpose, rateLimit } = page
  const find = async (secret: string) =>
    purpose === undefined ? undefined : deps.verification.findLink(deps.store.db, purpose, secret)

  pages.get(path, { ...hidden, config: { access: 'public' } }, async (request, reply) => {
    const secret = singles(request.query)[page.secret] ?? ''
    const proof = await find(secret)
    if (purpose !== undefined && proof === undefined) throw new ProblemError('invalid_link')
    return sendPage(reply, renderForm(page, deps, secret, proof))
  })

  /** The form again, with what is wrong, where another attempt can be right. */
  async function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply) {
    const problem = toProblem(error)
    const isRead = request.body !== undefined && request.body !== null
    if (!isRead || problem.code === 'invalid_link' || problem.status >= 500) {
      return sendProblemPage(reply, deps, problem)
    }
    const form = singles(request.body)
    const secret = form[page.secret] ?? ''
    const retry = renderForm(page, deps, secret, await find(secret), { form, errors: messagesOf(problem) })
    return sendPage(reply.code(problem.status).headers(headersOf(problem)), retry)
  }

  const options = { ...hidden, config: { access: 'public', rateLimit }, bodyLimit: 16 * 1024 } as const
  pages.post(path, { ...options, errorHandler: answerError }, async (request, reply) => {
    const form = singles(request.body)
    const done = await page.submit(deps, originOf(request), form[page.secret] ?? '', form)
    return sendPage(reply, renderPage({ brandName: deps.brandName, ...done }))
  })
}

const deadLink = {
  title: 'This link does not work',
  text: 'It has expired, was used already, or is not complete. Ask for a new mail.',
}

function sendProblemPage(reply: FastifyReply, { brandName }: PagesDeps, problem: ProblemError): FastifyReply {
  const [text = problem.title] = messagesOf(problem)
  const said = problem.code === 'invalid_link' ? deadLink : { title: 'That did not work', text }
  return sendPage(reply.code(problem.status).headers(headersOf(problem)), renderPage({ brandName, ...said }))
}

/** The headers of a problem but its type: this one is a page. */
function headersOf(problem: ProblemError): Record<string, string> {
  const { 'content-type': _, ...headers } = problemHeaders(problem)
  return headers
}

const messagesOf = ({ errors, detail, title }: ProblemError): string[] =>
  errors && errors.length > 0 ? errors.map(({ message }) => capitalised(message)) : [detail ?? title]

const capitalised = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

/** What came once; nothing of what came more often. */
function singles(values: unknown): Form {
  // Both a query string and a form come from parseQueryString(), and no form has a field twice.
  const query = (values ?? {}) as Query
  const once = Object.entries(query).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1].length <= 2000,
  )
  return Object.fromEntries(once)
}
