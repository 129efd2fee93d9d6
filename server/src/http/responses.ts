import { isDeepStrictEqual } from 'node:util'
import type { ErrorObject } from 'ajv'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import { type Compile, createCompiler } from './validation.ts'

/** A reply that its route did not declare: a fault of the code, which tests must not pass over. */
export class UndeclaredResponseError extends Error {
  override readonly name = 'UndeclaredResponseError'
}

/** Called with each undeclared reply; a test fails on it even where it did not look at the reply. */
export type OnUndeclared = (error: UndeclaredResponseError) => void

/**
 * For tests: every reply must have a status and a body that its route declares, and no field that its schema
 * would drop in silence. One that does not becomes a 500 that says so. Not installed in production, where it
 * costs nothing.
 */
export function installStrictResponses(app: FastifyInstance, onUndeclared: OnUndeclared): void {
  const intended = new WeakMap<FastifyReply, unknown>()
  const failed = new WeakSet<FastifyReply>()
  // A schema is known to the plugin that added it and to those inside it.
  const compilers = new WeakMap<FastifyInstance, Compile>()

  app.addHook('preSerialization', (_request, reply, payload, done) => {
    intended.set(reply, JSON.parse(JSON.stringify(payload) ?? 'null'))
    done(null, payload)
  })

  app.addHook('onSend', (request, reply, payload, done) => {
    const schema = request.routeOptions.schema
    if (failed.has(reply) || !schema || schema.hide) return done(null, payload)
    const { server } = request
    const compile = compilers.get(server) ?? createCompiler(Object.values(server.getSchemas()))
    compilers.set(server, compile)
    const fault = findFault(schema, reply, payload, intended.get(reply), compile)
    if (fault === undefined) return done(null, payload)
    failed.add(reply)
    const error = new UndeclaredResponseError(`${nameOf(request)} answered ${reply.statusCode}: ${fault}`)
    onUndeclared(error)
    done(error)
  })
}

const nameOf = ({ method, routeOptions }: FastifyRequest): string => `${method} ${routeOptions.url}`

function findFault(
  { response }: FastifySchema,
  reply: FastifyReply,
  payload: unknown,
  intended: unknown,
  compile: Compile,
): string | undefined {
  // Fastify has checked the shape of `response` when the route was added.
  const declared = (response as Record<string, Record<string, unknown>> | undefined)?.[reply.statusCode]
  if (declared === undefined) return 'the status is not declared'
  const schema = bodySchema(declared, String(reply.getHeader('content-type') ?? ''))
  if (schema === undefined) return `its content type ${reply.getHeader('content-type')} is not declared`
  const isEmpty = payload === undefined || payload === null || payload === ''
  if (isEmpty || schema.type === 'null')
    return isEmpty && schema.type === 'null' ? undefined : emptyFault(isEmpty)
  if (!isText(payload) || schema.type === 'string') return undefined
  const sent: unknown = JSON.parse(payload.toString())
  if (intended !== undefined && !isDeepStrictEqual(sent, intended)) {
    return `its schema drops or changes fields: ${JSON.stringify(intended)} was sent as ${payload.toString()}`
  }
  const check = cachedCheck(schema, compile)
  return check(sent) ? undefined : `the body does not match its schema: ${describe(check.errors ?? [])}`
}

const emptyFault = (isEmpty: boolean): string =>
  isEmpty ? 'the body is empty, and its schema declares one' : 'it has a body, and its schema declares none'

const isText = (payload: unknown): payload is string | Buffer =>
  typeof payload === 'string' || Buffer.isBuffer(payload)

type Content = Record<string, { schema?: Record<string, unknown> }>

function bodySchema(declared: Record<string, unknown>, type: string): Record<string, unknown> | undefined {
  if (!('content' in declared)) return declared
  // The shape that OpenAPI, and so Fastify, prescribes.
  return (declared.content as Content)[type.split(';', 1)[0] ?? '']?.schema
}

const checks = new WeakMap<object, ReturnType<Compile>>()

function cachedCheck(schema: Record<string, unknown>, compile: Compile): ReturnType<Compile> {
  const known = checks.get(schema)
  if (known) return known
  const check = compile(schema)
  checks.set(schema, check)
  return check
}

const describe = (errors: readonly ErrorObject[]): string =>
  errors
    .slice(0, 5)
    .map(({ instancePath, message }) => `${instancePath || '(body)'} ${message}`)
    .join('; ')
