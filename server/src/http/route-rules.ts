import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, RouteOptions } from 'fastify'
import { Type } from 'typebox'
import type { Metrics } from './metrics.ts'
import type { ProblemCode } from './problems.ts'
import { defaultGroup, type RateLimiter } from './rate-limits.ts'
import type { LogRequest } from './request-log.ts'
import { type ProblemResponse, problemResponses } from './schemas.ts'
import type { Access } from './types.ts'

export type RouteRules = {
  limiter: RateLimiter
  metrics: Metrics
  logRequest: LogRequest
}

/**
 * What every route gets and must have, settled when it is added, so that a request pays for none of it: its
 * declared access and documentation (or the start fails), the errors any route can answer, its limit, and its
 * own place in the histogram.
 */
export function installRouteRules(app: FastifyInstance, rules: RouteRules): void {
  app.addHook('onRoute', route => {
    // The catch-all that @fastify/cors answers preflights with.
    if (route.url === '*') return
    const access = route.config?.access
    if (access === undefined) {
      throw new Error(`${nameOf(route)} has no config.access: every route says who may call it`)
    }
    if (route.config?.stepUp !== undefined && !hasCaller(access)) {
      throw new Error(`${nameOf(route)} wants a proof of callers who need not be signed in`)
    }
    const group = route.config?.rateLimit ?? defaultGroup(firstMethod(route))
    const limit = group === false ? undefined : rules.limiter(group)
    route.schema = completeSchema(route, limit !== undefined)
    route.onRequest = [limit ?? [], route.onRequest ?? []].flat()
    route.onSend = [route.onSend ?? [], createFinish(route.url, firstMethod(route), rules)].flat()
  })
}

/** A hook that notes the reply in the histogram and the log. `route` is its pattern. */
export function createFinish(route: string, method: string, { metrics, logRequest }: RouteRules) {
  const observe = metrics.observer(method, route)
  return function finishRequest(
    request: FastifyRequest,
    reply: FastifyReply,
    payload: unknown,
    done: (error: null, payload: unknown) => void,
  ): void {
    const seconds = (performance.now() - request.startedAt) / 1000
    observe(reply.raw.statusCode, seconds)
    logRequest(request, reply, route, seconds)
    done(null, payload)
  }
}

const firstMethod = ({ method }: RouteOptions): string => [method].flat()[0] ?? 'GET'

const nameOf = (route: RouteOptions): string => `${[route.method].flat().join(',')} ${route.url}`

/** Whether a route can't be called without a token. */
const hasCaller = (access: Access): boolean =>
  access !== 'public' && !(typeof access === 'object' && 'optional' in access)

const NoQuery = Type.Object({}, { additionalProperties: false })

function completeSchema(route: RouteOptions, limited: boolean): FastifySchema {
  const schema: FastifySchema = route.schema ?? {}
  if (schema.hide) return schema
  checkDocumentation(route, schema)
  const declared = (schema.response ?? {}) as Record<string, unknown>
  return {
    ...schema,
    ...(schema.querystring === undefined && { querystring: NoQuery }),
    response: mergeReplies(problemResponses(...commonProblems(route, limited)), declared),
  }
}

/** Where the route declares a problem of a status that is common too, the entry names the codes of both. */
function mergeReplies(
  common: Record<string, ProblemResponse>,
  declared: Record<string, unknown>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...declared }
  for (const [status, reply] of Object.entries(common)) {
    const own = declared[status]
    const codes =
      typeof own === 'object' && own !== null && 'x-problem-codes' in own ? own['x-problem-codes'] : []
    if (own === undefined) merged[status] = reply
    else if (Array.isArray(codes) && codes.length > 0) {
      Object.assign(merged, problemResponses(...new Set([...codes, ...reply['x-problem-codes']])))
    }
  }
  return merged
}

function checkDocumentation(route: RouteOptions, schema: FastifySchema): void {
  const missing = (['operationId', 'summary', 'description', 'tags'] as const).filter(
    name => !schema[name]?.length,
  )
  if (missing.length > 0)
    throw new Error(`${nameOf(route)} is not documented: its schema lacks ${missing.join(', ')}`)
  if (!schema.response) throw new Error(`${nameOf(route)} declares no response`)
}

function commonProblems(route: RouteOptions, limited: boolean): ProblemCode[] {
  const access = route.config?.access
  const guarded = access !== 'public'
  return [
    'bad_request',
    'validation_failed',
    'headers_too_large',
    ...(route.url.includes(':') ? (['uri_too_long'] as const) : []),
    // Also where the route takes no body: one that is sent is read all the same.
    ...(['GET', 'HEAD'].includes(firstMethod(route))
      ? []
      : (['malformed_json', 'payload_too_large', 'unsupported_media_type'] as const)),
    ...(guarded ? (['unauthorized', 'invalid_token', 'forbidden'] as const) : []),
    ...(guarded && !route.config?.enrolment ? (['mfa_enrolment_required'] as const) : []),
    ...(route.config?.stepUp ? (['step_up_required'] as const) : []),
    ...(limited ? (['rate_limited'] as const) : []),
    'internal_error',
    'database_unavailable',
    'service_busy',
  ]
}
