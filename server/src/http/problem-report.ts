import type { FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { toProblem } from './errors.ts'
import type { Metrics } from './metrics.ts'

/** Notes what an error is answered with. */
export type ReportProblem = (request: FastifyRequest, error: unknown) => void

/** Counts every problem by its code, and logs those that are the service's own fault. */
export function createProblemReport({ metrics, log }: { metrics: Metrics; log: Logger }): ReportProblem {
  return (request, error) => {
    const { code, status, cause } = toProblem(error)
    metrics.problem(code)
    if (status < 500) return
    const { id, method, routeOptions } = request
    log.error({ err: cause ?? error, request_id: id, method, route: routeOptions.url }, code)
  }
}
