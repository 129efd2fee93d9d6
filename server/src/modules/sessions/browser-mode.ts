import '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { ProblemError } from '../../http/problems.ts'
import type { App } from '../../http/types.ts'
import { isLoopbackUrl } from '../../lib/loopback.ts'
import { randomToken } from '../../lib/secrets.ts'

/**
 * Browser mode: a page that sends `X-Roster-Client: browser` never sees its refresh token. It travels in an
 * HttpOnly, SameSite=Strict cookie. The header, which no form and no foreign page can send without a CORS
 * preflight, and the Origin together keep other sites from using the cookie.
 */
export type BrowserMode = {
  /** Whether the request is one. @throws ProblemError csrf_failed where its Origin is not ours */
  isOn(request: FastifyRequest): boolean
  refreshToken(request: FastifyRequest): string | undefined
  keep(reply: FastifyReply, refreshToken: string, maxAge: number): void
  clear(reply: FastifyReply): void
  /** What this browser is recognised by at its next sign-in; undefined outside browser mode. */
  device(request: FastifyRequest, reply: FastifyReply): string | undefined
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
  },
): BrowserMode {
  const secure = settings.publicUrl.startsWith('https:')
  const prefix = secure ? '__Host-' : ''
  const name = `${prefix}roster_refresh`
  const deviceName = `${prefix}roster_device`
  const attributes = { path: '/', httpOnly: true, sameSite: 'strict', secure } as const

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

  return {
    isOn,
    refreshToken: request => app.parseCookie(request.headers.cookie ?? '')[name],
    keep: (reply, refreshToken, maxAge) =>
      void reply.setCookie(name, refreshToken, { ...attributes, maxAge }),
    clear: reply => void reply.clearCookie(name, attributes),
    device(request, reply) {
      if (!isOn(request)) return undefined
      const kept = app.parseCookie(request.headers.cookie ?? '')[deviceName]
      const device = kept !== undefined && /^[\w-]{22}$/.test(kept) ? kept : randomToken(16)
      reply.setCookie(deviceName, device, { ...attributes, maxAge: deviceMemory })
      return device
    },
  }
}
