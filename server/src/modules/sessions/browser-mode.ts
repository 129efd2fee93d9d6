import '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { ProblemError } from '../../http/problems.ts'
import type { App } from '../../http/types.ts'
import { isUuid } from '../../lib/ids.ts'
import { isLoopbackUrl } from '../../lib/loopback.ts'
import { equalInConstantTime, hmacSha256, randomToken } from '../../lib/secrets.ts'

/**
 * Browser mode: a page that sends `X-Roster-Client: browser` never sees its refresh token. It travels in an
 * HttpOnly, SameSite=Strict cookie. The header, which no form and no foreign page can send without a CORS
 * preflight, and the Origin together keep other sites from using the cookie.
 */
export type BrowserMode = {
  /** Whether the request is one. @throws ProblemError csrf_failed where its Origin is not ours */
  isOn(request: FastifyRequest): boolean
  /** Whether pages of an origin may act for whoever is signed in. */
  isOurs(origin: string): boolean
  refreshToken(request: FastifyRequest): string | undefined
  /** Which session a page of ours is opened in; nobody else's, and none that was made up. It may have ended. */
  sessionId(request: FastifyRequest): string | undefined
  /** Keeps what `tokens` hold in the browser: the refresh token, and by which session our own pages know it. */
  keep(
    reply: FastifyReply,
    tokens: { refresh_token: string; refresh_expires_in: number; session_id: string },
  ): void
  clear(reply: FastifyReply): void
  /** What this browser is recognised by at its next sign-in; undefined outside browser mode. */
  device(request: FastifyRequest, reply: FastifyReply): string | undefined
  /** The same for our own pages: what it is recognised by, or is from now on. */
  deviceOf(request: FastifyRequest): string
  keepDevice(reply: FastifyReply, device: string): void
}

/** The headers of routes that answer with tokens. */
export const BrowserHeaders = Type.Object({
  'X-Roster-Client': Type.Optional(
    Type.String({
      description:
        '`browser` for browser mode: the refresh token is in an HttpOnly cookie and not in the body, and the ' +
        'request needs an `Origin` that is allowed. Any other value is as none.',
    }),
  ),
})

/** Seconds; the longest that browsers keep a cookie. */
const deviceMemory = 400 * 86_400

export function createBrowserMode(
  app: App,
  settings: {
    environment: 'development' | 'production'
    publicUrl: string
    allowedOrigins: '*' | readonly string[]
    /** Proves that we wrote the cookie of a page's session. */
    pageSessionKey: Buffer
  },
): BrowserMode {
  const secure = settings.publicUrl.startsWith('https:')
  const prefix = secure ? '__Host-' : ''
  const name = `${prefix}roster_refresh`
  const deviceName = `${prefix}roster_device`
  const sessionName = `${prefix}roster_session`
  const attributes = { path: '/', httpOnly: true, sameSite: 'strict', secure } as const
  // Lax, so that whoever follows a link to a page of ours from another site is known there. Only pages read it.
  const pageAttributes = { ...attributes, sameSite: 'lax' } as const
  const cookieOf = (request: FastifyRequest, cookie: string) =>
    app.parseCookie(request.headers.cookie ?? '')[cookie]
  const macOf = (sessionId: string) => hmacSha256(settings.pageSessionKey, sessionId).toString('base64url')

  /** In development also any page of this machine, never one from elsewhere, though CORS lets that read. */
  function isOurs(origin: string): boolean {
    const { environment, publicUrl, allowedOrigins } = settings
    if (origin === new URL(publicUrl).origin) return true
    if (allowedOrigins !== '*' && allowedOrigins.includes(origin)) return true
    return environment === 'development' && isLoopbackUrl(publicUrl) && isLoopbackUrl(origin)
  }

  function isOn(request: FastifyRequest): boolean {
    if (request.headers['x-roster-client'] !== 'browser') return false
    if (!isOurs(request.headers.origin ?? '')) throw new ProblemError('csrf_failed')
    return true
  }

  function deviceOf(request: FastifyRequest): string {
    const kept = cookieOf(request, deviceName)
    return kept !== undefined && /^[\w-]{22}$/.test(kept) ? kept : randomToken(16)
  }

  const keepDevice = (reply: FastifyReply, device: string) =>
    void reply.setCookie(deviceName, device, { ...attributes, maxAge: deviceMemory })

  return {
    isOn,
    isOurs,
    refreshToken: request => cookieOf(request, name),
    sessionId(request) {
      const [id = '', mac = ''] = (cookieOf(request, sessionName) ?? '').split('.')
      return isUuid(id) && equalInConstantTime(mac, macOf(id)) ? id : undefined
    },
    keep(reply, { refresh_token, refresh_expires_in: maxAge, session_id }) {
      reply.setCookie(name, refresh_token, { ...attributes, maxAge })
      reply.setCookie(sessionName, `${session_id}.${macOf(session_id)}`, { ...pageAttributes, maxAge })
    },
    clear(reply) {
      reply.clearCookie(name, attributes)
      reply.clearCookie(sessionName, pageAttributes)
    },
    device(request, reply) {
      if (!isOn(request)) return undefined
      const device = deviceOf(request)
      keepDevice(reply, device)
      return device
    },
    deviceOf,
    keepDevice,
  }
}
