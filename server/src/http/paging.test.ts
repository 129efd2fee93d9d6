import { expect, test } from 'vitest'
import { pageOf, readCursor } from './paging.ts'

const key = Buffer.alloc(32, 1)
const list = { key, name: 'things by size' }
const rows = [1, 2, 3].map(size => ({ size, id: `thing ${size}` }))
const placeOf = ({ size, id }: { size: number; id: string }) => [size, id]

test('a page that is not the last one has a cursor for its end', () => {
  const { items, next_cursor } = pageOf(list, rows, 2, placeOf)
  expect(items).toEqual(rows.slice(0, 2))
  expect(readCursor(list, next_cursor ?? '', ['number', 'string'])).toEqual([2, 'thing 2'])
})

test('the last page has none, and no cursor is no place', () => {
  expect(pageOf(list, rows, 3, placeOf)).toEqual({ items: rows, next_cursor: null })
  expect(pageOf(list, [], 3, placeOf)).toEqual({ items: [], next_cursor: null })
  expect(readCursor(list, undefined, ['number', 'string'])).toBeUndefined()
})

test('a cursor of another list, or with another kind of place, is refused by name', () => {
  const cursor = pageOf(list, rows, 2, placeOf).next_cursor ?? ''
  const refusal = expect.objectContaining({
    code: 'validation_failed',
    errors: [expect.objectContaining({ path: 'cursor', code: 'cursor' })],
  })
  expect(() => readCursor({ key, name: 'things by age' }, cursor, ['number', 'string'])).toThrow(refusal)
  expect(() => readCursor(list, cursor, ['string'])).toThrow(refusal)
  expect(() => readCursor(list, cursor, ['number', 'string', 'number'])).toThrow(refusal)
  expect(() => readCursor(list, 'x', ['number', 'string'])).toThrow(refusal)
})
