import { expect, test } from 'vitest'
import { benchLists } from './bench.ts'

test('every list is asked for and every plan is looked at, with few users', async () => {
  const lines: string[] = []
  await benchLists({ users: 2000, rows: 5000, requests: 5, roundSeconds: 0.1 }, line => lines.push(line))
  expect(lines.filter(line => /p95 +\d+\.\d ms {2}users /.test(line)).length).toBeGreaterThan(80)
  expect(lines.filter(line => /p95 +\d+\.\d ms {2}audit /.test(line)).length).toBeGreaterThan(25)
  expect(lines.at(-1)).toMatch(/writes\/s with audit [1-9]\d*, without [1-9]\d*, ratio \d/)
})
