import { authenticate, type Rules, type Verify, type Who } from './guard.ts'

/* A few lines for each framework, which need none of them: a request and a reply are what they use of one. */

type NodeRequest = { headers: { authorization?: string | undefined } }
type NodeReply = {
  writeHead(status: number, headers: Record<string, string>): { end(body: string): unknown }
}

/**
 * Express middleware: `req.who` is whoever signed in; without them the reply is 401, or 403 without a role.
 * Where `verify` can't tell, the error goes to Express.
 */
export function expressGuard<W extends Who>(verify: Verify<W>, rules?: Rules) {
  return (
    request: NodeRequest & { who?: W },
    reply: NodeReply,
    next: (error?: unknown) => void,
  ): Promise<void> =>
    authenticate(request.headers.authorization, verify, rules).then(found => {
      if ('refusal' in found) {
        const { status, headers, body } = found.refusal
        reply.writeHead(status, headers).end(body)
        return
      }
      request.who = found.who
      next()
    }, next)
}

type FastifyReplyLike = {
  code(status: number): FastifyReplyLike
  headers(values: Record<string, string>): FastifyReplyLike
  send(body: string): unknown
}

/** A Fastify hook (`onRequest` or `preHandler`): `request.who` is whoever signed in, else the reply is 401 or 403. */
export function fastifyGuard<W extends Who>(verify: Verify<W>, rules?: Rules) {
  return async (request: NodeRequest & { who?: W }, reply: FastifyReplyLike): Promise<unknown> => {
    const found = await authenticate(request.headers.authorization, verify, rules)
    if ('refusal' in found) {
      const { status, headers, body } = found.refusal
      return reply.code(status).headers(headers).send(body)
    }
    request.who = found.who
    return undefined
  }
}

/**
 * Wraps a route handler of Next.js, or of anything that takes a `Request` and answers a `Response`: it is given
 * whoever signed in, else the reply is 401 or 403.
 */
export function withUser<W extends Who, Context>(
  verify: Verify<W>,
  handler: (request: Request, who: W, context: Context) => Response | Promise<Response>,
  rules?: Rules,
): (request: Request, context: Context) => Promise<Response> {
  return async (request, context) => {
    const found = await authenticate(request.headers.get('authorization'), verify, rules)
    if ('who' in found) return handler(request, found.who, context)
    const { status, headers, body } = found.refusal
    return new Response(body, { status, headers })
  }
}
