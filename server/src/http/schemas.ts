import { type Static, type TSchema, Type } from 'typebox'
import { type ProblemCode, problems } from './problems.ts'

/**
 * A reference to a schema that has an `$id` and was given to `app.addSchema`: one component of the OpenAPI
 * document, with the type of the schema itself.
 */
export function ref<T extends TSchema>(schema: T) {
  if (!('$id' in schema)) throw new Error('ref() needs a schema with an $id')
  return Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })
}

/** A schema that takes null as well. Unlike a union it stays one check, and serialises fast. */
export function nullable<T extends TSchema>(schema: T) {
  if (!('type' in schema)) throw new Error('nullable() needs a schema with a type; use a union')
  const choices = 'enum' in schema && Array.isArray(schema.enum) ? { enum: [...schema.enum, null] } : {}
  return Type.Unsafe<Static<T> | null>({ ...schema, ...choices, type: [schema.type, 'null'] })
}

/** An id in a path or a query string; `what` is what has it. */
export const idOf = (what: string) => Type.String({ format: 'uuid', description: `Id of ${what}` })

/** The parameters of a path that names one thing by its id. */
export const idParams = (what: string) => Type.Object({ id: idOf(what) }, { additionalProperties: false })

/** The query parameters of a list that is read page by page; `usual` is the length of a page without `limit`. */
export const pageParameters = (usual = 20) => ({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 100, default: usual, description: 'Most items of the page' }),
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: 2048, description: 'The `next_cursor` of the page before' }),
  ),
})

/** Where such a list goes on. */
export const NextCursor = nullable(Type.String({ description: 'For the next page; null on the last' }))

/** The reply of an error status: problem details, described by the codes that it can have. */
export type ProblemResponse = {
  description: string
  'x-problem-codes': ProblemCode[]
  content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } }
}

/**
 * Declares the errors that a route answers with, by their codes; several of one status share its entry.
 * What every route can answer (400, 401, 403, 413, 414, 415, 429, 431, 500, 503) is declared for it.
 * @example response: { 200: ref(User), ...problemResponses('not_found', 'email_taken') }
 */
export function problemResponses(...codes: ProblemCode[]): Record<string, ProblemResponse> {
  const byStatus = Map.groupBy(codes, code => String(problems[code].status))
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [
      status,
      {
        description: same.map(code => `\`${code}\`: ${problems[code].title}`).join('; '),
        'x-problem-codes': same,
        content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
      },
    ]),
  )
}

/** The schema of a reply without a body, such as 204. */
export const NoBody = Type.Unsafe<void>({ type: 'null', description: 'No body.' })
