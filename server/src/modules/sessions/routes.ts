import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { principalOf } from '../../http/guard.ts'
import { ProblemError } from '../../http/problems.ts'
import { idOf, NoBody, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { originOf } from '../audit/index.ts'
import { BrowserHeaders, type BrowserMode } from './browser-mode.ts'
import {
  KeySetSchema,
  RefreshSchema,
  RevokedSchema,
  SessionListSchema,
  SessionSchema,
  TokensSchema,
} from './schemas.ts'
import type { Sessions } from './service.ts'
import type { KeyRing } from './signing-keys.ts'
import type { ReplyWithTokens } from './tokens-reply.ts'

const RefreshBody = Type.Union([ref(RefreshSchema), Type.Null()])

export function sessionRoutes(
  app: App,
  deps: { sessions: Sessions; keys: KeyRing; browserMode: BrowserMode; replyWithTokens: ReplyWithTokens },
): void {
  const { sessions, browserMode } = deps
  for (const schema of [TokensSchema, RefreshSchema, SessionSchema, SessionListSchema]) app.addSchema(schema)

  /** In browser mode that of the cookie and no other. */
  const refreshTokenOf = (
    request: { body: Static<typeof RefreshBody> } & FastifyRequest,
  ): string | undefined =>
    browserMode.isOn(request) ? browserMode.refreshToken(request) : request.body?.refresh_token

  /** Ends the sessions of the access token and of the refresh token: one, in nearly every case. */
  async function logOut(request: FastifyRequest, refreshToken: string | undefined): Promise<void> {
    const { principal } = request
    const origin = originOf(request)
    const byAccess =
      principal !== undefined && (await sessions.end(origin, principal.userId, principal.sessionId, 'logout'))
    const byRefresh =
      refreshToken !== undefined && (await sessions.endByRefreshToken(origin, refreshToken, 'logout'))
    if (byAccess || byRefresh) return
    if (refreshToken !== undefined) throw new ProblemError('invalid_refresh_token')
    // Ended meanwhile: perhaps for a session in its place, which the caller has to end by itself.
    throw new ProblemError(request.headers.authorization === undefined ? 'unauthorized' : 'invalid_token')
  }

  app.route({
    method: 'POST',
    url: '/auth/refresh',
    config: { access: 'public', rateLimit: 'refresh' },
    schema: {
      operationId: 'refresh',
      tags: ['sessions'],
      summary: 'Exchange a refresh token',
      description:
        'Each refresh token works once and is answered with its successor. A repetition gets the same successor ' +
        'within 10 seconds (two tabs), and within 60 while the successor has not been used (a lost reply); later it ' +
        'ends the session, since it means theft. In browser mode the token is that of the cookie, and the body may ' +
        'be left out.',
      headers: BrowserHeaders,
      body: RefreshBody,
      response: {
        200: ref(TokensSchema),
        ...problemResponses('invalid_refresh_token', 'refresh_token_reused', 'csrf_failed'),
      },
    },
    async handler(request, reply) {
      const token = refreshTokenOf(request)
      if (token === undefined) throw new ProblemError('invalid_refresh_token')
      return deps.replyWithTokens(request, reply, await sessions.refresh(token, originOf(request)))
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/logout',
    config: { access: { optional: true, invalidToken: 'ignored' }, enrolment: true },
    schema: {
      operationId: 'logout',
      tags: ['sessions'],
      summary: 'End this session',
      description:
        'Its access and refresh tokens are worth nothing from the next request on, and the cookie of browser mode is ' +
        'cleared. The access token is enough, and so is the refresh token, in the body or in browser mode in the ' +
        'cookie: an access token that has expired keeps nobody signed in. With both, both sessions end.',
      headers: BrowserHeaders,
      body: RefreshBody,
      response: {
        204: NoBody,
        ...problemResponses('unauthorized', 'invalid_token', 'invalid_refresh_token', 'csrf_failed'),
      },
    },
    async handler(request, reply) {
      const refreshToken = refreshTokenOf(request)
      browserMode.clear(reply)
      await logOut(request, refreshToken)
      return reply.code(204).send()
    },
  })

  app.route({
    method: 'POST',
    url: '/auth/logout-all',
    config: { access: 'self' },
    schema: {
      operationId: 'logoutAll',
      tags: ['sessions'],
      summary: 'End every session',
      description: 'Of the signed-in user, on all devices.',
      querystring: Type.Object(
        { keep_current: Type.Optional(Type.Boolean({ default: false, description: 'Keep this session' })) },
        { additionalProperties: false },
      ),
      response: {
        200: RevokedSchema,
      },
    },
    async handler(request, reply) {
      const { userId, sessionId } = principalOf(request)
      const except = request.query.keep_current ? sessionId : undefined
      const revoked = await sessions.endAll(originOf(request), userId, 'logout_all', except)
      if (!except) browserMode.clear(reply)
      return { revoked }
    },
  })

  app.route({
    method: 'GET',
    url: '/auth/sessions',
    config: { access: 'self' },
    schema: {
      operationId: 'listSessions',
      tags: ['sessions'],
      summary: 'List one’s sessions and devices',
      description: 'Living sessions, last used first, at most 200.',
      response: { 200: ref(SessionListSchema) },
    },
    async handler(request) {
      const { userId, sessionId } = principalOf(request)
      return { items: await sessions.list(userId, sessionId) }
    },
  })

  app.route({
    method: 'DELETE',
    url: '/auth/sessions/:session_id',
    config: { access: 'self' },
    schema: {
      operationId: 'endSession',
      tags: ['sessions'],
      summary: 'End one of one’s sessions',
      description: 'An id that is not among one’s own living sessions is not found.',
      params: Type.Object({ session_id: idOf('the session') }),
      response: {
        204: NoBody,
        ...problemResponses('not_found'),
      },
    },
    async handler(request, reply) {
      const { userId } = principalOf(request)
      const ended = await sessions.end(originOf(request), userId, request.params.session_id, 'revoked')
      if (!ended) throw new ProblemError('not_found')
      return reply.code(204).send()
    },
  })

  jwksRoute(app, '/auth/.well-known/jwks.json', 'jwksUnderAuth', deps.keys)
}

/** The public keys, also at the root of the service, where clients of OpenID Connect look. */
export function jwksRoute(app: App, url: string, operationId: string, keys: KeyRing): void {
  app.route({
    method: 'GET',
    url,
    config: { access: 'public' },
    schema: {
      operationId,
      tags: ['sessions'],
      summary: 'Public keys for verifying access tokens',
      description: 'A JSON Web Key Set (RFC 7517). A new key is here ten minutes before it signs.',
      response: { 200: KeySetSchema },
    },
    handler(_request, reply) {
      reply.header('cache-control', 'public, max-age=300').send(keys.jwks())
    },
  })
}
