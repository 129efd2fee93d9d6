import '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ProblemError } from '../../http/problems.ts'
import type { App } from '../../http/types.ts'

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
}

export function createBrowserMode(
  app: App,
  settings: { publicUrl: string; allowedOrigins: '*' | readonly string[] },
): BrowserMode {
  const secure = settings.publicUrl.startsWith('https:')
  const name = secure ? '__Host-roster_refresh' : 'roster_refresh'
  const attributes = { path: '/', httpOnly: true, sameSite: 'strict', secure } as const

  function isOurs(origin: string): boolean {
    if (origin === new URL(settings.publicUrl).origin) return true
    if (settings.allowedOrigins !== '*') return settings.allowedOrigins.includes(origin)
    return URL.canParse(origin) && ['localhost', '127.0.0.1', '[::1]'].includes(new URL(origin).hostname)
  }

  return {
    isOn(request) {
      if (request.headers['x-roster-client'] !== 'browser') return false
      if (!isOurs(request.headers.origin ?? '')) throw new ProblemError('csrf_failed')
      return true
    },
    refreshToken: request => app.parseCookie(request.headers.cookie ?? '')[name],
    keep: (reply, refreshToken, maxAge) =>
      void reply.setCookie(name, refreshToken, { ...attributes, maxAge }),
    clear: reply => void reply.clearCookie(name, attributes),
  }
}
