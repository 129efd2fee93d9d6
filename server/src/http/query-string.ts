import type { FieldError } from './problem-schema.ts'
import { ProblemError } from './problems.ts'

/** A query string as routes see it before their schema: a repeated name is a list. */
export type Query = Record<string, string | string[]>

/** What the parser leaves in place of a query string that it refuses; the first hook of every request throws it. */
export class MalformedQuery {
  readonly field: FieldError

  constructor(field: FieldError) {
    this.field = field
  }
}

/** Most names a query string may have. */
const maxParameters = 100

/**
 * Parses `application/x-www-form-urlencoded` names and values. Never throws, because the router calls it where
 * nothing would catch: malformed percent-encoding, NUL and `__proto__` give a `MalformedQuery`.
 */
export function parseQueryString(text: string): Query | MalformedQuery {
  const query: Query = Object.create(null)
  if (text === '') return query
  let count = 0
  for (const pair of text.split('&')) {
    if (pair === '') continue
    if (++count > maxParameters) return malformed('', 'too_many', `At most ${maxParameters} parameters.`)
    const equals = pair.indexOf('=')
    const name = decode(equals === -1 ? pair : pair.slice(0, equals))
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1))
    if (name === undefined)
      return malformed('', 'encoding', 'A parameter name is not valid percent-encoded UTF-8.')
    if (value === undefined) return malformed(name, 'encoding', 'Must be valid percent-encoded UTF-8.')
    if (name.includes('\0') || value.includes('\0')) {
      return malformed(name, 'nul_character', 'Must not contain a NUL character.')
    }
    if (name === '__proto__') return malformed(name, 'forbidden_key', 'This parameter is not accepted.')
    const before = query[name]
    if (before === undefined) query[name] = value
    else if (typeof before === 'string') query[name] = [before, value]
    else before.push(value)
  }
  return query
}

/** A `validation_failed` that names the parameter or field. */
export function refuseInput(field: FieldError): ProblemError {
  return new ProblemError('validation_failed', {
    detail: field.path === '' ? field.message : `${field.path}: ${field.message}`,
    errors: [field],
  })
}

const malformed = (name: string, code: string, message: string): MalformedQuery =>
  new MalformedQuery({ path: name.replaceAll('\0', '\uFFFD').slice(0, 100).toWellFormed(), code, message })

function decode(text: string): string | undefined {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return undefined
  }
}
