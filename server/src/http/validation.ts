import { Ajv } from 'ajv'
import formatsPlugin, { type FormatsPlugin } from 'ajv-formats'
import fastJsonStringify from 'fast-json-stringify'
import type { FastifyInstance } from 'fastify'
import { isUuid } from '../lib/ids.ts'
import { type HttpPart, toFieldErrors } from './field-errors.ts'
import { ProblemError } from './problems.ts'

/** A JSON schema as Fastify hands it on. */
type Schema = Record<string, unknown>

/** What Fastify calls with one part of a request: true, a replacement for the part, or the error to answer. */
type Validate = (data: unknown) => true | { value: unknown } | { error: ProblemError }

/**
 * Validates each part of a request against its schema. Bodies are taken as they are: no coercion, no field
 * that the schema does not know. Query strings and path parameters are text, so numbers and booleans are read
 * from it, and a single value serves where a list is due. Ids are handed on in lower case, wherever they came,
 * so that one user has one key in every cache, audit row and event. Every failure is a 400 `validation_failed`
 * that names each field and what it takes.
 *
 * Schemas are compiled when a route is first called, unless `eager`: most of a hundred routes are not called
 * in a process's first minute, and each schema costs about a millisecond and its memory.
 */
export function installValidation(app: FastifyInstance, { eager }: { eager: boolean }): void {
  app.setSchemaController({
    compilersFactory: {
      buildValidator: (shared: Record<string, unknown>) => {
        const compile = createCompiler(Object.values(shared))
        const resolve = (schema: Schema): Schema => resolveReference(schema, shared)
        // Fastify's type wants Ajv's own function; its documentation allows { value } and { error } as well.
        return (({ schema, httpPart }: { schema: Schema; httpPart: string }) =>
          createValidator({
            schema,
            resolved: resolve(schema),
            part: partOf(httpPart),
            compile,
            eager,
          })) as never
      },
      buildSerializer: shared => {
        return ({ schema, httpStatus }) => createSerializer(schema, httpStatus, shared, eager)
      },
    },
  })
}

/** Compiles a schema to a check; its findings are on the check. */
export type Compile = (schema: Schema) => ReturnType<Ajv['compile']>

/** An Ajv that knows the shared schemas; one for a server, made when first needed. */
export function createCompiler(shared: readonly unknown[]): Compile {
  let ajv: Ajv | undefined
  return schema => {
    if (ajv === undefined) {
      ajv = new Ajv({
        allErrors: true,
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: true,
        verbose: true,
        strict: false,
      })
      // The package is CommonJS, and its types put the plugin on `default` while Node hands over the function.
      ;(formatsPlugin as unknown as FormatsPlugin)(ajv)
      // The package's own takes `urn:uuid:…` as well, which PostgreSQL does not.
      ajv.addFormat('uuid', isUuid)
      for (const one of shared) ajv.addSchema(one as Schema)
    }
    return ajv.compile(schema)
  }
}

/** The shared schema that a plain reference stands for. */
function resolveReference(schema: Schema, shared: Record<string, unknown>): Schema {
  if (typeof schema.$ref !== 'string') return schema
  const target = shared[schema.$ref.replace(/#$/, '')]
  // Fastify keeps only schemas there.
  return target === undefined ? schema : (target as Schema)
}

type ValidatorParts = { schema: Schema; resolved: Schema; part: HttpPart; compile: Compile; eager: boolean }

function createValidator({ schema, resolved, part, compile, eager }: ValidatorParts): Validate {
  const read = createReader(resolved, part === 'querystring' || part === 'params')
  let check = eager ? compile(schema) : undefined

  return data => {
    check ??= compile(schema)
    if (part === 'body' && data === null && resolved.type === 'object') return { error: missingBody() }
    if (part === 'body' && tooManyFields(data)) return { error: tooManyFieldsProblem() }
    read?.(data)
    return check(data) ? true : { error: invalidInput(check.errors ?? [], part) }
  }
}

const missingBody = (): ProblemError =>
  new ProblemError('validation_failed', {
    detail: 'The route needs a JSON object as its body, with Content-Type: application/json.',
    errors: [{ path: '', code: 'required', message: 'Must be a JSON object.' }],
  })

function invalidInput(errors: Parameters<typeof toFieldErrors>[0], part: HttpPart): ProblemError {
  return new ProblemError('validation_failed', { errors: toFieldErrors(errors, part) })
}

/** More fields than any body has: refused before a validator makes an error object for each. */
const maxFields = 500

const tooManyFields = (data: unknown): boolean =>
  typeof data === 'object' && data !== null && !Array.isArray(data) && Object.keys(data).length > maxFields

const tooManyFieldsProblem = (): ProblemError =>
  new ProblemError('validation_failed', {
    detail: `The body has more than ${maxFields} fields.`,
    errors: [{ path: '', code: 'too_many', message: `Must have at most ${maxFields} fields.` }],
  })

const partOf = (name: string): HttpPart =>
  name === 'querystring' || name === 'params' || name === 'headers' ? name : 'body'

/**
 * Reads what is not text out of a query string or a path, and ids everywhere, in place. Undefined where the schema
 * has neither. Only plain decimal notation is a number: `0x10`, ` 7 ` and `1e3` stay text, and are refused for it.
 */
function createReader(schema: Schema, isText: boolean): ((data: unknown) => void) | undefined {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>)
  const readers = properties.flatMap(([name, { type, format }]) => {
    const read = format === 'uuid' ? lowerCase : isText ? textReaders[String([type].flat()[0])] : undefined
    return read === undefined ? [] : [[name, read] as const]
  })
  if (readers.length === 0) return undefined
  return data => {
    if (typeof data !== 'object' || data === null) return
    const values = data as Record<string, unknown>
    for (const [name, read] of readers) {
      const value = values[name]
      if (typeof value === 'string') values[name] = read(value)
    }
  }
}

const lowerCase = (text: string): string => text.toLowerCase()

const readNumber = (text: string): unknown => (/^-?\d{1,16}(\.\d{1,16})?$/.test(text) ? Number(text) : text)

const textReaders: Record<string, (text: string) => unknown> = {
  integer: readNumber,
  number: readNumber,
  boolean: text => (text === 'true' ? true : text === 'false' ? false : text),
  array: text => [text],
}

/** Errors are sent ready-made, so only the other replies need a serialiser. */
function createSerializer(
  schema: unknown,
  status: string | undefined,
  shared: unknown,
  eager: boolean,
): (data: unknown) => string {
  if (status !== undefined && /^[45]/.test(status) && isProblemReference(schema))
    return data => JSON.stringify(data)
  // Both come from Fastify, which has checked that they are schemas.
  const build = () => fastJsonStringify(schema as never, { schema: shared as never })
  let serialize = eager ? build() : undefined
  return data => {
    serialize ??= build()
    return serialize(data)
  }
}

const isProblemReference = (schema: unknown): boolean =>
  typeof schema === 'object' && schema !== null && '$ref' in schema && schema.$ref === 'Problem#'
