import type { Event } from './envelope.ts'
import type { Feed, FeedQuery } from './feed.ts'

/** Milliseconds of silence after which a comment shows both ends that the stream is alive. */
const beat = 10_000
/** Milliseconds between checks that the token is still believed. */
const recheck = 1000

/**
 * The feed as server-sent events (WHATWG HTML, section 9.2): `id` is the sequence, `event` the type, `data` the
 * whole event. Ends with `signal`, or when `checkAgain` throws.
 */
export async function* eventLines(options: {
  feed: Feed
  query: FeedQuery
  signal: AbortSignal
  checkAgain: () => Promise<void>
}): AsyncGenerator<string> {
  const { feed, query, signal, checkAgain } = options
  let { after } = query
  let saidAt = performance.now()
  let checkedAt = saidAt
  yield ': follow\n\n'
  while (!signal.aborted) {
    const page = await feed.read({ ...query, after })
    if (page.items.length > 0) {
      yield page.items.map(toLines).join('')
      saidAt = performance.now()
    }
    const isAtEnd = page.next_after >= page.head
    after = page.next_after
    if (isAtEnd) await feed.waitBeyond(after, recheck, signal)
    if (performance.now() - checkedAt > recheck) {
      if (!(await believes(checkAgain))) return
      checkedAt = performance.now()
    }
    if (performance.now() - saidAt > beat) {
      yield ': beat\n\n'
      saidAt = performance.now()
    }
  }
}

const toLines = (event: Event): string =>
  `id: ${event.sequence}\nevent: ${event.eventType}\ndata: ${JSON.stringify(event)}\n\n`

const believes = (check: () => Promise<void>): Promise<boolean> =>
  check().then(
    () => true,
    () => false,
  )
