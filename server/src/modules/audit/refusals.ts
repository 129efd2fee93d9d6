import type { FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { Store } from '../../db/store.ts'
import { type ProblemCode, ProblemError } from '../../http/problems.ts'
import type { App } from '../../http/types.ts'
import { type Clock, minutes } from '../../lib/clock.ts'
import { isUuid } from '../../lib/ids.ts'
import { type AuditEntry, appendAudit } from './append.ts'
import { originOf } from './origin.ts'

/** What says that somebody tried more than they may, or what nobody may. */
const refusals: ReadonlySet<ProblemCode> = new Set([
  'forbidden',
  'forbidden_field',
  'step_up_required',
  'last_administrator',
  'system_role',
])

/** Of one caller, route and reason one row is written in this time, whatever else they try. */
const quietTime = minutes(1)
const mostRemembered = 10_000
const mostAtOnce = 10

/**
 * Records what signed-in callers were refused, each in a transaction of its own. No reply waits for it or fails with
 * it, and a flood of requests makes a trickle of rows: those over the bounds above are left out.
 */
export function recordRefusals(app: App, { store, clock }: { store: Store; clock: Clock }): void {
  const quietUntil = new LRUCache<string, number>({ max: mostRemembered })
  const writing = new Set<Promise<void>>()

  function isDue(key: string, now: number): boolean {
    if (writing.size >= mostAtOnce || (quietUntil.get(key) ?? 0) > now) return false
    quietUntil.set(key, now + quietTime)
    return true
  }

  function record(request: FastifyRequest, { code }: ProblemError): void {
    const at = clock.now()
    const route = routeOf(request)
    if (!isDue(`${request.principal?.userId} ${route} ${code}`, at.getTime())) return
    const subject = subjectOf(request)
    const entry: AuditEntry = {
      action: 'access.denied',
      outcome: 'denied',
      ...(subject && { subject }),
      details: { route, reason: code },
    }
    const origin = originOf(request)
    const row = store
      .transact(trx => appendAudit(trx, at, origin, entry))
      .catch(error => request.log.warn({ err: error }, 'a refusal could not be recorded'))
      .finally(() => writing.delete(row))
    writing.add(row)
  }

  app.addHook('onError', (request, _reply, error: Error, done) => {
    if (request.principal && error instanceof ProblemError && refusals.has(error.code)) record(request, error)
    done()
  })
  app.addHook('onClose', async () => void (await Promise.all(writing)))
}

/** As the documentation writes it, e.g. `DELETE /api/v1/users/{id}`. */
const routeOf = ({ method, routeOptions }: FastifyRequest): string =>
  `${method} ${routeOptions.url?.replace(/:(\w+)/g, '{$1}')}`

/** Whom or what the path names. A request can be refused before its parameters are checked. */
function subjectOf({ params, routeOptions: { url = '' } }: FastifyRequest): AuditEntry['subject'] {
  const { id, name } = params as Record<string, string | undefined> // what Fastify makes of a path
  if (url.includes('/users/:id') && id && isUuid(id)) return { type: 'user', id: id.toLowerCase() }
  if (url.includes('/roles/:name') && name && /^[a-z0-9_-]{1,50}$/.test(name))
    return { type: 'role', id: name }
  return undefined
}
