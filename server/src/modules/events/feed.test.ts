import { once } from 'node:events'
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { type SignedUp, startTestApp, type TestApp, useTestApp } from '../../testing/harness.ts'
import { listen } from '../../testing/http-server.ts'
import type { EventType } from './event-types.ts'
import { appendEvent } from './index.ts'
import { sequenceEvents } from './repo.ts'

const roster = await useTestApp()
let admin: SignedUp
beforeAll(async () => {
  admin = await roster.signUpAdmin()
})

const numberAll = (app: TestApp = roster) => app.resources.store.transact(trx => sequenceEvents(trx, 5000))

const append = (type: EventType, data: Record<string, unknown> = {}, userId?: string) =>
  roster.resources.store.transact(trx =>
    appendEvent(trx, roster.clock.now(), { type, data, ...(userId !== undefined && { userId }) }),
  )

const read = (query: string, token = admin.token) => roster.get(`/api/v1/events?${query}`, { token })

async function headNow(): Promise<number> {
  await numberAll()
  const { body } = await read('after=0&limit=1')
  return body.head
}

describe('numbers', () => {
  test('are given without gaps, in the order of writing', async () => {
    const head = await headNow()
    for (let n = 1; n <= 5; n++) await append('user.profile_updated', { n })
    await numberAll()
    const { body } = await read(`after=${head}`)
    expect(body.items.map((event: { sequence: number }) => event.sequence)).toEqual(
      [1, 2, 3, 4, 5].map(n => head + n),
    )
    expect(body.items.map((event: { data: { n: number } }) => event.data.n)).toEqual([1, 2, 3, 4, 5])
  })

  test('of a transaction that commits late come after those that a reader has seen already', async () => {
    const head = await headNow()
    const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>()
    const { promise: written, resolve: wrote } = Promise.withResolvers<void>()
    const late = roster.resources.store.transact(async trx => {
      await appendEvent(trx, roster.clock.now(), { type: 'role.created', data: {} })
      wrote()
      await mayCommit
    })
    await written
    await append('role.deleted')
    await numberAll()
    const first = await read(`after=${head}`)
    commit()
    await late
    await numberAll()
    const second = await read(`after=${first.body.next_after}`)
    expect(first.body.items.map((event: { eventType: string }) => event.eventType)).toEqual(['role.deleted'])
    expect(second.body.items.map((event: { eventType: string }) => event.eventType)).toEqual(['role.created'])
  })

  test('stay unique and dense while two processes give them and many transactions write', async () => {
    const head = await headNow()
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    let isWriting = true
    const sequencers = [roster, second].map(async app => {
      while (isWriting) await numberAll(app)
    })
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        for (let n = 0; n < 20; n++) await append('user.profile_updated')
      }),
    )
    isWriting = false
    await Promise.all(sequencers)
    await numberAll()
    const { body } = await read(`after=${head}&limit=1000`)
    expect(body.items.map((event: { sequence: number }) => event.sequence)).toEqual(
      Array.from({ length: 200 }, (_, n) => head + n + 1),
    )
    await second.stop()
  })

  test('follow one user’s changes in the order of their commits, whatever clock their ids were made by', async () => {
    const person = await roster.signUp()
    const head = await headNow()
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        roster.put('/api/v1/users/me', { location: `Place ${n}` }, { token: person.token }),
      ),
    )
    await numberAll()
    const { body } = await read(`after=${head}&types=user.profile_updated`)
    const [row] = await roster.sql('select location from users where id = $1', [person.id])
    expect(body.items).toHaveLength(20)
    expect(body.items.at(-1).data.changes.location).toBe(row.location)
  })
})

describe('the feed', () => {
  test('gives document 2’s event in its envelope', async () => {
    const person = await roster.signUp()
    const head = await headNow()
    const reply = await roster.put('/api/v1/auth/profile/username', { username: 'renamed.one' }, person)
    expect(reply.status).toBe(200)
    await numberAll()
    const { body } = await read(`after=${head}`)
    expect(body.items[0]).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      sequence: head + 1,
      eventType: 'user.username_updated',
      occurredAt: roster.clock.now().toISOString(),
      data: {
        userId: person.id,
        email: person.email,
        oldUsername: expect.any(String),
        newUsername: 'renamed.one',
        updatedAt: roster.clock.now().toISOString(),
      },
    })
  })

  test('pages, and narrows by types and patterns without losing its place', async () => {
    const head = await headNow()
    await append('role.created')
    await append('user.deactivated')
    await append('role.updated')
    await append('user.restored')
    await append('role.created')
    await numberAll()
    const first = await read(`after=${head}&types=role.*&limit=2`)
    expect(first.body.items.map((event: { eventType: string }) => event.eventType)).toEqual([
      'role.created',
      'role.updated',
    ])
    const rest = await read(`after=${first.body.next_after}&types=role.created,user.restored&limit=10`)
    expect(rest.body.items.map((event: { eventType: string }) => event.eventType)).toEqual([
      'user.restored',
      'role.created',
    ])
    expect(rest.body.next_after).toBe(rest.body.head)
  })

  test('needs events:read', async () => {
    const person = await roster.signUp()
    expect((await read('after=0', person.token)).status).toBe(403)
    expect((await roster.get('/api/v1/events')).status).toBe(401)
    expect((await roster.get('/api/v1/events/snapshot', { token: person.token })).status).toBe(403)
  })

  test.each([
    'after=-1',
    'after=x',
    'limit=0',
    'limit=1001',
    'wait=31',
    'types=Robert%27',
    'types=role.*,user',
    'types=',
    'after=1.5',
  ])('refuses %s and names it', async query => {
    const { status, body } = await read(query)
    expect(status).toBe(400)
    expect(body.errors[0].path).toContain(query.split('=')[0])
  })

  test('answers a waiting request as soon as there is an event', async () => {
    const head = await headNow()
    const waiting = read(`after=${head}&wait=20`)
    await sleep(150)
    await append('role.updated')
    await numberAll()
    const { body } = await waiting
    expect(body.items[0].eventType).toBe('role.updated')
  })

  test('answers a waiting request with nothing when its time is up', async () => {
    const head = await headNow()
    const { status, body } = await read(`after=${head}&wait=1`)
    expect(status).toBe(200)
    expect(body).toEqual({ items: [], next_after: head, head })
  })

  test('answers whoever waits when the service ends, and keeps no connection', async () => {
    const second = await startTestApp()
    const boss = await second.signUpAdmin()
    await numberAll(second)
    const { body } = await second.get('/api/v1/events', boss)
    const agent = new http.Agent({ keepAlive: true })
    const waiting = http.get({
      host: '127.0.0.1',
      port: await listen(second.app),
      path: `/api/v1/events?after=${body.head}&wait=20`,
      headers: { authorization: `Bearer ${boss.token}` },
      agent,
    })
    await once(second.app.server, 'request')
    await sleep(150)
    const from = performance.now()
    const [[reply]] = await Promise.all([once(waiting, 'response'), second.stop()])
    expect(performance.now() - from).toBeLessThan(15_000)
    expect(reply.statusCode).toBe(200)
    agent.destroy()
  })

  test('answers 410 after a place that was never given', async () => {
    const head = await headNow()
    const { status, body } = await read(`after=${head + 1}`)
    expect(status).toBe(410)
    expect(body.code).toBe('position_gone')
  })
})

describe('the stream', () => {
  test('goes on after Last-Event-ID, and ends when its session does', async () => {
    const port = await listen(roster.app)
    const reader = await roster.signIn(admin)
    const head = await headNow()
    await append('role.created', { text: 'line\nbreak' })
    await append('role.updated')
    await numberAll()
    const stream = await openStream(port, reader.token, String(head + 1))
    expect(stream.contentType).toContain('text/event-stream')
    await stream.until('role.updated')
    expect(stream.text()).not.toContain('role.created')
    expect(stream.text()).toContain(`id: ${head + 2}\nevent: role.updated\ndata: {"id"`)
    await append('role.deleted')
    await numberAll()
    await stream.until('role.deleted')
    await roster.post('/api/v1/auth/logout', undefined, { token: reader.token })
    await stream.ended
  })

  test('takes a Last-Event-ID that a stream gave, and names it when it is another', async () => {
    const headers = { accept: 'text/event-stream', 'last-event-id': 'seven' }
    const { status, body } = await roster.get('/api/v1/events', { token: admin.token, headers })
    expect(status).toBe(400)
    expect(body.errors).toMatchObject([{ path: 'last-event-id', code: 'format' }])
    const openApi = await roster.get('/openapi.json')
    expect(openApi.body.paths['/api/v1/events'].get.parameters).toContainEqual(
      expect.objectContaining({ in: 'header', name: 'Last-Event-ID', required: false }),
    )
  })

  test('answers 410, not a stream, after a place that is gone', async () => {
    const head = await headNow()
    const { status } = await roster.get('/api/v1/events', {
      token: admin.token,
      headers: { accept: 'text/event-stream', 'last-event-id': String(head + 100) },
    })
    expect(status).toBe(410)
  })
})

describe('old events', () => {
  test('are deleted from the start of the feed only, and their place is gone', async () => {
    const second = await startTestApp()
    const boss = await second.signUpAdmin()
    await second.resources.store.transact(trx => sequenceEvents(trx, 5000))
    second.clock.advance(6 * 86_400_000)
    const other = await second.signUpAdmin()
    await second.resources.store.transact(trx => sequenceEvents(trx, 5000))
    const before = await second.get('/api/v1/events?after=0&limit=1000', { token: other.token })
    second.clock.advance(2 * 86_400_000)
    const [job] = second.services.events.jobs
    await job?.run(undefined)
    const fresh = await second.signIn(boss)
    expect((await second.get('/api/v1/events?after=0', { token: fresh.token })).status).toBe(410)
    const rest = await second.get('/api/v1/events', { token: fresh.token })
    expect(rest.body.items.length).toBeGreaterThan(0)
    expect(rest.body.items[0].sequence).toBeGreaterThan(1)
    expect(rest.body.head).toBe(before.body.head)
    await second.stop()
  })

  test('that a webhook still has to be handed are kept', async () => {
    const second = await startTestApp()
    const boss = await second.signUpAdmin()
    const hook = { url: 'https://hooks.example.com/a', event_types: ['*'] }
    expect((await second.post('/api/v1/webhooks', hook, boss)).status).toBe(201)
    await second.signUp()
    await second.resources.store.transact(trx => sequenceEvents(trx, 5000))
    const [{ kept }] = await second.sql('select count(*)::int as kept from events')
    const [{ fanned_out }] = await second.sql('select fanned_out from webhook_endpoints')
    second.clock.advance(30 * 86_400_000)
    await second.services.events.jobs[0]?.run(undefined)
    const rows = await second.sql('select min(sequence)::int as oldest, count(*)::int as held from events')
    expect(rows[0].oldest).toBe(Number(fanned_out) + 1)
    expect(rows[0].held).toBe(kept - Number(fanned_out))
    await second.stop()
  })
})

describe('the snapshot', () => {
  test('pages through all users with a place from which their copy can be kept in step', async () => {
    await numberAll()
    const all: { id: string; username: string }[] = []
    let after = ''
    let sequence: number | undefined
    for (;;) {
      const { body } = await roster.get(`/api/v1/events/snapshot?limit=2${after && `&after=${after}`}`, admin)
      sequence ??= body.sequence
      all.push(...body.items)
      if (body.next_after === null) break
      after = body.next_after
    }
    const rows = await roster.sql('select id, username from users order by id')
    expect(all.map(({ id, username }) => ({ id, username }))).toEqual(rows)
    expect(sequence).toBe(await headNow())
  })

  test('gives single users by id', async () => {
    const { body } = await roster.get(`/api/v1/events/snapshot?ids=${admin.id}`, admin)
    expect(body.items).toHaveLength(1)
    expect(body.items[0]).toMatchObject({ id: admin.id, roles: ['admin', 'user'], is_active: true })
    expect((await roster.get('/api/v1/events/snapshot?ids=nobody', admin)).status).toBe(400)
  })
})

async function openStream(port: number, token: string, lastEventId: string) {
  const request = http.get({
    host: '127.0.0.1',
    port,
    path: '/api/v1/events',
    headers: { accept: 'text/event-stream', authorization: `Bearer ${token}`, 'last-event-id': lastEventId },
  })
  const [reply]: http.IncomingMessage[] = await once(request, 'response')
  if (!reply) throw new Error('no reply')
  let received = ''
  reply.setEncoding('utf8').on('data', text => {
    received += text
  })
  return {
    contentType: String(reply.headers['content-type']),
    text: () => received,
    ended: once(reply, 'end'),
    async until(text: string) {
      while (!received.includes(text)) await once(reply, 'data')
    },
  }
}
