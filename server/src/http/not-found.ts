import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { pathOf, sendProblem } from './errors.ts'
import { ProblemError } from './problems.ts'

type KnownPath = { segments: string[]; methods: Set<string> }

/**
 * Answers what no route matched: 405 with `Allow` where the path has other methods (RFC 9110 section 15.5.6),
 * 204 with `Allow` for OPTIONS on such a path, else 404.
 */
export function createNotFoundHandler(app: FastifyInstance) {
  const known = new Map<string, KnownPath>()
  app.addHook('onRoute', ({ url, method }) => {
    if (url === '*') return
    const entry = known.get(url) ?? { segments: segmentsOf(url), methods: new Set() }
    for (const one of [method].flat()) entry.methods.add(one)
    known.set(url, entry)
  })

  return function handleNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const allowed = methodsOf(pathOf(request.raw.url), known.values())
    if (allowed.length === 0) return sendProblem(request, reply, new ProblemError('not_found'))
    reply.header('allow', allowed.join(', '))
    if (request.method === 'OPTIONS') return reply.code(204).send()
    return sendProblem(request, reply, new ProblemError('method_not_allowed'))
  }
}

function methodsOf(path: string, known: Iterable<KnownPath>): string[] {
  const segments = segmentsOf(path)
  const methods = new Set<string>()
  for (const candidate of known) {
    if (matches(candidate.segments, segments)) for (const method of candidate.methods) methods.add(method)
  }
  return [...methods].sort()
}

/** A slash at the end makes no difference; one more in the middle does, as it does to the router. */
const segmentsOf = (path: string): string[] => path.slice(1).replace(/\/$/, '').split('/')

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  const isPrefix = pattern.at(-1) === '*'
  if (isPrefix ? segments.length < pattern.length - 1 : segments.length !== pattern.length) return false
  return pattern.every((part, index) => part === '*' || part.startsWith(':') || part === segments[index])
}
