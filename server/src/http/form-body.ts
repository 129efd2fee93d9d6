import type { FastifyInstance } from 'fastify'
import { ProblemError } from './problems.ts'

/**
 * Takes `application/x-www-form-urlencoded` bodies too (WHATWG URL Standard, section 5) on the routes of
 * `scope`, which should be a plugin of their own: forms can be posted from any site without CORS, so routes
 * that act on a cookie must not take them. A field that is there twice is refused.
 */
export function acceptForms(scope: FastifyInstance): void {
  scope.addContentTypeParser<string>(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => {
      const fields = [...new URLSearchParams(body)]
      const form = Object.fromEntries(fields)
      if (Object.keys(form).length !== fields.length) {
        done(new ProblemError('bad_request', { detail: 'The form has a field twice.' }))
      } else if (body.includes('%00') || Object.hasOwn(form, '__proto__')) {
        done(new ProblemError('bad_request', { detail: 'The form has a field that no form has.' }))
      } else {
        done(null, form)
      }
    },
  )
}
