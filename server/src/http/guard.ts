import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import type { Clock } from '../lib/clock.ts'
import { can, type Principal } from './principal.ts'
import { ProblemError } from './problems.ts'
import { type StepUp, stepUpProblem } from './step-up.ts'
import type { Access, App } from './types.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who the request acts as; undefined on public routes, and on optional ones without a token. */
    principal: Principal | undefined
  }
}

/** Finds out who a token acts as, at once or after asking the database. @throws ProblemError invalid_token */
export type Authenticate = (token: string) => Principal | Promise<Principal>

/**
 * Puts in front of every route that is added from here on what its `access` demands. Callback style on
 * purpose: a token that is known costs no promise.
 */
export function addGuard(app: App, authenticate: Authenticate, clock: Clock): void {
  app.decorateRequest('principal', undefined)
  app.addHook('onRoute', route => {
    const access = route.config?.access
    if (access === undefined || access === 'public') return
    const hooks = route.onRequest === undefined ? [] : [route.onRequest].flat()
    const { enrolment = false, stepUp } = route.config ?? {}
    const rules = { access, enrolment, stepUp }
    route.onRequest = [...hooks, guardFor(rules, authenticate, clock)]
  })
}

/** The principal of a route that can't be reached without one. */
export function principalOf(request: FastifyRequest): Principal {
  if (!request.principal) throw new ProblemError('unauthorized')
  return request.principal
}

type Rules = { access: Exclude<Access, 'public'>; enrolment: boolean; stepUp: StepUp | undefined }

function guardFor(
  { access, enrolment, stepUp }: Rules,
  authenticate: Authenticate,
  clock: Clock,
): onRequestHookHandler {
  const optional = typeof access === 'object' && 'optional' in access
  const forgiving = optional && access.invalidToken === 'ignored'
  const permission = typeof access === 'object' && 'permission' in access ? access.permission : undefined

  function admit(request: FastifyRequest, principal: Principal): ProblemError | undefined {
    // Also of a request that is refused: the audit log tells who tried.
    request.principal = principal
    if (principal.enrolmentDue && !enrolment) return new ProblemError('mfa_enrolment_required')
    if (permission !== undefined && !can(principal, permission)) {
      return new ProblemError('forbidden', { detail: `This needs the permission ${permission}.` })
    }
    return stepUp && stepUpProblem(stepUp, principal, clock.now())
  }

  return function guard(request, _reply, done) {
    const { authorization } = request.headers
    if (authorization === undefined) {
      done(optional ? undefined : new ProblemError('unauthorized'))
      return
    }
    const token = bearerToken(authorization)
    if (token === undefined) {
      done(forgiving ? undefined : new ProblemError('unauthorized'))
      return
    }
    const refuse = (error: Error) => done(forgiving && isInvalidToken(error) ? undefined : error)
    const principal = authenticate(token)
    if (principal instanceof Promise) principal.then(found => done(admit(request, found)), refuse)
    else done(admit(request, principal))
  }
}

const isInvalidToken = (error: Error): boolean =>
  error instanceof ProblemError && error.code === 'invalid_token'

/** The token of `Authorization: Bearer …` (RFC 6750, section 2.1); the scheme's case does not matter. */
export const bearerToken = (header: string): string | undefined =>
  header.startsWith('Bearer ') ? header.slice(7) : /^bearer ([^\s]+)$/i.exec(header)?.[1]
