import { expect, test } from 'vitest'
import { createTurnstile } from './turnstile.ts'

test('a turnstile lets in as many as it has places, the others in their order', async () => {
  const turnstile = createTurnstile(2, 60_000)
  const order: number[] = []
  const visits = [1, 2, 3, 4].map(async n => {
    const leave = await turnstile.enter('a')
    order.push(n)
    return leave
  })
  const [first] = await Promise.all(visits.slice(0, 2))
  expect(order).toEqual([1, 2])
  first?.()
  first?.()
  const third = await visits[2]
  expect(order).toEqual([1, 2, 3])
  expect(await turnstile.enter('b')).toBeDefined()
  third?.()
  expect(await visits[3]).toBeDefined()
})

test('who waits for too long is sent away, and takes no place', async () => {
  const turnstile = createTurnstile(1, 20)
  const leave = await turnstile.enter('a')
  expect(await turnstile.enter('a')).toBeUndefined()
  leave?.()
  const again = await turnstile.enter('a')
  expect(again).toBeDefined()
  again?.()
  expect(await turnstile.enter('a')).toBeDefined()
})
