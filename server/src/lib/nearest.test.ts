import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nearest, slipsBetween } from './nearest.ts'

test.each([
  ['DATABSE_URL', 'DATABASE_URL'],
  ['DATABASE_ULR', 'DATABASE_URL'],
  ['ALLOWED_ORIGIN', 'ALLOWED_ORIGINS'],
  ['srve', 'serve'],
])('%s was meant to be %s', (typed, meant) => {
  expect(nearest(typed, ['DATABASE_URL', 'ALLOWED_ORIGINS', 'serve', 'PORT'])).toBe(meant)
})

test('a word that is right, far from all, or nearly a very short one is nobody else', () => {
  expect(nearest('PORT', ['PORT', 'SPORT'])).toBeUndefined()
  expect(nearest('HOME', ['DATABASE_URL', 'PORT'])).toBeUndefined()
  expect(nearest('abd', ['abc'])).toBeUndefined()
})

test('slips are the same in both directions, none only between equal words, and never more than 3', () => {
  const word = fc.string({ maxLength: 8, unit: fc.constantFrom('a', 'b', 'c') })
  fc.assert(
    fc.property(word, word, (a, b) => {
      const slips = slipsBetween(a, b)
      expect(slips).toBe(slipsBetween(b, a))
      expect(slips === 0).toBe(a === b)
      expect(slips).toBeLessThanOrEqual(3)
    }),
  )
})

/** The whole table, as the textbook has it. */
function distance(a: string, b: string): number {
  const table = Array.from({ length: a.length + 1 }, (_, i) => [i] as number[])
  const cell = (i: number, j: number): number => table[i]?.[j] ?? (i === 0 ? j : Number.POSITIVE_INFINITY)
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const costs = [cell(i - 1, j) + 1, cell(i, j - 1) + 1, cell(i - 1, j - 1) + same]
      if (swapped) costs.push(cell(i - 2, j - 2) + 1)
      table[i]?.push(Math.min(...costs))
    }
  }
  return cell(a.length, b.length)
}

test('the slips are those of the whole table', () => {
  const word = fc.string({ maxLength: 7, unit: fc.constantFrom('a', 'b', 'c') })
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(slipsBetween(a, b)).toBe(Math.min(3, distance(a, b)))
    }),
    { numRuns: 2000 },
  )
})

test('a thousand candidates of 100 letters take milliseconds', () => {
  const candidates = Array.from(
    { length: 1000 },
    (_, n) => `${'near.miss.'.repeat(9)}${String(n).padStart(10, 'x')}`,
  )
  const word = `${'near.miss.'.repeat(9)}yyyyyyyyyy`
  const began = performance.now()
  expect(nearest(word, candidates)).toBeUndefined()
  expect(performance.now() - began).toBeLessThan(20_000)
})
