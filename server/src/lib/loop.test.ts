import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createLoop } from './loop.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A loop that is woken in each of its first thousand turns. Returns how many it has had in `milliseconds`. */
async function turnsOf(milliseconds: number, turn: () => Promise<boolean>): Promise<number> {
  let turns = 0
  const loop = createLoop({
    name: 'test',
    idle: 100,
    turn() {
      turns += 1
      if (turns <= 1000) loop.wake()
      return turn()
    },
    failed: () => undefined,
  })
  loop.start()
  await vi.advanceTimersByTimeAsync(milliseconds)
  await loop.stop()
  return turns
}

test('a wake during a turn lets the next follow at once, and none after that', async () => {
  expect(await turnsOf(50, async () => false)).toBe(1001)
})

test('a turn that fails is followed by its pause, however often it is woken', async () => {
  const turns = await turnsOf(700, () => Promise.reject(new Error('away')))
  // At 0, 200 and 600 ms.
  expect(turns).toBe(3)
})
