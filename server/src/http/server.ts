import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, { LogController } from 'fastify'
import type { Logger } from 'pino'
import type { RateLimits } from '../config.ts'
import type { Clock } from '../lib/clock.ts'
import { createClientAddressReader } from './client-address.ts'
import { createClientErrorHandler } from './client-errors.ts'
import { installCors } from './cors.ts'
import { sendProblem, toProblem } from './errors.ts'
import { installFieldRules } from './field-rules.ts'
import type { Metrics } from './metrics.ts'
import { createNotFoundHandler } from './not-found.ts'
import { installOpenApi } from './openapi.ts'
import { createProblemReport } from './problem-report.ts'
import { ProblemSchema } from './problem-schema.ts'
import { ProblemError } from './problems.ts'
import { parseQueryString } from './query-string.ts'
import { createRateLimiter, type RateLimitStore } from './rate-limits.ts'
import { createResponseClass } from './ready-lines.ts'
import { createHeaderWriter, createRequestIds, installRequestContext } from './request-context.ts'
import { createRequestLog } from './request-log.ts'
import { installStrictResponses, type OnUndeclared, UndeclaredResponseError } from './responses.ts'
import { createFinish, installRouteRules } from './route-rules.ts'
import { apiHeaders } from './security-headers.ts'
import { installStrictJson, maxBodyBytes } from './strict-json.ts'
import type { App } from './types.ts'
import { installValidation } from './validation.ts'

/** What the server needs to know of the configuration. */
export type ServerConfig = {
  environment: 'development' | 'production'
  publicUrl: string
  trustedProxies: readonly string[]
  allowedOrigins: '*' | readonly string[]
  rateLimits: RateLimits
}

export type ServerOptions = {
  config: ServerConfig
  clock: Clock
  log: Logger
  metrics: Metrics
  /** Of the OpenAPI document. */
  version: string
  /** Where request counts are kept; by default in this process. */
  rateLimitStore?: RateLimitStore
  /** For a test: compiles every schema at the start, so that a broken one can't hide until it is used. */
  eagerSchemas?: boolean
  /** For tests: makes undeclared replies fail, and tells of each. */
  onUndeclaredResponse?: OnUndeclared
}

/** Milliseconds until a client must have sent its headers, and its whole request. */
const headersTimeout = 10_000
const requestTimeout = 20_000

/**
 * The HTTP server with everything that all routes share: limits, strict parsing and validation, problem
 * details, request ids, security headers, CORS, request limits, metrics, logs and the OpenAPI document.
 * Routes are added by the modules; each must declare `config.access`.
 */
export function createServer(options: ServerOptions): App {
  const { config, clock, log, metrics } = options
  const headers = apiHeaders(config.publicUrl)
  const writeHeaders = createHeaderWriter(headers)
  const clientAddress = createClientAddressReader(config.trustedProxies)
  const strict = options.onUndeclaredResponse !== undefined
  const report = createProblemReport({ metrics, log })

  const app: App = fastify({
    bodyLimit: maxBodyBytes,
    requestTimeout,
    connectionTimeout: 120_000,
    keepAliveTimeout: 65_000,
    // Requests that arrive while the server drains are answered, with `Connection: close`.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    http: {
      ServerResponse: createResponseClass(headers),
      // Requests without a body get no stream for one: a microsecond less for each GET.
      optimizeEmptyRequests: true,
      headersTimeout,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 16 * 1024,
    },
    routerOptions: {
      caseSensitive: true,
      ignoreTrailingSlash: true,
      maxParamLength: 300,
      querystringParser: text => parseQueryString(text) as Record<string, unknown>,
    },
    genReqId: createRequestIds(),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    clientErrorHandler: createClientErrorHandler(headers, metrics),
    frameworkErrors: (error, request, reply) => {
      report(request, error)
      writeHeaders(request.id, reply)
      sendProblem(request, reply, toProblem(error))
    },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.log = log
  app.addHook('preClose', async () => endConnections(app))

  app.decorateRequest('clientAddress', {
    getter() {
      return clientAddress(this.raw)
    },
  })
  app.addSchema(ProblemSchema)
  installStrictJson(app)
  installValidation(app, { eager: options.eagerSchemas ?? false })

  // A hook, so that plugins with an error handler of their own, for replies of another form, are covered too.
  app.addHook('onError', (request, _reply, error, done) => {
    report(request, error)
    done()
  })
  app.setErrorHandler((error, request, reply) => {
    const isUndeclared = strict && error instanceof UndeclaredResponseError
    return sendProblem(request, reply, isUndeclared ? reveal(error) : toProblem(error))
  })

  const rules = {
    limiter: createRateLimiter({
      environment: config.environment,
      rateLimits: config.rateLimits,
      clock,
      clientAddress,
      ...(options.rateLimitStore && { store: options.rateLimitStore }),
    }),
    metrics,
    logRequest: createRequestLog(log),
  }
  if (options.onUndeclaredResponse) installStrictResponses(app, options.onUndeclaredResponse)
  installRouteRules(app, rules)
  installFieldRules(app)
  const handleNotFound = createNotFoundHandler(app, report)
  installRequestContext(app, { writeHeaders, cors: installCors(app, config), log })
  const limitUnknown = rules.limiter('read')
  const finishUnknown = createFinish('(none)', '(any)', rules)
  app.setNotFoundHandler(limitUnknown ? { preHandler: limitUnknown } : {}, (request, reply) => {
    handleNotFound(request, reply)
    finishUnknown(request, reply, undefined, () => undefined)
  })
  installOpenApi(app, { publicUrl: config.publicUrl, version: options.version })
  return app
}

const reveal = (error: Error): ProblemError =>
  new ProblemError('internal_error', { detail: error.message, cause: error })

/** Milliseconds for what is under way when the server closes. Only a client that stops sending or reading takes longer. */
const closePatience = 15_000

/**
 * Closes each connection as its request is answered: the server by itself looks once for idle ones, and those with
 * a request under way would stay for a minute after it.
 */
function endConnections({ server }: App): void {
  const idle = setInterval(() => server.closeIdleConnections(), 100)
  const last = setTimeout(() => server.closeAllConnections(), closePatience)
  server.once('close', () => {
    clearInterval(idle)
    clearTimeout(last)
  })
}
