import type { RouteOptions } from 'fastify'
import { minutes } from '../lib/clock.ts'
import type { Principal } from './principal.ts'
import { ProblemError } from './problems.ts'
import type { App } from './types.ts'

/**
 * How recently, and how well, somebody must have proved who they are. `recent`: any factor in the last 10
 * minutes; `highest`: the second factor, where one is enrolled.
 */
export type StepUp = 'recent' | 'highest'

/** Every route that wants more than a living session, in one table: whoever may use it can take the account over. */
const stepUpRoutes: Readonly<Record<string, StepUp>> = {
  'POST /api/v1/auth/mfa/totp/setup': 'highest',
  'POST /api/v1/auth/mfa/totp/confirm': 'highest',
  'POST /api/v1/auth/mfa/sms/setup': 'highest',
  'POST /api/v1/auth/mfa/sms/confirm': 'highest',
  'POST /api/v1/auth/mfa/email/setup': 'highest',
  'POST /api/v1/auth/mfa/email/confirm': 'highest',
  'POST /api/v1/auth/mfa/recovery-codes': 'highest',
  'DELETE /api/v1/auth/mfa/:method': 'highest',
  'POST /api/v1/auth/passkeys/register/options': 'highest',
  'POST /api/v1/auth/passkeys/register/verify': 'highest',
  'DELETE /api/v1/auth/passkeys/:id': 'highest',
  'POST /api/v1/auth/profile/email/initiate': 'highest',
  'POST /api/v1/auth/profile/phone/initiate': 'recent',
  'DELETE /api/v1/users/me': 'recent',
  'POST /api/v1/users/:id/mfa-reset': 'highest',
}

/** Milliseconds for which a proof is recent. */
const limit = minutes(10)

export const isStepUpRoute = (route: RouteOptions): boolean =>
  namesOf(route).some(name => name in stepUpRoutes)

/** Tells what a route wants. The start fails where the table has a route that does not exist. */
export function createStepUpRules(app: App): (route: RouteOptions) => StepUp | undefined {
  const missing = new Set(Object.keys(stepUpRoutes))
  app.addHook('onReady', async () => {
    // A worker (ROLE=worker) has none at all.
    const hasAny = missing.size < Object.keys(stepUpRoutes).length
    if (hasAny && missing.size > 0)
      throw new Error(`No such routes to step up for: ${[...missing].join(', ')}`)
  })
  return route => {
    const name = namesOf(route).find(one => one in stepUpRoutes)
    if (name === undefined) return undefined
    missing.delete(name)
    return stepUpRoutes[name]
  }
}

export function stepUpProblem(wanted: StepUp, principal: Principal, now: Date): ProblemError | undefined {
  const isSecond = wanted === 'highest' && principal.mfaEnabled
  const provedAt = isSecond ? principal.secondFactorAt : principal.authenticatedAt
  if (provedAt && now.getTime() - provedAt.getTime() <= limit) return undefined
  if (!isSecond) return new ProblemError('step_up_required')
  return new ProblemError('step_up_required', {
    detail: 'The route needs a second factor from the last 10 minutes.',
  })
}

const namesOf = ({ method, url }: RouteOptions): string[] => [method].flat().map(one => `${one} ${url}`)
