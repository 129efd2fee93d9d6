import { afterEach, expect, test, vi } from 'vitest'
import type { Event } from './envelope.ts'
import type { FeedPage } from './feed.ts'
import { eventLines } from './server-sent-events.ts'

afterEach(() => void vi.useRealTimers())

const event = (sequence: number, text: string): Event => ({
  id: '0197c0de-0000-7000-8000-000000000001',
  sequence,
  eventType: 'user.profile_updated',
  occurredAt: '2026-01-31T10:00:00.000Z',
  data: { text },
})

/** Lines of a feed that has `pages` and then nothing more; its time passes only where it is waited for. */
function follow(pages: FeedPage[], after: number) {
  vi.useFakeTimers({ toFake: ['performance'] })
  const ending = new AbortController()
  const feed = {
    read: async (query: { after: number }) =>
      pages.shift() ?? { items: [], next_after: query.after, head: query.after },
    async waitBeyond(_after: number, milliseconds: number) {
      vi.advanceTimersByTime(milliseconds)
    },
  }
  return { lines: eventLines({ feed, query: { after }, signal: ending.signal }), end: () => ending.abort() }
}

test('a reader of few types is told how far the feed has gone without any of them', async () => {
  const { lines, end } = follow([{ items: [], next_after: 41, head: 41 }], 7)
  await lines.next()
  expect((await lines.next()).value).toBe('id: 41\n\n')
  end()
  expect((await lines.next()).done).toBe(true)
})

test('many and large events are handed over in pieces, whole and in order', async () => {
  const items = Array.from({ length: 100 }, (_, n) => event(n + 1, 'x'.repeat(n * 1000)))
  const { lines, end } = follow([{ items, next_after: 100, head: 100 }], 0)
  await lines.next()
  let text = ''
  while (!text.includes('id: 100\n')) {
    const { value } = await lines.next()
    expect(value.length).toBeLessThan(170_000)
    text += value
  }
  end()
  const received = text.matchAll(/^data: (.*)$/gm).map(([, data]) => JSON.parse(data ?? ''))
  expect([...received]).toEqual(items)
})
