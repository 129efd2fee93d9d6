import type { components } from '../generated/api.ts'
import { errorOf } from './error.ts'

export type RosterEvent = components['schemas']['Event']

/** Milliseconds from one attempt at a stream to the next, the longest last. */
const pauses = [500, 2000, 10_000]

/**
 * The feed of events as it grows (server-sent events). A stream that breaks off goes on after the last event; one
 * that the service refuses ends with its error, for example `position_gone`.
 * @param open fetches with the session's token
 */
export async function* followEvents(
  open: (url: string, init: RequestInit) => Promise<Response>,
  url: string,
  options: { after?: number; types?: readonly string[]; signal?: AbortSignal } = {},
): AsyncGenerator<RosterEvent, void, undefined> {
  const { types, signal } = options
  let after = options.after === undefined ? undefined : String(options.after)
  let failures = 0
  while (!signal?.aborted) {
    try {
      const reply = await open(
        `${url}/api/v1/events${types ? `?types=${encodeURIComponent(types.join())}` : ''}`,
        {
          headers: { accept: 'text/event-stream', ...(after !== undefined && { 'last-event-id': after }) },
          ...(signal && { signal }),
        },
      )
      if (!reply.ok && reply.status < 500 && reply.status !== 429) throw await errorOf(reply)
      if (reply.ok && reply.body) {
        failures = 0
        for await (const { id, data } of messages(reply.body)) {
          after = id ?? after
          if (data) yield JSON.parse(data)
        }
      } else failures += 1
    } catch (error) {
      if (signal?.aborted) return
      if (error instanceof Error && error.name === 'RosterError') throw error
      failures += 1
    }
    const pause = failures === 0 ? 0 : (pauses[failures - 1] ?? 10_000)
    await new Promise(resolve => setTimeout(resolve, pause))
  }
}

/** The messages of a stream (HTML standard, 9.2.6), as far as this service writes them. */
async function* messages(body: ReadableStream<Uint8Array>): AsyncGenerator<{ id?: string; data?: string }> {
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader()
  let text = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      text += value
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) yield toMessage(block)
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

function toMessage(block: string): { id?: string; data?: string } {
  const message: { id?: string; data?: string } = {}
  for (const line of block.split('\n')) {
    const [, field, value = ''] = /^(id|data):? ?(.*)$/.exec(line) ?? []
    if (field === 'id') message.id = value
    if (field === 'data') message.data = message.data === undefined ? value : `${message.data}\n${value}`
  }
  return message
}
