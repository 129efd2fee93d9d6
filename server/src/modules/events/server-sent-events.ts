import type { Event } from './envelope.ts'
import type { Feed, FeedQuery } from './feed.ts'

/** Milliseconds of silence after which both ends are shown that the stream is alive. */
const beat = 10_000
/** Most events read, and characters handed over, at a time: what a slow reader makes the service hold. */
const pageSize = 100
const pieceSize = 64 * 1024

/**
 * The feed as server-sent events (WHATWG HTML, section 9.2): `id` is the sequence, `event` the type, `data` the
 * whole event. A beat is an `id` alone, so that a reader of few types keeps their place. Ends with `signal`.
 */
export async function* eventLines(options: {
  feed: Pick<Feed, 'read' | 'waitBeyond'>
  query: Pick<FeedQuery, 'after' | 'types'>
  signal: AbortSignal
}): AsyncGenerator<string> {
  const { feed, query, signal } = options
  let { after } = query
  let saidAt = performance.now()
  yield ': follow\n\n'
  while (!signal.aborted) {
    const page = await feed.read({ ...query, after, limit: pageSize })
    for (const piece of toPieces(page.items)) {
      yield piece
      saidAt = performance.now()
    }
    after = page.next_after
    if (performance.now() - saidAt >= beat) {
      yield `id: ${after}\n\n`
      saidAt = performance.now()
    }
    if (after >= page.head) await feed.waitBeyond(after, saidAt + beat - performance.now(), signal)
  }
}

/** Texts of about `pieceSize`; an event that is larger is one of its own. */
function* toPieces(events: readonly Event[]): Generator<string> {
  let piece = ''
  for (const event of events) {
    piece += toLines(event)
    if (piece.length < pieceSize) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}

const toLines = (event: Event): string =>
  `id: ${event.sequence}\nevent: ${event.eventType}\ndata: ${JSON.stringify(event)}\n\n`
