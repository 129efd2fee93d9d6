import type { FastifyRequest } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { ProblemError } from '../../http/problems.ts'
import { ref } from '../../http/schemas.ts'

/** The headers of routes that change what has a version. */
export const IfMatchHeaders = Type.Object({
  'If-Match': Type.Optional(
    Type.String({
      description: 'The version that was read, in quotes; 412 where somebody was faster',
      examples: ['"3"'],
    }),
  ),
})

/** A reply with its version as ETag. */
export const versioned = (schema: TSchema, description: string) => ({
  description,
  headers: { ETag: Type.String({ description: 'The version in quotes, for `If-Match`' }) },
  content: { 'application/json': { schema: ref(schema) } },
})

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
