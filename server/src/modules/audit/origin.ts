import type { FastifyRequest } from 'fastify'
import type { Principal } from '../../http/principal.ts'
import type { Origin } from './append.ts'

/** Who sends a request, and from where. A page knows its principal by a cookie, and gives it. */
export function originOf(
  request: FastifyRequest,
  principal: Principal | undefined = request.principal,
): Origin {
  return {
    actorType: principal ? 'user' : 'anonymous',
    actorId: principal?.userId,
    sessionId: principal?.sessionId,
    requestId: request.id,
    ip: request.clientAddress,
    userAgent: request.headers['user-agent'],
  }
}
