import type { FastifyInstance } from 'fastify'
import { escapePointer } from './field-errors.ts'
import type { FieldError } from './problem-schema.ts'
import { MalformedQuery, parseQueryString, type Query, refuseInput } from './query-string.ts'

/**
 * Takes `application/x-www-form-urlencoded` bodies too (WHATWG URL Standard, section 5) on the routes of
 * `scope`, which should be a plugin of their own: forms can be posted from any site without CORS, so routes
 * that act on a cookie must not take them. Each field is a text; one that is there twice is refused.
 */
export function acceptForms(scope: FastifyInstance): void {
  scope.addContentTypeParser<string>(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => {
      const form = parseQueryString(body)
      const fault = form instanceof MalformedQuery ? form.field : findRepeated(form)
      if (fault === undefined) done(null, form)
      else done(refuseInput({ ...fault, path: fault.path && `/${escapePointer(fault.path)}` }))
    },
  )
}

function findRepeated(form: Query): FieldError | undefined {
  const path = Object.keys(form).find(name => typeof form[name] !== 'string')
  return path === undefined ? undefined : { path, code: 'repeated', message: 'Must not be there twice.' }
}
