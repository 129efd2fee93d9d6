import { minutes } from '../lib/clock.ts'
import type { Principal } from './principal.ts'
import { ProblemError } from './problems.ts'

/**
 * How recently, and how well, somebody must have proved who they are. `recent`: any factor in the last 10
 * minutes; `highest`: the second factor, where one is enrolled. A route says it in its `config.stepUp`.
 */
export type StepUp = 'recent' | 'highest'

/** What the documentation of a route that wants it says. */
export const stepUpSentence: Readonly<Record<StepUp, string>> = {
  recent: 'Needs a sign-in or step-up from the last 10 minutes.',
  highest:
    'Needs a second factor from the last 10 minutes where the caller has one, else a sign-in or step-up.',
}

/** Milliseconds for which a proof is recent. */
const limit = minutes(10)

export function stepUpProblem(wanted: StepUp, principal: Principal, now: Date): ProblemError | undefined {
  const isSecond = wanted === 'highest' && principal.mfaEnabled
  const provedAt = isSecond ? principal.secondFactorAt : principal.authenticatedAt
  if (provedAt && now.getTime() - provedAt.getTime() <= limit) return undefined
  if (!isSecond) return new ProblemError('step_up_required')
  return new ProblemError('step_up_required', {
    detail: 'The route needs a second factor from the last 10 minutes.',
  })
}

/**
 * Wants a proof inside a use case: where what a request changes decides, or another way leads there.
 * @throws ProblemError step_up_required
 */
export function requireStepUp(wanted: StepUp, principal: Principal, now: Date): void {
  const problem = stepUpProblem(wanted, principal, now)
  if (problem) throw problem
}
