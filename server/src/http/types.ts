import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { RateLimitGroup } from '../config.ts'
import type { FieldRules } from './field-rules.ts'
import type { StepUp } from './step-up.ts'

/** The server that modules add their routes to. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/**
 * Who may call a route: anyone; the signed-in user, about their own things; holders of a permission; or anyone,
 * with the principal filled in where a token is given. There a token that is not valid is refused, or, where the
 * route takes another proof as well, counts as none.
 */
export type Access = 'public' | 'self' | { permission: string } | OptionalAccess
export type OptionalAccess = { optional: true; invalidToken?: 'ignored' }

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Required: a route without it makes the start fail. */
    access?: Access
    /** The limit that the route counts in; by default `read` for GET and HEAD, `write` for the rest. */
    rateLimit?: RateLimitGroup | false
    /** How recently, and how well, the caller must have proved who they are, where a living session is not enough. */
    stepUp?: StepUp
    /** What the fields of the body, or of the query string, must keep to beside their schema. */
    rules?: FieldRules
    /** Also for sessions that can do nothing yet but enrol the second factor which a role of theirs demands. */
    enrolment?: boolean
  }
  interface FastifyRequest {
    /** The client's address, canonical; through a proxy only where that is trusted. */
    readonly clientAddress: string
  }
}
