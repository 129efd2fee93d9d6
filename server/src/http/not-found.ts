import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { pathOf, sendProblem } from './errors.ts'
import type { ReportProblem } from './problem-report.ts'
import { ProblemError } from './problems.ts'

type KnownPath = { segments: string[]; methods: Set<string> }

type SendProblem = typeof sendProblem

declare module 'fastify' {
  interface FastifyInstance {
    /** Sends what no route below `prefix` matched in another form than that of problem details. */
    sendUnknownWith(prefix: string, send: SendProblem): void
  }
}

/**
 * Answers what no route matched: 405 with `Allow` where the path has other methods (RFC 9110 section 15.5.6),
 * 204 with `Allow` for OPTIONS on such a path, else 404.
 */
export function createNotFoundHandler(app: FastifyInstance, report: ReportProblem) {
  const known = new Map<string, KnownPath>()
  app.addHook('onRoute', ({ url, method }) => {
    if (url === '*') return
    const entry = known.get(url) ?? { segments: segmentsOf(url), methods: new Set() }
    for (const one of [method].flat()) entry.methods.add(one)
    known.set(url, entry)
  })

  const senders = new Map<string, SendProblem>()
  app.decorate('sendUnknownWith', (prefix, send) => void senders.set(prefix, send))

  return function handleNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const path = pathOf(request.raw.url)
    const allowed = methodsOf(path, known.values())
    if (allowed.length > 0) reply.header('allow', allowed.join(', '))
    if (allowed.length > 0 && request.method === 'OPTIONS') return reply.code(204).send()
    const problem = new ProblemError(allowed.length > 0 ? 'method_not_allowed' : 'not_found')
    report(request, problem)
    const prefix = [...senders.keys()].find(one => path === one || path.startsWith(`${one}/`))
    const send = senders.get(prefix ?? '') ?? sendProblem
    return send(request, reply, problem)
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
