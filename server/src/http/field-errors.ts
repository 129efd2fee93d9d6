import type { ErrorObject } from 'ajv'
import type { FieldError } from './problem-schema.ts'

/** The part of the request that a schema is for, as Fastify names it. */
export type HttpPart = 'body' | 'querystring' | 'params' | 'headers'

/** Most fields that one reply names. */
export const maxFieldErrors = 20

/** What people read of a schema keyword; `schema` is the object that has the keyword. */
type Explain = (error: ErrorObject, schema: Record<string, unknown>) => { code: string; message: string }

/**
 * Turns a validator's findings into one entry for each field: its path, a stable code, and what it takes.
 * Paths are JSON pointers in a body, and plain names in the other parts.
 */
export function toFieldErrors(errors: readonly ErrorObject[], part: HttpPart): FieldError[] {
  const found = new Map<string, FieldError>()
  for (const error of withoutBranches(errors)) {
    if (found.size === maxFieldErrors) break
    const path = pathOf(error, part)
    const explained = explain(error)
    if (explained !== undefined && !found.has(path)) found.set(path, { path, ...explained })
  }
  return [...found.values()]
}

/**
 * Where a union fails, each of its members has failed before it. A member that the value was meant for says
 * more than the union does («at most 30 characters»); members of another type say nothing.
 */
function withoutBranches(errors: readonly ErrorObject[]): ErrorObject[] {
  const hidden = new Set<ErrorObject>()
  for (const union of errors) {
    if (union.keyword !== 'anyOf' && union.keyword !== 'oneOf') continue
    const branches = errors.filter(error => isBranch(error, union))
    const telling = branches.filter(error => isTelling(error, union))
    for (const error of branches) if (!telling.includes(error)) hidden.add(error)
    if (telling.length > 0) hidden.add(union)
  }
  return errors.filter(error => !hidden.has(error))
}

/** A member that is a reference reports under the name of the schema that it refers to. */
function isBranch(error: ErrorObject, union: ErrorObject): boolean {
  const references = members(union.parentSchema ?? {}).flatMap(({ $ref }) => $ref ?? [])
  const isOfMember = [union.schemaPath, ...references].some(path => error.schemaPath.startsWith(`${path}/`))
  return isOfMember && error.instancePath.startsWith(union.instancePath)
}

const isTelling = (error: ErrorObject, union: ErrorObject): boolean =>
  error.instancePath !== union.instancePath || !['type', 'const', 'enum'].includes(error.keyword)

function pathOf({ instancePath, keyword, params }: ErrorObject, part: HttpPart): string {
  const child = keyword === 'required' ? params.missingProperty : params.additionalProperty
  const pointer = child === undefined ? instancePath : `${instancePath}/${escapePointer(String(child))}`
  return part === 'body' ? pointer : pointer.slice(1)
}

/** A key as a step of a JSON pointer (RFC 6901), cut where it is long. */
export const escapePointer = (key: string): string =>
  key.slice(0, 100).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')

function explain(error: ErrorObject): { code: string; message: string } | undefined {
  // Ajv's `verbose` option is on, so the schema object is there; its type is unknown to Ajv.
  const schema = (error.parentSchema ?? {}) as Record<string, unknown>
  return explanations[error.keyword]?.(error, schema) ?? invalid(schema)
}

function invalid({ description }: Record<string, unknown>): { code: string; message: string } {
  return {
    code: 'invalid',
    message: typeof description === 'string' ? `Must be: ${description}` : 'Is not valid.',
  }
}

const atLeast = (n: number, unit: string): string => `Must have at least ${n} ${unit}${n === 1 ? '' : 's'}.`
const atMost = (n: number, unit: string): string => `Must have at most ${n} ${unit}${n === 1 ? '' : 's'}.`

const explanations: Record<string, Explain> = {
  required: () => ({ code: 'required', message: 'Is required.' }),
  additionalProperties: (_error, schema) => ({ code: 'unknown_field', message: unknownField(schema) }),
  type: (_error, schema) => ({ code: 'wrong_type', message: `Must be ${describeTypes([schema])}.` }),
  minLength: ({ params }) => ({ code: 'too_short', message: atLeast(params.limit, 'character') }),
  maxLength: ({ params }) => ({ code: 'too_long', message: atMost(params.limit, 'character') }),
  minItems: ({ params }) => ({ code: 'too_few', message: atLeast(params.limit, 'item') }),
  maxItems: ({ params }) => ({ code: 'too_many', message: atMost(params.limit, 'item') }),
  minProperties: ({ params }) => ({ code: 'too_few', message: atLeast(params.limit, 'field') }),
  maxProperties: ({ params }) => ({ code: 'too_many', message: atMost(params.limit, 'field') }),
  uniqueItems: () => ({ code: 'not_unique', message: 'Must not have the same item twice.' }),
  minimum: ({ params }) => ({ code: 'too_small', message: `Must be at least ${params.limit}.` }),
  maximum: ({ params }) => ({ code: 'too_large', message: `Must be at most ${params.limit}.` }),
  exclusiveMinimum: ({ params }) => ({ code: 'too_small', message: `Must be more than ${params.limit}.` }),
  exclusiveMaximum: ({ params }) => ({ code: 'too_large', message: `Must be less than ${params.limit}.` }),
  enum: (_error, schema) => ({ code: 'not_allowed', message: `Must be ${describeTypes([schema])}.` }),
  const: (_error, schema) => ({ code: 'not_allowed', message: `Must be ${describeTypes([schema])}.` }),
  anyOf: (_error, schema) => ({ code: 'not_allowed', message: `Must be ${describeTypes(members(schema))}.` }),
  oneOf: (_error, schema) => ({ code: 'not_allowed', message: `Must be ${describeTypes(members(schema))}.` }),
  format: ({ params }) => ({
    code: 'format',
    message: `Must be ${formatNames[params.format] ?? `a valid ${params.format}`}.`,
  }),
  pattern: (_error, { description }) => ({
    code: 'format',
    message:
      typeof description === 'string'
        ? `Has the wrong form. It takes: ${description}`
        : 'Has the wrong form.',
  }),
}

const formatNames: Record<string, string> = {
  uuid: 'a UUID',
  email: 'an e-mail address',
  'date-time': 'a date and time such as 2026-01-31T10:00:00.000Z',
  date: 'a date such as 2026-01-31',
  time: 'a time such as 10:00:00Z',
  uri: 'a URL',
}

const typeNames: Record<string, string> = {
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
}

/** «a string or null», «one of: asc, desc»: what the schemas of a field take together. */
function describeTypes(schemas: readonly Record<string, unknown>[]): string {
  const values = schemas.flatMap(({ const: only, enum: some }) =>
    only !== undefined ? [only] : Array.isArray(some) ? some : [],
  )
  const types = schemas
    .filter(schema => !('const' in schema) && !('enum' in schema))
    .flatMap(({ type, $ref }) => ($ref === undefined ? [type].flat() : 'object')) // schemas with a name are objects
    .map(type => typeNames[String(type)] ?? 'a different value')
  const choices = values.length > 0 ? [`one of: ${values.map(String).join(', ')}`] : []
  return [...choices, ...new Set(types)].join(' or ') || 'a different value'
}

function members({ anyOf, oneOf }: Record<string, unknown>): Record<string, unknown>[] {
  const list = anyOf ?? oneOf
  return Array.isArray(list) ? list : []
}

function unknownField({ properties }: Record<string, unknown>): string {
  const known = Object.keys(properties ?? {})
  if (known.length === 0) return 'Is not known here; there are no fields to set.'
  return known.length > 20 ? 'Is not known here.' : `Is not known here. Known: ${known.join(', ')}.`
}
