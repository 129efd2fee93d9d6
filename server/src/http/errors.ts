import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { isDatabaseUnavailable } from '../db/unavailable.ts'
import type { FieldError } from './problem-schema.ts'
import { type ProblemCode, ProblemError, problemHeaders, toProblemBody } from './problems.ts'

/**
 * The problem that an error thrown anywhere below a route is answered with. What is not known becomes
 * `internal_error`, which says nothing of its cause.
 */
export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error
  if (isClientGone(error))
    return new ProblemError('bad_request', { detail: 'The body broke off.', cause: error })
  if (isDatabaseUnavailable(error)) return new ProblemError('database_unavailable', { cause: error })
  return frameworkProblem(error) ?? new ProblemError('internal_error', { cause: error })
}

/** Sends a problem. The body is complete, so no schema of the route touches it. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: ProblemError,
): FastifyReply {
  const body = toProblemBody(problem, { requestId: request.id, instance: pathOf(request.raw.url) })
  // For who reads nothing but that.
  const first = problem.errors?.[0]
  if (first !== undefined) body.detail ??= sentenceOf(first)
  return reply
    .code(problem.status)
    .headers(problemHeaders(problem))
    .send(Buffer.from(JSON.stringify(body)))
}

/** What is wrong with a field, after its name; of the whole body, what is wrong. */
function sentenceOf({ path, message }: FieldError): string {
  const namesItself = path === '' || message.startsWith(`${path.replace(/^\//, '')} `)
  return namesItself ? message : `${path}: ${message}`
}

/** What Node's HTTP server makes of a connection that ends, or is ended, in the middle of a body. */
const isClientGone = (error: unknown): boolean =>
  error instanceof Error && error.message === 'aborted' && 'code' in error && error.code === 'ECONNRESET'

/** The path, without the query string: that may hold a token. */
export function pathOf(url: string | undefined): string {
  const path = url?.split('?', 1)[0] ?? ''
  return path.length > 200 ? `${path.slice(0, 200)}…` : path
}

const takenTypes = 'Routes take application/json; a few take forms, as the documentation of each says.'

/** Fastify's own errors, by their codes. */
const frameworkCodes: Record<string, { code: ProblemCode; detail?: string }> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'payload_too_large' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported_media_type', detail: takenTypes },
  FST_ERR_CTP_EMPTY_TYPE: { code: 'unsupported_media_type', detail: takenTypes },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'bad_request',
    detail: 'The body is not as long as Content-Length says.',
  },
  FST_ERR_BAD_URL: { code: 'bad_request', detail: 'The path is not valid percent-encoded UTF-8.' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'uri_too_long' },
  FST_ERR_NOT_FOUND: { code: 'not_found' },
  FST_ERR_HANDLER_TIMEOUT: { code: 'service_busy' },
  FST_ERR_VALIDATION: { code: 'validation_failed' },
}

/** For errors of the framework and its plugins that the table does not name. */
const statusCodes: Record<number, ProblemCode> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  406: 'not_acceptable',
  408: 'request_timeout',
  409: 'conflict',
  413: 'payload_too_large',
  414: 'uri_too_long',
  415: 'unsupported_media_type',
  429: 'rate_limited',
  503: 'service_busy',
}

function frameworkProblem(error: unknown): ProblemError | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, statusCode }: Partial<FastifyError> = error
  const known = code === undefined ? undefined : frameworkCodes[code]
  if (known) {
    return new ProblemError(known.code, {
      cause: error,
      ...(known.detail !== undefined && { detail: known.detail }),
    })
  }
  if (statusCode === undefined || statusCode < 400 || statusCode > 599) return undefined
  const byStatus = statusCodes[statusCode] ?? (statusCode < 500 ? 'bad_request' : undefined)
  return byStatus && new ProblemError(byStatus, { cause: error })
}
