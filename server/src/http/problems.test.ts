import { Compile } from 'typebox/compile'
import { describe, expect, test } from 'vitest'
import { ProblemSchema } from './problem-schema.ts'
import {
  isProblemCode,
  type ProblemCode,
  type ProblemDefinition,
  ProblemError,
  problemHeaders,
  problems,
  problemType,
  toProblemBody,
} from './problems.ts'

const entries: [string, ProblemDefinition][] = Object.entries(problems)
const codes = Object.keys(problems).filter(isProblemCode)

describe('the error catalogue', () => {
  test.each(entries)(
    '%s has a snake_case code, an error status, a title and a description',
    (code, entry) => {
      expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
      expect(entry.status).toBeGreaterThanOrEqual(400)
      expect(entry.status).toBeLessThan(600)
      expect(entry.title).toMatch(/^\S.*[^.]$/)
      expect(entry.description).toMatch(/\.$/)
    },
  )

  test.each(entries.filter(([, entry]) => [429, 503].includes(entry.status)))(
    '%s says when to try again even where the thrower does not',
    (_code, entry) => {
      expect(entry.retryAfter).toBeGreaterThanOrEqual(1)
    },
  )

  test('knows its own codes, and not what every object inherits', () => {
    expect(isProblemCode('not_found')).toBe(true)
    expect(isProblemCode('toString')).toBe(false)
    expect(isProblemCode('__proto__')).toBe(false)
  })
})

describe('the body of a problem', () => {
  const validator = Compile(ProblemSchema)

  test.each(codes)('of %s matches the published schema', code => {
    const body = toProblemBody(new ProblemError(code, { detail: 'x' }), { requestId: 'r1', instance: '/x' })
    expect(validator.Check(body)).toBe(true)
    expect(body).toMatchObject({
      type: problemType(code),
      code,
      status: problems[code].status,
      request_id: 'r1',
    })
  })

  test('holds the fields at fault and what the occurrence adds', () => {
    const error = new ProblemError('validation_failed', {
      errors: [{ path: '/email', code: 'format', message: 'Must be an e-mail address.' }],
      extra: { limit: 3 },
    })
    expect(toProblemBody(error)).toEqual({
      type: 'urn:roster:problem:validation_failed',
      title: 'Invalid input',
      status: 400,
      code: 'validation_failed',
      errors: [{ path: '/email', code: 'format', message: 'Must be an e-mail address.' }],
      limit: 3,
    })
  })

  test('never shows the cause or the stack', () => {
    const cause = new Error('connect ECONNREFUSED secret-host')
    const error = new ProblemError('database_unavailable', { cause })
    expect(error.cause).toBe(cause)
    expect(JSON.stringify(toProblemBody(error))).not.toMatch(/secret-host|stack|cause/)
  })

  test('keeps its standard members when an addition has the same name', () => {
    const body = toProblemBody(new ProblemError('not_found', { extra: { status: 200, code: 'fine' } }))
    expect(body).toMatchObject({ status: 404, code: 'not_found' })
  })

  test('gives the waiting time in whole seconds, rounded up, and at least one', () => {
    const wait = (code: ProblemCode, retryAfter?: number) =>
      toProblemBody(new ProblemError(code, retryAfter === undefined ? {} : { retryAfter })).retry_after
    expect(wait('username_cooldown', 61.2)).toBe(62)
    expect(wait('rate_limited', 0)).toBe(1)
    expect(wait('service_busy')).toBe(1)
    expect(wait('not_found')).toBeUndefined()
  })
})

describe('the headers of a problem', () => {
  test('carry Retry-After where there is something to wait for', () => {
    expect(problemHeaders(new ProblemError('too_many_attempts', { retryAfter: 90 }))).toMatchObject({
      'retry-after': '90',
      'content-type': 'application/problem+json; charset=utf-8',
    })
    expect(problemHeaders(new ProblemError('not_found'))).not.toHaveProperty('retry-after')
  })

  test('challenge the client on every 401, and name the error of a bad token', () => {
    expect(problemHeaders(new ProblemError('invalid_credentials'))['www-authenticate']).toBe(
      'Bearer realm="roster"',
    )
    expect(problemHeaders(new ProblemError('invalid_token'))['www-authenticate']).toContain(
      'error="invalid_token"',
    )
    expect(problemHeaders(new ProblemError('forbidden'))).not.toHaveProperty('www-authenticate')
  })
})
