import { expect, test } from 'vitest'
import { bench, plans, sections } from './bench.ts'
import { inTurns, percentile } from './statistics.ts'

// Passwords are hashed at the lowest priority: beside other work on a machine this takes many times its 20 seconds.
test('the bench measures every figure it promises, in its small form', { timeout: 900_000 }, async () => {
  const lines: string[] = []
  const results = await bench(plans.quick, new Set(sections), line => lines.push(line))
  const figures = new Map(results.map(({ name, value }) => [name, value]))

  expect([...figures.keys()]).toEqual([
    'first start to ready',
    'warm restart to ready',
    'memory at rest',
    'GET /auth/me : bare Fastify, 10 connections',
    'GET /auth/me : bare Fastify, 100 connections',
    'logins : raw argon2id on every core',
    'logins of the barest kind : the same',
    'p95 of GET /auth/me at 1,000/s in a login storm',
    'p95 of known devices in a storm of dear hashes',
    'p95 of those told to come back',
    'p95 of GET /auth/me meanwhile',
    'refreshes',
    'registrations',
    'memory after that',
  ])
  for (const [name, value] of figures) expect(value, name).toBeGreaterThan(0)
  expect(figures.get('memory at rest')).toBeGreaterThan(40)
  expect(lines).toHaveLength(figures.size + 1)
})

test('a ratio is the median of its turns, so that one disturbed turn does not move it', async () => {
  const ours = [80, 8, 90]
  const found = await inTurns(
    3,
    async () => ours.shift() ?? 0,
    async () => 100,
  )
  expect(found).toMatchObject({ ours: 80, limit: 100, ratio: 0.8 })
})

test('a percentile is the value that so many stay below', () => {
  const values = Array.from({ length: 100 }, (_, n) => 100 - n)
  expect(percentile(values, 0.95)).toBe(96)
  expect(percentile([7], 0.95)).toBe(7)
})
