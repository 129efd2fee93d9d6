import '@fastify/cookie'
import type { FastifyRequest } from 'fastify'
import type { Principal } from '../http/principal.ts'
import type { Authenticator, BrowserMode } from '../modules/sessions/index.ts'
import type { User, UserReader } from '../modules/users/index.ts'

/** Who is signed in in a browser. */
export type Visitor = { principal: Principal; user: User }

/**
 * Reads who is signed in from the cookie that pages alone read. It comes along when somebody follows a link from
 * another site, which the refresh token's does not; it opens no route of the API.
 */
export function createVisitorReader(deps: {
  authenticator: Authenticator
  browserMode: BrowserMode
  users: UserReader
}): (request: FastifyRequest) => Promise<Visitor | undefined> {
  return async request => {
    const sessionId = deps.browserMode.sessionId(request)
    const principal = sessionId && (await deps.authenticator.authenticateSession(sessionId))
    if (!principal) return undefined
    return { principal, user: await deps.users.read(principal.userId) }
  }
}

/** What a page calls somebody. */
export const calledName = ({ user }: Visitor): string => user.full_name ?? user.username
