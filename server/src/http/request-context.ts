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
 * where there is an Origin, and what no route may see (NUL characters, malformed query strings, two hosts).
 */
export function installRequestContext(
  app: FastifyInstance,
  { writeHeaders, cors, log }: RequestContext,
): void {
  app.decorateRequest('startedAt', 0)
  const unshared: string[] = []
  app.decorate('withoutCors', prefix => void unshared.push(prefix))
  app.addHook('onRequest', function beginRequest(request, reply, done) {
    request.startedAt = performance.now()
    request.log = reply.log = new RequestLogger(log, request.id)
    writeHeaders(request.id, reply)
    const { raw } = request
    const url = raw.url ?? ''
    if (!hasOneHost(raw)) {
      reply.header('connection', 'close')
      return done(
        new ProblemError('bad_request', { detail: 'The request names no version, or several hosts.' }),
      )
    }
    const refusal = refuse(url, request.query)
    if (refusal !== undefined) return done(refusal)
    if (raw.headers.origin === undefined || unshared.some(prefix => url.startsWith(prefix))) return done()
    cors.call(app, request, reply, done)
  })
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Milliseconds of `performance.now()` at which the request reached the service. */
    startedAt: number
  }
  interface FastifyInstance {
    /** Lets no page of another origin read what paths with this beginning answer, in development either. */
    withoutCors(prefix: string): void
  }
}

/**
 * Two Host headers must be refused (RFC 9112, section 3.2): a proxy in front may have gone by the other one. Node
 * refuses none at all, but takes a request line without a version for HTTP/0.9, which knows no headers.
 */
function hasOneHost({ httpVersionMajor, rawHeaders }: IncomingMessage): boolean {
  if (httpVersionMajor < 1) return false
  let hosts = 0
  for (let n = 0; n < rawHeaders.length; n += 2) {
    const name = rawHeaders[n]
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  return hosts <= 1
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
