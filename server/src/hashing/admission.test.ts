import { describe, expect, test } from 'vitest'
import { type Admission, type Asker, createAdmission } from './admission.ts'
import { createLanes } from './lanes.ts'

/** How much of work that costs `cost` is let in, one after the other. */
function fill(admission: Admission, cost: number, askerOf: (n: number) => Asker): number {
  for (let n = 0; n < 10_000; n += 1) if ('retryAfter' in admission.enter(cost, askerOf(n))) return n
  throw new Error('no bound')
}

/** 2 seconds of 20 ms hashes on two cores: 200 of them, half for strangers. */
function measured(unit = 20): Admission {
  const admission = createAdmission({ workers: 2, patience: 2000 })
  for (let n = 0; n < 200; n += 1) admission.took(3, unit * 3)
  return admission
}

describe('what waits for hashing', () => {
  test.each([
    [1, 100],
    [4, 25],
    [30, 4],
  ])('is bounded by its time, not its number: of cost %d, %d', (cost, expected) => {
    expect(fill(measured(), cost, n => ({ account: `a${n}`, address: `b${n}` }))).toBe(expected)
  })

  test('is less where hashes take longer, and one at a time at the least', () => {
    expect([10, 11]).toContain(fill(measured(200), 1, n => ({ account: `a${n}` })))
    expect(fill(measured(20_000), 30, n => ({ account: `a${n}` }))).toBe(1)
  })

  test('is by one account a quarter, by one address half, and leaves the rest to others', () => {
    const admission = measured()
    expect(fill(admission, 1, n => ({ account: 'same', address: `b${n}` }))).toBe(25)
    expect(fill(admission, 1, n => ({ account: `a${n}`, address: 'office' }))).toBe(50)
    expect(fill(admission, 1, n => ({ account: `c${n}`, address: `d${n}` }))).toBe(25)
  })

  test('leaves those who are known their half, whatever strangers do to their account or address', () => {
    const admission = measured()
    fill(admission, 30, n => ({ account: 'owner', address: `b${n}` }))
    fill(admission, 30, n => ({ account: `a${n}`, address: 'office' }))
    fill(admission, 30, n => ({ account: `a${n}`, address: `c${n}` }))
    const known: Asker = { account: 'owner', address: 'office', isKnown: true }
    expect(fill(admission, 1, () => known)).toBe(25)
  })

  test('makes room where it is done, to the last', () => {
    const admission = measured()
    for (let round = 0; round < 50; round += 1) {
      const entries = Array.from({ length: 4 }, () => admission.enter(24.3, { account: `${round % 3}` }))
      for (const entry of entries) if ('leave' in entry) entry.leave()
    }
    expect(fill(admission, 1, n => ({ account: `a${n}`, address: `b${n}` }))).toBe(100)
  })

  test('is refused with the seconds that it takes to be worked off', () => {
    const admission = createAdmission({ workers: 1, patience: 20_000 })
    fill(admission, 1, n => ({ account: `a${n}`, address: `b${n}` }))
    expect(admission.enter(1, {})).toEqual({ retryAfter: 10 })
  })

  test('is not refused for ever after one long stall', () => {
    const admission = measured()
    admission.took(1, 3_600_000)
    expect(fill(admission, 1, n => ({ account: `a${n}`, address: `b${n}` }))).toBeGreaterThan(50)
  })
})

test('those who are known go first, and strangers have one turn in eight', () => {
  const lanes = createLanes<string>()
  for (let n = 0; n < 10; n += 1) lanes.push(`stranger ${n}`, false)
  for (let n = 0; n < 20; n += 1) lanes.push(`known ${n}`, true)
  const order = Array.from({ length: 30 }, () => lanes.shift() ?? '')
  expect(order.slice(0, 8)).toEqual([...Array.from({ length: 7 }, (_, n) => `known ${n}`), 'stranger 0'])
  expect(order.toSorted()).toHaveLength(30)
  expect(new Set(order).size).toBe(30)
  expect([lanes.length, lanes.shift()]).toEqual([0, undefined])
})
