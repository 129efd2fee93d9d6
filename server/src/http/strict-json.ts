import type { FastifyInstance } from 'fastify'
import { parseStrictJson, StrictJsonError } from '../lib/strict-json.ts'
import { ProblemError } from './problems.ts'

/** Bytes of a request body that a route takes, unless its own `bodyLimit` says otherwise. */
export const maxBodyBytes = 100 * 1024

/**
 * Takes `application/json` and nothing else: 415 for other types, 413 beyond the limit, 400 for a text that
 * `parseStrictJson` refuses, with the JSON pointer of the field. An empty body reads as no body at all; routes
 * whose schema needs one answer 400.
 */
export function installStrictJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const encoding = request.raw.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') {
      return done(unsupportedType('Compressed bodies are not accepted; send the JSON as it is.'))
    }
    if (body.length === 0) return done(null, undefined)
    try {
      done(null, parseStrictJson(body))
    } catch (error) {
      done(error instanceof StrictJsonError ? malformedJson(error) : new ProblemError('malformed_json'))
    }
  })
}

const unsupportedType = (detail: string): ProblemError =>
  new ProblemError('unsupported_media_type', { detail })

function malformedJson({ fault, pointer, message }: StrictJsonError): ProblemError {
  return new ProblemError('malformed_json', {
    detail: pointer === '' ? message : `${pointer}: ${message}`,
    ...(pointer !== '' && { errors: [{ path: pointer, code: fault, message }] }),
  })
}
