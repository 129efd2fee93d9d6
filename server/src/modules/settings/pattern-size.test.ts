import fc from 'fast-check'
import { RE2JS } from 're2js'
import { expect, test } from 'vitest'
import { estimateProgramSize } from './pattern-size.ts'
import { compilePattern } from './patterns.ts'

const sizeOf = (source: string) => RE2JS.compile(source).programSize()

test.each([
  ['a group of what may be left out', `(?:${'a?'.repeat(240)}){1000}`],
  ['any characters', `(?:${'.'.repeat(480)}){1000}`],
  ['loops in groups', `(?:${'(a*)*'.repeat(95)}){0,1000}`],
  ['classes of Unicode', `(?:${String.raw`\pL`.repeat(150)}){1000}`],
  ['classes in brackets', `(?i)(?:${String.raw`[\pL\]]`.repeat(60)}){1000}`],
  ['one letter after the other', 'x{1000}'.repeat(70)],
  ['empty groups', '((){1000}){1}'.repeat(38)],
  ['groups in groups', `(?:(?:${'(?P<a>b)'.repeat(50)}){31}){31}`.replaceAll('<a>', '')],
  ['at least so many', `(?:${'ab'.repeat(200)}){500,}`],
  ['quoted letters in a group', String.raw`(?:\Q${'(['.repeat(200)}\E){1000}`],
])('%s, far too many times, are refused at once', (_what, source) => {
  const times = Array.from({ length: 5 }, () => {
    const began = performance.now()
    expect(() => compilePattern(source)).toThrow(/too large|error parsing/)
    return performance.now() - began
  })
  expect(Math.min(...times)).toBeLessThan(20)
})

test.each([
  String.raw`^[\p{L}\p{M}\p{N} .'’-]{1,1000}$`,
  String.raw`^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,63}$`,
  `^(?:${Array.from({ length: 120 }, (_, n) => `w${n}`).join('|')})$`,
  String.raw`\Q(?:a{1000}){1000}\E`,
  '[(]{3}[)]{3}[]{]{1000}',
  String.raw`\(\{1000\}\({1000}`,
  '(?:a|b|c|d|e|f|g|h){1000}',
])('%s is taken', source => {
  expect(compilePattern(source).stepsFor(1)).toBeGreaterThan(0)
})

test('what may come never or ever so often still counts as it is compiled: once', () => {
  const many = `(?:(?:${'ab'.repeat(100)}){0,}){20}`
  expect(sizeOf(many)).toBeLessThanOrEqual(2 * estimateProgramSize(many))
})

test('what is read off a pattern is never far below what it compiles to', () => {
  const atom = fc.constantFrom(
    'a',
    '.',
    '[a-z]',
    String.raw`\pL`,
    String.raw`\{`,
    '[^)]',
    '[(]',
    String.raw`\Qab\E`,
  )
  const repetition = fc.oneof(
    fc.constantFrom('', '', '*', '+', '?', '*?'),
    fc.tuple(fc.nat(30), fc.nat(30)).map(([least, more]) => `{${least},${least + more}}`),
    fc.nat(30).map(least => `{${least},}`),
    fc.nat(30).map(times => `{${times}}`),
  )
  const { pattern } = fc.letrec<{ pattern: string; part: string }>(tie => ({
    part: fc.oneof(
      { maxDepth: 3 },
      atom,
      fc
        .tuple(fc.constantFrom('(', '(?:', '(?i:'), tie('pattern'))
        .map(([open, inner]) => `${open}${inner})`),
    ),
    pattern: fc
      .array(
        fc.tuple(tie('part'), repetition).map(parts => parts.join('')),
        { minLength: 1, maxLength: 4 },
      )
      .chain(found => fc.constantFrom('', '|').map(between => found.join(between))),
  }))
  fc.assert(
    fc.property(pattern, source => {
      const estimate = estimateProgramSize(source)
      fc.pre(estimate < 20_000)
      let size = 0
      try {
        size = sizeOf(source)
      } catch {
        return // such as repetitions of more than 1,000 together
      }
      expect(size).toBeLessThanOrEqual(2 * estimate + 30)
    }),
    { numRuns: 500 },
  )
})
