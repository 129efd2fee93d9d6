import type { FastifyRequest } from 'fastify'
import type { Origin } from './append.ts'

/** Who sends a request, and from where. */
export function originOf(request: FastifyRequest): Origin {
  const { principal } = request
  return {
    actorType: principal ? 'user' : 'anonymous',
    actorId: principal?.userId,
    sessionId: principal?.sessionId,
    requestId: request.id,
    ip: request.clientAddress,
    userAgent: request.headers['user-agent'],
  }
}
