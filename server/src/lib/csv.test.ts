import { expect, test } from 'vitest'
import { csvRow } from './csv.ts'

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '\u0000=1', '＝1', '\u200b=1', '\n'])(
  'a cell that begins like a formula is text: %j',
  text => {
    expect(csvRow([text])).toBe(`"'${text}"\r\n`)
  },
)

test('quotes, commas and line breaks stay within their cell, and null is an empty one', () => {
  expect(csvRow(['a', null, 'b,c', 'say "x"', 'two\nlines', ''])).toBe(
    'a,,"b,c","say ""x""","two\nlines",\r\n',
  )
})
