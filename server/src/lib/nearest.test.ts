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
