import cors, { type FastifyCorsOptions } from '@fastify/cors'
import type {
  FastifyInstance,
  onRequestHookHandler,
  RouteHandlerMethod,
  RouteShorthandOptions,
} from 'fastify'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const allowedHeaders = [
  'Authorization',
  'Content-Type',
  'If-Match',
  'X-Roster-Client',
  'X-Request-Id',
  'Last-Event-ID',
]
const exposedHeaders = [
  'ETag',
  'Location',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
]

/** Two hours: the longest that Chromium keeps a preflight. */
const preflightSeconds = 7200

/** Scheme and host of an origin, compared exactly; `null` (sandboxed frames, files) is never one. */
const isOrigin = (text: string): boolean => /^https?:\/\/[^/\s]+$/.test(text)

/** Whose pages may read what a request is answered with. */
export type CorsRules = { environment: 'development' | 'production'; allowedOrigins: '*' | readonly string[] }

/**
 * Cross-origin access: any origin in development, whatever the list says, an exact list in production, cookies
 * included. Browsers keep SameSite=Strict cookies from other sites, and browser mode looks at the origin itself. The plugin's
 * hook costs a microsecond, and a request without an Origin header has no use for it; so the hook is taken
 * from the plugin, and handed back for the caller to run where there is one.
 */
export function installCors(
  app: FastifyInstance,
  { environment, allowedOrigins }: CorsRules,
): onRequestHookHandler {
  const allowed = environment === 'development' ? '*' : allowedOrigins
  const options: FastifyCorsOptions = {
    origin: (origin, callback) => callback(null, isAllowed(origin, allowed)),
    credentials: true,
    methods,
    allowedHeaders,
    exposedHeaders,
    maxAge: preflightSeconds,
  }
  let taken: onRequestHookHandler | undefined
  // The same derivation that Fastify itself uses for an encapsulated plugin, with two methods replaced.
  const scope: FastifyInstance = Object.create(app, {
    addHook: {
      value: (_name: 'onRequest', hook: onRequestHookHandler) => {
        taken = hook
      },
    },
    options: {
      value: (path: string, route: RouteShorthandOptions, handler: RouteHandlerMethod) =>
        app.options(path, { ...route, config: { access: 'public', rateLimit: false } }, handler),
    },
  })
  cors(scope, options, () => undefined)
  if (taken === undefined) throw new Error('@fastify/cors added no hook')
  return taken
}

function isAllowed(origin: string | undefined, allowed: '*' | readonly string[]): boolean {
  if (origin === undefined || !isOrigin(origin)) return false
  return allowed === '*' || allowed.includes(origin)
}
