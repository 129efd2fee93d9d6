import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { meansPhone, phoneFault, phoneKey, phonePrefix } from './phone.ts'

describe('a phone number', () => {
  test.each([
    ['+43 (1) 234-56.78', '+4312345678'],
    ['+44 (0)20 7946 0018', '+442079460018'],
    ['+44(0)20 7946 0018', '+442079460018'],
    ['+44 (020) 7946 0018', '+442079460018'],
    ['+44 020 7946 0018', '+442079460018'],
    ['(+44) 20 7946 0018', '+442079460018'],
    ['+49 [0] 30/12 34 56', '+4930123456'],
    ['+353 (0)1 234 5678', '+35312345678'],
    ['+36 (06) 1 234 5678', '+3612345678'],
    ['+7 495 123-45-67', '+74951234567'],
    ['\u202d+43 660 1234567\u202c', '+436601234567'],
    ['+43\u00a0660\u00a01234567', '+436601234567'],
    ['+43\u2011660\u20111234567', '+436601234567'],
    ['\ufeff+43\u2013660\u2212123\u200b45\u00ad67\t', '+436601234567'],
    ['＋８１（０）９０ー１２３４ー５６７８', '+819012345678'],
  ])('%s is kept as %s', (text, key) => expect([phoneKey(text), phoneFault(text)]).toEqual([key, '']))

  test.each([
    ['+39 06 6982 1234', '+390669821234'],
    ['+39 (0)6 6982 1234', '+390669821234'],
    ['+225 07 12 34 56 78', '+2250712345678'],
    ['+378 0549 123456', '+3780549123456'],
  ])('%s keeps its 0: %s', (text, key) => expect(phoneKey(text)).toBe(key))

  test.each([
    ['', 'is empty'],
    ['\u202d \u200b', 'is empty'],
    ['0664 1234567', 'has no + and country code'],
    ['004312345678', 'begins with 00'],
    ['+12345', 'has 5 digits'],
    ['+43123456789012345', 'has 17 digits'],
    ['+0123456789', 'has a country code that begins with 0'],
    ['++4312345678', 'has a second +'],
    ['+43 1 +234567', 'has a second +'],
    ['+44 00 20 7946 0018', 'has a 0 that is not part of it'],
    ['+44 20 (0) 7946 0018', 'has a 0 that is not part of it'],
    ['+43 1 234567 ext. 5', 'has “e” (U+0065) in it'],
    ['+٤٣١٢٣٤٥٦٧٨', 'has “٤” (U+0664) in it'],
    ['+43 1 234567\ud800', 'has U+D800 in it'],
  ])('in place of %j the fault is told: %s', (text, fault) => {
    expect(phoneKey(text)).toBeNull()
    expect(phoneFault(text)).toContain(fault)
  })
})

const filler = fc.constantFrom('', ' ', '-', '.', '/', '\u00a0', '\u2011', '\u202d', '\u200b', '\u2013', '\t')
const number = fc
  .tuple(
    fc.constantFrom('1', '7', '43', '44', '49', '36', '39', '225', '353', '420'),
    fc.integer({ min: 2e6, max: 9e9 }),
  )
  .map(([country, rest]) => ({ country, rest: String(rest) }))

describe('of any number', () => {
  test('every spelling is kept in one form, which is a spelling of itself', () => {
    fc.assert(
      fc.property(
        number,
        fc.array(filler, { minLength: 30, maxLength: 30 }),
        ({ country, rest }, fillers) => {
          const key = `+${country}${rest}`
          const spelt = [...key].map((character, n) => fillers[n] + character).join('') + fillers[29]
          expect([phoneKey(spelt), phoneKey(key), phonePrefix(spelt)]).toEqual([key, key, key])
          expect(meansPhone(spelt)).toBe(true)
        },
      ),
    )
  })

  test('the trunk prefix makes no difference', () => {
    fc.assert(
      fc.property(number, filler, ({ country, rest }, between) => {
        fc.pre(country !== '39' && country !== '225')
        const trunk = country === '36' ? '06' : '0'
        for (const written of [`(${trunk})`, trunk, `(${trunk}${rest.slice(0, 2)})`]) {
          const national = written.length > 4 ? written + rest.slice(2) : written + rest
          expect(phoneKey(`+${country}${between}${national}`)).toBe(`+${country}${rest}`)
        }
      }),
    )
  })

  test('what is taken is E.164, and taken again as it is; what is not has a reason', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...'+0123456789() -') }).map(digits => `+${digits}`),
    )
    fc.assert(
      fc.property(text, typed => {
        const key = phoneKey(typed)
        if (key === null) expect(phoneFault(typed)).not.toBe('')
        else expect([key, phoneKey(key)]).toEqual([expect.stringMatching(/^\+[1-9]\d{6,14}$/), key])
      }),
      { numRuns: 2000 },
    )
  })
})
