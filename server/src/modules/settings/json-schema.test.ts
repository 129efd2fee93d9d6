import { describe, expect, test } from 'vitest'
import type { Json } from '../../lib/json.ts'
import { compileSchema } from './json-schema.ts'

const codeOf = (schema: Json, value: Json): string | undefined => compileSchema(schema)(value)?.code

describe('a schema takes what fits and names the first rule that is broken', () => {
  test.each<[Json, Json, Json, string]>([
    [{ type: 'string' }, 'a', 1, 'wrong_type'],
    [{ type: 'number' }, 1.5, '1', 'wrong_type'],
    [{ type: 'integer' }, 2, 2.5, 'wrong_type'],
    [{ type: 'boolean' }, true, 'true', 'wrong_type'],
    [{ type: 'null' }, null, 0, 'wrong_type'],
    [{ type: 'array' }, [], {}, 'wrong_type'],
    [{ type: 'object' }, {}, [], 'wrong_type'],
    [{ enum: ['a', { b: 1 }] }, { b: 1 }, 'c', 'not_allowed'],
    [{ const: [1, 2] }, [1, 2], [2, 1], 'not_allowed'],
    [{ minimum: 3 }, 3, 2, 'too_small'],
    [{ maximum: 3 }, 3, 4, 'too_large'],
    [{ minLength: 2 }, 'äö', 'ä', 'too_short'],
    [{ maxLength: 1 }, '𝄞', 'ab', 'too_long'],
    [{ minItems: 1 }, [1], [], 'too_few'],
    [{ maxItems: 1 }, [1], [1, 2], 'too_many'],
    [{ uniqueItems: true }, [1, 2], [1, 1], 'not_unique'],
    [{ pattern: '^a+$' }, 'aaa', 'ab', 'format'],
    [{ items: { type: 'integer' } }, [1, 2], [1, 'x'], 'wrong_type'],
    [{ properties: { a: { type: 'integer' } } }, { a: 1, b: 2 }, { a: 'x' }, 'wrong_type'],
    [{ required: ['a'] }, { a: null }, { b: 1 }, 'required'],
    [{ properties: { a: {} }, additionalProperties: false }, { a: 1 }, { b: 1 }, 'unknown_field'],
  ])('%j takes %j and refuses %j as %s', (schema, good, bad, code) => {
    expect(codeOf(schema, good)).toBeUndefined()
    expect(codeOf(schema, bad)).toBe(code)
  })

  test.each<[Json, Json]>([
    [{ minimum: 3 }, 'text'],
    [{ minLength: 3 }, 1],
    [{ minItems: 3 }, 'ab'],
    [{ uniqueItems: true }, 'aa'],
    [{ uniqueItems: false }, [1, 1]],
    [{ pattern: 'a' }, 1],
    [{ items: { type: 'null' } }, {}],
    [{ properties: { a: { type: 'null' } } }, []],
    [{ required: ['a'] }, 'a'],
    [{ additionalProperties: false }, 'a'],
    [{ additionalProperties: true }, { a: 1 }],
    [{ title: 'A', description: 'B' }, 1],
  ])('%j has nothing to say of %j', (schema, value) => {
    expect(codeOf(schema, value)).toBeUndefined()
  })

  test('a finding inside names its place', () => {
    const schema = { properties: { list: { items: { required: ['a/b'] } } } }
    expect(compileSchema(schema)({ list: [{ 'a/b': 1 }, {}] })?.pointer).toBe('/list/1/a~1b')
  })
})

describe('a schema that makes no sense is refused with a message for people', () => {
  test.each<[Json, RegExp]>([
    ['text', /must be an object/],
    [{ $ref: '#' }, /keyword "\$ref" is not known/],
    [{ __proto__x: 1 }, /not known/],
    [{ type: 'text' }, /must be one of/],
    [{ type: ['string'] }, /must be one of/],
    [{ title: 1 }, /must be text/],
    [{ enum: [] }, /list of values/],
    [{ enum: 'a' }, /list of values/],
    [{ minimum: '1' }, /must be a number/],
    [{ maximum: Number.POSITIVE_INFINITY }, /must be a number/],
    [{ minLength: -1 }, /whole number from 0/],
    [{ maxLength: 1.5 }, /whole number from 0/],
    [{ properties: { a: { minItems: 2, maxItems: 1 } } }, /a\/minItems must not be more than maxItems/],
    [{ minimum: 2, maximum: 1 }, /must not be more than maximum/],
    [{ uniqueItems: 1 }, /true or false/],
    [{ pattern: 1 }, /must be a pattern/],
    [{ pattern: 'a'.repeat(501) }, /must be a pattern/],
    [{ items: 1 }, /must be an object/],
    [{ properties: [] }, /must be an object/],
    [{ properties: { a: 1 } }, /must be an object/],
    [{ required: 'a' }, /list of names/],
    [{ required: [1] }, /list of names/],
    [{ additionalProperties: {} }, /true or false/],
  ])('%j', (schema, message) => {
    expect(() => compileSchema(schema)).toThrow(message)
  })

  test('one that is too deep or too large', () => {
    let deep: Json = {}
    for (let n = 0; n < 10; n += 1) deep = { items: deep }
    expect(() => compileSchema(deep)).toThrow(/deeper than/)
    const wide = { properties: Object.fromEntries(Array.from({ length: 201 }, (_, n) => [`k${n}`, {}])) }
    expect(() => compileSchema(wide)).toThrow(/more than 200/)
    const items = { properties: { a: { pattern: 'a'.repeat(500) }, b: { pattern: 'b'.repeat(500) } } }
    expect(codeOf({ items, properties: { c: items } }, {})).toBeUndefined()
    expect(() => compileSchema({ items, properties: { c: items, d: { pattern: 'd' } } })).toThrow(
      /patterns have more than 2000/,
    )
  })
})
