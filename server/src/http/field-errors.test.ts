import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { type HttpPart, toFieldErrors } from './field-errors.ts'
import { createCompiler } from './validation.ts'

function errorsOf(schema: object, value: unknown, part: HttpPart = 'body') {
  const check = createCompiler([])({ ...schema })
  check(value)
  return toFieldErrors(check.errors ?? [], part)
}

const messageOf = (schema: object, value: unknown) => errorsOf(schema, value)[0]?.message

describe('the words for a field at fault', () => {
  test.each([
    [Type.String({ minLength: 2 }), '', 'Must have at least 2 characters.'],
    [Type.String({ maxLength: 1 }), 'ab', 'Must have at most 1 character.'],
    [Type.Array(Type.Any(), { minItems: 1 }), [], 'Must have at least 1 item.'],
    [Type.Array(Type.Any(), { maxItems: 2 }), [1, 2, 3], 'Must have at most 2 items.'],
    [Type.Array(Type.Any(), { uniqueItems: true }), [1, 1], 'Must not have the same item twice.'],
    [Type.Object({}, { minProperties: 1 }), {}, 'Must have at least 1 field.'],
    [Type.Object({}, { maxProperties: 1 }), { a: 1, b: 2 }, 'Must have at most 1 field.'],
    [Type.Number({ minimum: 1 }), 0, 'Must be at least 1.'],
    [Type.Number({ maximum: 1 }), 2, 'Must be at most 1.'],
    [Type.Number({ exclusiveMinimum: 1 }), 1, 'Must be more than 1.'],
    [Type.Number({ exclusiveMaximum: 1 }), 1, 'Must be less than 1.'],
    [Type.Enum(['a', 'b']), 'c', 'Must be one of: a, b.'],
    [Type.Literal('a'), 'c', 'Must be one of: a.'],
    [{ oneOf: [{ type: 'string' }, { type: 'integer' }] }, true, 'Must be a string or a whole number.'],
    [{ type: ['boolean', 'null'] }, 1, 'Must be true or false or null.'],
    [Type.String({ format: 'uuid' }), 'x', 'Must be a UUID.'],
    [Type.String({ format: 'ipv4' }), 'x', 'Must be a valid ipv4.'],
    [Type.String({ pattern: '^a$' }), 'x', 'Has the wrong form.'],
    [
      Type.String({ pattern: '^a$', description: 'The letter a.' }),
      'x',
      'Has the wrong form. It takes: The letter a.',
    ],
    [Type.Number({ multipleOf: 2, description: 'an even number' }), 3, 'Must be: an even number'],
    [Type.Number({ multipleOf: 2 }), 3, 'Is not valid.'],
    [
      Type.Object({}, { additionalProperties: false }),
      { a: 1 },
      'Is not known here; there are no fields to set.',
    ],
    [
      Type.Object(
        { a: Type.Optional(Type.Any()), b: Type.Optional(Type.Any()) },
        { additionalProperties: false },
      ),
      { c: 1 },
      'Is not known here. Known: a, b.',
    ],
  ])('%j with %j: %s', (schema, value, message) => {
    expect(messageOf(schema, value)).toBe(message)
  })

  test('name one fault a field, and twenty fields at most', () => {
    const strict = Type.Object({}, { additionalProperties: false })
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`f${n}`, 1]))
    expect(errorsOf(strict, many)).toHaveLength(20)
    expect(errorsOf(Type.String({ minLength: 5, pattern: '^b' }), 'a')).toHaveLength(1)
  })

  test.each([
    [{ months: 0 }, [{ path: '/months', code: 'too_small', message: 'Must be at least 1.' }]],
    ['3', [{ path: '', code: 'not_allowed', message: 'Must be an object or null.' }]],
  ])('of a union with a schema that has a name, with %j: %j', (value, errors) => {
    const named = Type.Object({ months: Type.Integer({ minimum: 1 }) }, { $id: 'Named' })
    const check = createCompiler([named])({ anyOf: [{ $ref: 'Named#' }, { type: 'null' }] })
    check(value)
    expect(toFieldErrors(check.errors ?? [], 'body')).toEqual(errors)
  })

  test('escape what has a meaning in a pointer, and shorten what is endless', () => {
    const strict = Type.Object({}, { additionalProperties: false })
    expect(errorsOf(strict, { 'a/b~c': 1 })[0]?.path).toBe('/a~1b~0c')
    expect(errorsOf(strict, { ['x'.repeat(5000)]: 1 })[0]?.path).toHaveLength(101)
  })

  test('are about the plain name outside of a body', () => {
    expect(errorsOf(Type.Object({ limit: Type.Integer() }), { limit: 'x' }, 'querystring')[0]?.path).toBe(
      'limit',
    )
  })
})
