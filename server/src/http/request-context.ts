import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, onRequestHookHandler } from 'fastify'
import type { Logger } from 'pino'
import { ProblemError } from './problems.ts'
import { MalformedQuery, refuseInput } from './query-string.ts'
import { setCommonHeaders } from './ready-lines.ts'
import { RequestLogger } from './request-log.ts'
import type { HeaderTable } from './security-headers.ts'

/**
 * Names each request. A caller's X-Request-Id is kept where it is harmless to log (64 letters, digits, `.`,
 * `_`, `-` at most), so that one id follows a request through several services. Otherwise a random prefix of
 * this process and a count: unique, and next to free.
 */
export function createRequestIds(): (request: IncomingMessage) => string {
  const prefix = randomBytes(6).toString('hex')
  let count = 0
  return request => {
    const given = request.headers['x-request-id']
    if (typeof given === 'string' && /^[\w.-]{1,64}$/.test(given)) return given
    return `${prefix}-${(count++).toString(36)}`
  }
}

/** Puts the headers on a reply that every reply has. */
export function createHeaderWriter(headers: HeaderTable): (id: string, reply: FastifyReply) => void {
  return (id, reply) => setCommonHeaders(reply, headers, id)
}

export type RequestContext = {
  writeHeaders: (id: string, reply: FastifyReply) => void
  /** For requests that have an Origin. */
  cors: onRequestHookHandler
  log: Logger
}

/**
 * The first hook of every request, and the only one that all share: headers, the clock of its duration, CORS
 * where there is an Origin, and what no route may see (NUL characters, malformed query strings).
 */
export function installRequestContext(
  app: FastifyInstance,
  { writeHeaders, cors, log }: RequestContext,
): void {
  app.decorateRequest('startedAt', 0)
  app.addHook('onRequest', function beginRequest(request, reply, done) {
    request.startedAt = performance.now()
    request.log = reply.log = new RequestLogger(log, request.id)
    writeHeaders(request.id, reply)
    const refusal = refuse(request.raw.url ?? '', request.query)
    if (refusal !== undefined) return done(refusal)
    if (request.raw.headers.origin === undefined) return done()
    cors.call(app, request, reply, done)
  })
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Milliseconds of `performance.now()` at which the request reached the service. */
    startedAt: number
  }
}

function refuse(url: string, query: unknown): ProblemError | undefined {
  if (query instanceof MalformedQuery) return refuseInput(query.field)
  if (!url.includes('%00')) return undefined
  const detail = 'The path must not contain a NUL character.'
  return new ProblemError('validation_failed', {
    detail,
    errors: [{ path: 'path', code: 'nul_character', message: detail }],
  })
}
