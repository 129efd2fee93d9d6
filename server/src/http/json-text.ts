import type { FastifyReply } from 'fastify'

/**
 * Sends JSON that is text already. Whoever keeps a reply serialised answers for its shape; tests still check
 * it against the declared schema.
 */
export function sendJsonText(reply: FastifyReply, json: string): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(json)
}
