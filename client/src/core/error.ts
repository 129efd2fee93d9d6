import type { ProblemCode } from '../generated/problem-codes.ts'

/** One field at fault. */
export type FieldError = { path: string; code: string; message: string }

/** A request that the service refused: its problem details (RFC 9457), and the stable code to decide by. */
export class RosterError extends Error {
  override readonly name = 'RosterError'
  /** `unexpected_reply` where something between here and the service answered. */
  readonly code: ProblemCode | 'unexpected_reply'
  readonly status: number
  /** The fields at fault, all of them. */
  readonly errors: readonly FieldError[]
  /** Seconds to wait. */
  readonly retryAfter: number | undefined
  /** Finds the request in the service's log. */
  readonly requestId: string | undefined

  constructor(status: number, problem: Record<string, unknown>) {
    super(String(problem.detail ?? problem.title ?? `the reply has status ${status}`))
    this.status = status
    // The catalogue of the version that this client was made from; a later code is still a string.
    this.code = (problem.code ?? 'unexpected_reply') as ProblemCode
    this.errors = Array.isArray(problem.errors) ? problem.errors : []
    this.retryAfter = typeof problem.retry_after === 'number' ? problem.retry_after : undefined
    this.requestId = typeof problem.request_id === 'string' ? problem.request_id : undefined
  }
}

/** Whether `error` is the service's refusal, with one of these codes if any are given. */
export const isRosterError = (error: unknown, ...codes: readonly ProblemCode[]): error is RosterError =>
  error instanceof RosterError && (codes.length === 0 || (codes as readonly string[]).includes(error.code))

/** The error that a reply is. */
export async function errorOf(reply: Response): Promise<RosterError> {
  const problem: unknown = await reply.json().catch(() => undefined)
  return new RosterError(reply.status, typeof problem === 'object' && problem !== null ? { ...problem } : {})
}
