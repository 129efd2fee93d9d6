import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { minutes } from '../../lib/clock.ts'

const limit = minutes(10)

/** Wants a sign-in or step-up from the last 10 minutes. @throws ProblemError step_up_required */
export function requireRecentAuthentication({ authenticatedAt }: Principal, now: Date): void {
  if (now.getTime() - authenticatedAt.getTime() > limit) throw new ProblemError('step_up_required')
}
