import { inspect } from 'node:util'
import { wantsDebugging } from '../config.ts'
import { ProblemError } from '../http/problems.ts'
import type { Io } from './command.ts'

/** An error in a line for people; with its stack where LOG_LEVEL asks for debugging. */
export function explain(error: unknown, env?: Io['env']): string {
  return wantsDebugging(env) ? inspect(error) : inWords(error)
}

/** The message of an error, or what is known of one that has none. */
export function inWords(error: unknown): string {
  if (error instanceof ProblemError) return describeProblem(error)
  // Node reports a connection refused on every address of a host without any message of its own.
  if (error instanceof AggregateError && !error.message) return error.errors.map(inWords).join('; ')
  if (error instanceof Error) return error.message || codeOf(error) || error.name
  return String(error)
}

function describeProblem({ title, detail, errors = [] }: ProblemError): string {
  const fields = errors.map(({ path, message }) => {
    const name = path.slice(1)
    const field = name.replaceAll('_', ' ')
    return message.startsWith(name) ? message.replace(name, field) : `${field} ${message}`
  })
  return [detail ?? title, fields.join('; ')].filter(Boolean).join(': ')
}

const codeOf = (error: Error): string | undefined =>
  'code' in error && typeof error.code === 'string' ? error.code : undefined
