import type { FastifyInstance, preHandlerAsyncHookHandler } from 'fastify'
import { maxFieldErrors } from './field-errors.ts'
import type { FieldError } from './problem-schema.ts'
import { ProblemError } from './problems.ts'

/**
 * What the fields of a body, or of a query string, must keep to beside their schema. It throws `validation_failed`
 * and is given, of a request that its schema refuses, the fields that are not at fault, some of which may be missing.
 */
export type FieldRules = (input: never) => unknown

/** What a part of a request is once it is known to be an object. */
type Fields = Record<string, unknown>

/**
 * Runs every check, and throws one error that names all the fields which any of them refuses.
 * @throws ProblemError validation_failed, or at once whatever else a check throws
 */
export function checkAll(...checks: readonly (() => unknown)[]): void {
  const errors = checks.flatMap(check => {
    try {
      check()
      return []
    } catch (error) {
      return faultsOf(error)
    }
  })
  if (errors.length > 0) throw new ProblemError('validation_failed', { errors })
}

function faultsOf(error: unknown): readonly FieldError[] {
  if (error instanceof ProblemError && error.code === 'validation_failed' && error.errors) return error.errors
  throw error
}

/**
 * Routes that say which rules their fields have (`config.rules`) name what breaks the schema and what breaks a rule in
 * one reply: whoever fills in a form learns of all of it at once.
 */
export function installFieldRules(app: FastifyInstance): void {
  app.addHook('onRoute', route => {
    const rules = route.config?.rules
    if (rules === undefined) return
    route.attachValidation = true
    route.preHandler = [nameAll(rules), route.preHandler ?? []].flat()
  })
}

const nameAll = (rules: FieldRules): preHandlerAsyncHookHandler =>
  async function nameAllFaults(request) {
    const refused: unknown = request.validationError
    if (refused === undefined) return
    if (!(refused instanceof ProblemError) || !refused.errors) throw refused
    // Fastify's mark of the part that was refused; the parts after it were not looked at.
    const part = request.validationError?.validationContext
    const input = part === 'body' ? request.body : part === 'querystring' ? request.query : undefined
    throw (await withRules(rules, input, refused.errors)) ?? refused
  }

async function withRules(
  rules: FieldRules,
  input: unknown,
  found: readonly FieldError[],
): Promise<ProblemError | undefined> {
  const sound = withoutFaults(input, found)
  if (sound === undefined) return undefined
  let broken: readonly FieldError[] = []
  try {
    // The schema takes every field that is left.
    await rules(sound as never)
  } catch (error) {
    // A rule that is about something else than fields waits until they are in order.
    broken =
      error instanceof ProblemError
        ? (error.code === 'validation_failed' && error.errors) || []
        : raise(error)
  }
  // Where a field goes says more than that it does not go here.
  const moved = new Set(broken.map(({ path }) => path))
  const others = found.filter(({ path, code }) => code !== 'unknown_field' || !moved.has(path))
  const errors = [...others, ...broken].slice(0, maxFieldErrors)
  return new ProblemError('validation_failed', { errors })
}

function raise(error: unknown): never {
  throw error
}

/** A copy without the values at fault; undefined where that is the whole. Unknown fields stay: rules may know them. */
function withoutFaults(input: unknown, found: readonly FieldError[]): Fields | undefined {
  if (typeof input !== 'object' || input === null || found.some(({ path }) => path === '')) return undefined
  // A copy of what was parsed from JSON or a query string.
  const copy = structuredClone({ ...input }) as Fields
  for (const { path, code } of found) if (code !== 'unknown_field') remove(copy, path)
  return copy
}

/** Removes a field of an object; of a list everything, since its other items would move. */
function remove(whole: Fields, path: string): void {
  const steps = path
    .replace(/^\//, '')
    .split('/')
    .map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  let holder: unknown = whole
  for (const step of steps.slice(0, -1))
    holder = isFields(holder) ? holder[step] : (holder as unknown[])?.[Number(step)]
  if (isFields(holder)) delete holder[steps.at(-1) ?? '']
  else delete whole[steps[0] ?? '']
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
