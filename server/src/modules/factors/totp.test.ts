import fc from 'fast-check'
import { generateSync } from 'otplib'
import { expect, test } from 'vitest'
import { newTotp, stepOfCode } from './totp.ts'

/** RFC 6238, appendix B: seconds, and the last six digits of the code for SHA-1. */
const vectors: [number, string][] = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
]
const rfcSecret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'

test.each(vectors)('at %d seconds the code of RFC 6238 is taken, and names its step', (seconds, code) => {
  const at = new Date(seconds * 1000)
  const step = Math.floor(seconds / 30)
  expect(stepOfCode(rfcSecret, code, at)).toBe(step)
  expect(stepOfCode(rfcSecret, code, new Date(at.getTime() + 30_000))).toBe(step)
  expect(stepOfCode(rfcSecret, code, new Date(at.getTime() - 30_000))).toBe(step)
  expect(stepOfCode(rfcSecret, code, new Date(at.getTime() + 60_000))).toBeUndefined()
  expect(stepOfCode(rfcSecret, code, new Date(at.getTime() - 60_000))).toBeUndefined()
})

test('codes of another library are taken, whatever the secret and the time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), epoch => {
      const { secret } = newTotp('Roster', 'person')
      const code = generateSync({ secret, epoch })
      expect(stepOfCode(secret, code, new Date(epoch * 1000))).toBe(Math.floor(epoch / 30))
    }),
    { numRuns: 200 },
  )
})

test('a code is taken with the space that apps show in it', () => {
  expect(stepOfCode(rfcSecret, '287 082', new Date(59_000))).toBe(1)
})

test('what is no code of six digits is not taken', () => {
  for (const code of ['', '28708', '2870821', 'abcdef', '２８７０８２', '-87082', '0x1234'])
    expect(stepOfCode(rfcSecret, code, new Date(59_000))).toBeUndefined()
})

test.each(['287 082', ' 287082', '287082\n', '287\u00a0082', '287-082', '\u200b287082'])(
  'a code is taken however it was pasted: %j',
  typed => expect(stepOfCode(rfcSecret, typed, new Date(59_000))).toBe(1),
)

test('the name of a brand has no colon where apps read it', () => {
  const { pathname, searchParams } = new URL(newTotp('Acme: Corp', 'ada').url)
  expect([decodeURIComponent(pathname), searchParams.get('issuer')]).toEqual(['/Acme Corp:ada', 'Acme Corp'])
})

test('a new secret has 160 bits and an address that apps read', () => {
  const { secret, url } = newTotp('A & B', 'müller')
  expect(secret).toMatch(/^[A-Z2-7]{32}$/)
  const parsed = new URL(url)
  expect([parsed.protocol, parsed.host]).toEqual(['otpauth:', 'totp'])
  expect(decodeURIComponent(parsed.pathname)).toBe('/A & B:müller')
  expect(Object.fromEntries(parsed.searchParams)).toMatchObject({
    secret,
    issuer: 'A & B',
    digits: '6',
    period: '30',
  })
})
