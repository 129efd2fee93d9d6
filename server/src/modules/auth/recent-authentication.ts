import type { Principal } from '../../http/principal.ts'
import { type StepUp, stepUpProblem } from '../../http/step-up.ts'

/** Wants a sign-in or step-up from the last 10 minutes. @throws ProblemError step_up_required */
export const requireRecentAuthentication = (principal: Principal, now: Date): void =>
  requireProof('recent', principal, now)

/** The same with the second factor, where one is enrolled. @throws ProblemError step_up_required */
export const requireHighestAuthentication = (principal: Principal, now: Date): void =>
  requireProof('highest', principal, now)

function requireProof(wanted: StepUp, principal: Principal, now: Date): void {
  const problem = stepUpProblem(wanted, principal, now)
  if (problem) throw problem
}
