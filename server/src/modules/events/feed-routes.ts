import { addAbortListener } from 'node:events'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Store } from '../../db/store.ts'
import type { Authenticate } from '../../http/guard.ts'
import { can } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import { idOf, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { isUuid } from '../../lib/ids.ts'
import { EventSchema, eventExample } from './envelope.ts'
import { eventTypePatterns } from './event-types.ts'
import type { Feed, FeedQuery } from './feed.ts'
import { eventLines } from './server-sent-events.ts'
import { SnapshotSchema, takeSnapshot } from './snapshot.ts'

export type FeedRoutesDeps = { store: Store; feed: Feed; authenticate: Authenticate }

const tags = ['events']
const access = { permission: 'events:read' }
/** Streams and waiting requests that one process holds open. */
const mostOpen = 1000
/** Milliseconds between checks that the token of a stream is still believed. */
const checkEvery = 1000
/** Milliseconds that a client has to take the end of a stream. */
const endPatience = 1000

const FeedPageSchema = Type.Object(
  {
    items: Type.Array(ref(EventSchema)),
    next_after: Type.Integer({ description: '`after` of the next request' }),
    head: Type.Integer({ description: 'The last number given' }),
  },
  {
    $id: 'EventFeed',
    additionalProperties: false,
    examples: [{ items: [eventExample], next_after: 1234, head: 1234 }],
  },
)

const FeedQuerySchema = Type.Object(
  {
    after: Type.Optional(
      Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'A sequence' }),
    ),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Not for a stream' }),
    ),
    wait: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 30,
        default: 0,
        description: 'Seconds to wait for an event; not for a stream',
      }),
    ),
    types: Type.Optional(
      Type.String({ maxLength: 1000, description: 'With commas between: `user.*,session.revoked`' }),
    ),
  },
  { additionalProperties: false },
)

const FeedHeadersSchema = Type.Object({
  'Last-Event-ID': Type.Optional(
    Type.String({
      pattern: '^\\d{1,15}$',
      description: 'The last `id` of a stream that broke off; goes before `after`',
      examples: ['1234'],
    }),
  ),
})

/** The replay feed and the snapshot that a replica begins with. */
export function feedRoutes(app: App, deps: FeedRoutesDeps): void {
  for (const schema of [EventSchema, FeedPageSchema, SnapshotSchema]) app.addSchema(schema)
  followRoute(app, deps)
  snapshotRoute(app, deps)
}

function followRoute(app: App, { feed, authenticate }: FeedRoutesDeps): void {
  const closing = new AbortController()
  app.addHook('preClose', done => {
    closing.abort()
    done()
  })
  let open = 0

  /** A token may end while its holder waits. @throws ProblemError invalid_token, forbidden */
  async function checkAgain(request: FastifyRequest): Promise<void> {
    const principal = await authenticate((request.headers.authorization ?? '').replace(/^bearer /i, ''))
    if (!can(principal, access.permission)) throw new ProblemError('forbidden')
  }

  /** Counts a request that stays open, and gives the signal that ends it. @throws ProblemError service_busy */
  function enter({ raw }: FastifyRequest): { signal: AbortSignal; end: () => void; leave: () => void } {
    if (open >= mostOpen) throw new ProblemError('service_busy')
    open += 1
    const gone = new AbortController()
    const end = () => gone.abort()
    raw.socket.once('close', end)
    if (raw.socket.destroyed) end()
    return {
      signal: AbortSignal.any([closing.signal, gone.signal]),
      end,
      leave() {
        open -= 1
        raw.socket.off('close', end)
      },
    }
  }

  async function answerLater(request: FastifyRequest, query: FeedQuery, seconds: number) {
    const page = await feed.read(query)
    if (page.items.length > 0 || seconds === 0) return page
    const { signal, leave } = enter(request)
    try {
      const deadline = performance.now() + seconds * 1000
      let last = page
      while (last.items.length === 0 && performance.now() < deadline && !signal.aborted) {
        await feed.waitBeyond(last.next_after, deadline - performance.now(), signal)
        last = await feed.read({ ...query, after: last.next_after })
      }
      await checkAgain(request)
      return last
    } finally {
      leave()
    }
  }

  async function stream(request: FastifyRequest, reply: FastifyReply, query: FeedQuery) {
    // A position that is gone is an error reply, not an empty stream.
    await feed.read(query)
    const { signal, end, leave } = enter(request)
    const check = setInterval(() => checkAgain(request).catch(end), checkEvery)
    reply.raw.once('close', end)
    addAbortListener(signal, () => {
      clearInterval(check)
      leave()
      // A client that reads has seen the end by then; to one that does not, it can't be sent.
      setTimeout(() => reply.raw.destroy(), endPatience).unref()
    })
    reply.header('x-accel-buffering', 'no')
    return reply.type('text/event-stream').send(Readable.from(eventLines({ feed, query, signal })))
  }

  app.route({
    method: 'GET',
    url: '/events',
    config: { access },
    schema: {
      operationId: 'followEvents',
      tags,
      summary: 'Follow the events',
      description:
        'Events with a sequence above `after`, in order, as long as they are held (`EVENT_RETENTION_DAYS`). ' +
        '`wait` keeps a request open until there is one. With `Accept: text/event-stream` they come as ' +
        'server-sent events, for as long as the token is valid; `Last-Event-ID` goes on where a stream broke off. ' +
        'Without either, the feed starts with the oldest event held.',
      querystring: FeedQuerySchema,
      headers: FeedHeadersSchema,
      response: {
        200: {
          description: 'Events.',
          content: {
            'application/json': { schema: ref(FeedPageSchema) },
            'text/event-stream': { schema: Type.String() },
          },
        },
        ...problemResponses('position_gone'),
      },
    },
    async handler(request, reply) {
      const { limit = 100, wait = 0, types } = request.query
      const last = request.headers['last-event-id']
      const after = last === undefined ? request.query.after : Number(last)
      const query = { after: after ?? (await feed.start()), limit, types: readTypes(types) }
      const wantsStream = request.headers.accept?.includes('text/event-stream')
      if (wantsStream) return stream(request, reply, query)
      return reply.send(await answerLater(request, query, wait))
    },
  })
}

function readTypes(text: string | undefined): string[] | undefined {
  const types = text?.split(',').map(type => type.trim())
  if (types?.some(type => !eventTypePatterns.includes(type))) {
    const message = `Takes, with commas between: ${eventTypePatterns.join(', ')}.`
    throw new ProblemError('validation_failed', {
      errors: [{ path: 'types', code: 'not_allowed', message }],
    })
  }
  return types
}

function snapshotRoute(app: App, { store }: FeedRoutesDeps): void {
  app.route({
    method: 'GET',
    url: '/events/snapshot',
    config: { access },
    schema: {
      operationId: 'takeUserSnapshot',
      tags,
      summary: 'All users, with the place in the feed where their copy begins',
      description:
        'Pages of all users in the order of their ids, deleted ones included. Keep the `sequence` of the first ' +
        'page, read all pages, then follow the events after it.',
      querystring: Type.Object(
        {
          after: Type.Optional(idOf('the last user of the page before')),
          ids: Type.Optional(
            Type.String({
              pattern: '^[0-9a-fA-F-]{36}(,[0-9a-fA-F-]{36}){0,99}$',
              description: 'Only these users, up to 100, with commas between',
            }),
          ),
          limit: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 1000, default: 500, description: 'Most users of the page' }),
          ),
        },
        { additionalProperties: false },
      ),
      response: { 200: ref(SnapshotSchema) },
    },
    handler(request) {
      const { after, ids, limit = 500 } = request.query
      return takeSnapshot(store.db, { after, ids: readIds(ids), limit })
    },
  })
}

function readIds(text: string | undefined): string[] | undefined {
  const ids = text?.split(',')
  if (ids?.some(id => !isUuid(id))) {
    const message = 'takes UUIDs with commas between'
    throw new ProblemError('validation_failed', { errors: [{ path: 'ids', code: 'format', message }] })
  }
  return ids
}
