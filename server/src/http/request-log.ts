import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'

/** Logs a reply; `route` is the pattern, `seconds` how long it took. */
export type LogRequest = (
  request: FastifyRequest,
  reply: FastifyReply,
  route: string,
  seconds: number,
) => void

/**
 * One line for each request that matters: failures of the service at error, what may change something at
 * info, reads at debug. Route patterns and addresses only: never bodies, query strings or headers.
 */
export function createRequestLog(log: Logger): LogRequest {
  const debug = log.isLevelEnabled('debug')
  return (request, reply, route, seconds) => {
    const { method } = request
    const status = reply.statusCode
    const isRead = method === 'GET' || method === 'HEAD'
    if (isRead && status < 500 && !debug) return
    const level = status >= 500 ? 'error' : isRead ? 'debug' : 'info'
    log[level](
      {
        request_id: request.id,
        method,
        route,
        status,
        duration_ms: Math.round(seconds * 1e6) / 1e3,
        client_address: request.clientAddress,
      },
      'request',
    )
  }
}

/**
 * A request's own logger, which costs nothing until it is used: pino's child is made with the first line,
 * and most requests write none.
 */
export class RequestLogger implements FastifyBaseLogger {
  readonly #parent: Logger
  readonly #requestId: string
  #made: Logger | undefined

  constructor(parent: Logger, requestId: string) {
    this.#parent = parent
    this.#requestId = requestId
  }

  get #log(): Logger {
    this.#made ??= this.#parent.child({ request_id: this.#requestId })
    return this.#made
  }

  get level(): string {
    return this.#parent.level
  }

  child(bindings: Record<string, unknown>): Logger {
    return this.#log.child(bindings)
  }

  fatal(...line: [obj: unknown, msg?: string]): void {
    this.#log.fatal(...line)
  }

  error(...line: [obj: unknown, msg?: string]): void {
    this.#log.error(...line)
  }

  warn(...line: [obj: unknown, msg?: string]): void {
    this.#log.warn(...line)
  }

  info(...line: [obj: unknown, msg?: string]): void {
    this.#log.info(...line)
  }

  debug(...line: [obj: unknown, msg?: string]): void {
    this.#log.debug(...line)
  }

  trace(...line: [obj: unknown, msg?: string]): void {
    this.#log.trace(...line)
  }

  silent(): void {
    // As pino's: logs nothing.
  }
}
