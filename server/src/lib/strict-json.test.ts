import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maxJsonDepth, parseStrictJson, StrictJsonError } from './strict-json.ts'

const parse = (text: string) => parseStrictJson(Buffer.from(text))

function refusal(body: string | Buffer): { fault: string; pointer: string } {
  try {
    parseStrictJson(Buffer.from(body))
  } catch (error) {
    if (error instanceof StrictJsonError) return { fault: error.fault, pointer: error.pointer }
    throw error
  }
  throw new Error('accepted')
}

describe('strict JSON', () => {
  test('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), value => {
        const text = JSON.stringify(value)
        if (!/\\u0000|__proto__|\\ud/i.test(text)) expect(parse(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  test('reads any bytes or refuses them with its own error, and never otherwise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
        try {
          parseStrictJson(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(StrictJsonError)
        }
      }),
    )
  })

  test('accepts exactly what JSON.parse accepts, but for what it refuses on purpose', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b"',
      '1',
      'null',
      ' ',
      '"\\n"',
      '"\\""',
    )
    fc.assert(
      fc.property(fc.array(token, { maxLength: 14 }), tokens => {
        const text = tokens.join('')
        let isJson = true
        try {
          JSON.parse(text)
        } catch {
          isJson = false
        }
        try {
          parse(text)
          expect(isJson).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(StrictJsonError)
          if (isJson) expect(error).toHaveProperty('fault', 'duplicate_key')
        }
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['a key that comes twice', '{"a":1,"b":{"c":1,"c":2}}', 'duplicate_key', '/b/c'],
    ['a key that comes twice, once escaped', '{"a":1,"\\u0061":2}', 'duplicate_key', '/a'],
    ['a key that comes twice in a list', '[{"a":1},{"a":1,"a":1}]', 'duplicate_key', '/1/a'],
    ['__proto__', '{"x":{"__proto__":{"admin":true}}}', 'forbidden_key', '/x/__proto__'],
    ['__proto__ in escapes', '{"\\u005f_proto__":1}', 'forbidden_key', '/__proto__'],
    ['constructor.prototype', '{"constructor":{"prototype":{}}}', 'forbidden_key', '/constructor/prototype'],
    ['NUL in a value', '{"email":"a\\u0000b"}', 'nul_character', '/email'],
    ['NUL in a list', '{"skills":["a","\\u0000"]}', 'nul_character', '/skills/1'],
    ['half a surrogate pair', '{"name":"\\ud83d"}', 'lone_surrogate', '/name'],
    ['the pair in the wrong order', '{"name":"\\ude00\\ud83d"}', 'lone_surrogate', '/name'],
    ['a key with a slash', '{"a/b":{"~":"\\u0000"}}', 'nul_character', '/a~1b/~0'],
    ['a number beyond what a double holds', '{"a":{"b":1e400}}', 'number_too_large', '/a/b'],
    ['a negative one in a list', '[1e-400,-1E+309]', 'number_too_large', '/1'],
    ['one of very many digits', `{"a":1,"b":${'9'.repeat(309)}}`, 'number_too_large', '/b'],
    ['text that is no JSON', '{"a":}', 'invalid_json', ''],
    ['two values', '{} {}', 'invalid_json', ''],
    ['a comment', '{/* */}', 'invalid_json', ''],
    ['NaN', '{"a":NaN}', 'invalid_json', ''],
  ])('refuses %s and says where', (_name, text, fault, pointer) => {
    expect(refusal(text)).toEqual({ fault, pointer })
  })

  test('accepts a proper surrogate pair, escaped quotes and backslashes', () => {
    expect(parse('{"a":"\\ud83d\\ude00","b":"\\\\","c":"\\"{[,:"}')).toEqual({ a: '😀', b: '\\', c: '"{[,:' })
  })

  test('accepts every number that a double holds, however it is written', () => {
    const text = `[1.7976931348623157e308,-1e308,5e-324,1e-400,0.1e309,1${'0'.repeat(308)},0.${'1'.repeat(400)},-0]`
    expect(parse(text)).toEqual(JSON.parse(text))
    expect(parse('1e5')).toBe(100_000)
  })

  test('a sibling of the same name in another object is no duplicate', () => {
    expect(parse('{"a":{"x":1},"b":{"x":1},"x":[{"x":1},{"x":2}]}')).toBeTruthy()
  })

  test('accepts 16 levels and refuses the 17th, however many follow', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(parse(nested(maxJsonDepth))).toBeTruthy()
    expect(refusal(nested(maxJsonDepth + 1)).fault).toBe('too_deep')
    expect(refusal(nested(50_000)).fault).toBe('too_deep')
    expect(refusal(`${'{"a":'.repeat(17)}1${'}'.repeat(17)}`).fault).toBe('too_deep')
  })

  test('refuses invalid UTF-8 and names the field, raw surrogates and overlong forms included', () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]) {
      const body = Buffer.concat([
        Buffer.from('{"ok":"é","naïve":["x","a'),
        Buffer.from(bytes),
        Buffer.from('"]}'),
      ])
      expect(refusal(body)).toEqual({ fault: 'invalid_utf8', pointer: '/naïve/1' })
    }
  })

  test('names what holds the invalid bytes, however they are hidden', () => {
    const bad = (before: string) => refusal(Buffer.concat([Buffer.from(before), Buffer.from([0xff])]))
    expect(bad('')).toEqual({ fault: 'invalid_utf8', pointer: '' })
    expect(bad('{"a":{"b":"\\u0041\\"')).toEqual({ fault: 'invalid_utf8', pointer: '/a/b' })
    expect(bad('{"a":1,"b\\')).toEqual({ fault: 'invalid_utf8', pointer: '/b\\' })
    expect(bad('{"a":[[],{"x":1},"é')).toEqual({ fault: 'invalid_utf8', pointer: '/a/2' })
    expect(bad(`${'['.repeat(16)}"`)).toEqual({ fault: 'invalid_utf8', pointer: '/0'.repeat(16) })
  })

  test('names what is wrong before the invalid bytes, and no field of what is no JSON', () => {
    const bad = (before: string) => refusal(Buffer.concat([Buffer.from(before), Buffer.from([0xff])]))
    expect(bad(`{"a":${'['.repeat(20)}]]]]],"`)).toEqual({
      fault: 'too_deep',
      pointer: `/a${'/0'.repeat(15)}`,
    })
    expect(bad('{"a":1,"a":"')).toEqual({ fault: 'duplicate_key', pointer: '/a' })
    expect(bad('}}]]{"a":"\\q","\\u00')).toEqual({ fault: 'invalid_utf8', pointer: '/\\u00' })
    expect(bad('{"\\q":"')).toEqual({ fault: 'invalid_utf8', pointer: '' })
  })

  test('stays linear: the worst 100 KiB don’t take a second', () => {
    const worst = [
      `{${Array.from({ length: 9000 }, (_, n) => `"k${n}":1`).join(',')}}`,
      `["${'\\u0041'.repeat(16_000)}"]`,
      `[${'"",'.repeat(30_000)}""]`,
      `[${'1e1,'.repeat(25_000)}0]`,
      '1'.repeat(100_000),
      '['.repeat(100_000),
    ]
    for (const text of worst) {
      const start = performance.now()
      try {
        parse(text)
      } catch (error) {
        expect(error).toBeInstanceOf(StrictJsonError)
      }
      expect(performance.now() - start).toBeLessThan(20_000)
    }
  })
})
