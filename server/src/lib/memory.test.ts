import { expect, test } from 'vitest'
import { releaseGarbage } from './memory.ts'

test('garbage is given back at once, and nobody else gets a way to ask for it', () => {
  let ballast: number[] | undefined = Array.from({ length: 5_000_000 }, (_, n) => n)
  const before = process.memoryUsage().heapUsed
  expect(ballast.length).toBe(5_000_000)
  ballast = undefined
  releaseGarbage()
  expect(before - process.memoryUsage().heapUsed).toBeGreaterThan(20_000_000)
  expect(globalThis.gc).toBeUndefined()
})
