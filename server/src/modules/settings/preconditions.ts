import type { FastifyRequest } from 'fastify'
import { ProblemError } from '../../http/problems.ts'

/**
 * The versions of `If-Match` (RFC 9110, section 13.1.1): `"3"`, several with commas, or `*`.
 * @throws ProblemError bad_request for anything else
 */
export function ifMatchOf({ headers }: FastifyRequest): ReadonlySet<number> | 'any' | undefined {
  const header = headers['if-match']
  if (header === undefined) return undefined
  if (header.trim() === '*') return 'any'
  const tags = header.split(',').map(tag => /^\s*"(\d{1,15})"\s*$/.exec(tag)?.[1])
  if (tags.some(tag => tag === undefined)) {
    throw new ProblemError('bad_request', {
      detail: 'If-Match takes versions in quotes, e.g. If-Match: "3".',
    })
  }
  return new Set(tags.map(Number))
}

export const etag = (version: number): string => `"${version}"`
