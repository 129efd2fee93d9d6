import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { type SignedUp, startTestApp, useTestApp } from '../../../testing/harness.ts'
import { until } from '../../../testing/until.ts'
import { type Message, useWebhooks } from '../../../testing/webhook-receiver.ts'

const config = { webhookPrivateNetworks: ['127.0.0.0/8'] }
const roster = await useTestApp({ config })
const webhooks = await useWebhooks(roster)
const { receiver } = webhooks
const { at } = receiver

async function register(path: string, event_types = ['user.profile_updated']) {
  const url = receiver.base + path
  const { status, body } = await roster.post('/api/v1/webhooks', { url, event_types }, webhooks.admin)
  expect(status).toBe(201)
  return body as { id: string; secret: string }
}

const log = async (id: string) =>
  (await roster.get(`/api/v1/webhooks/${id}/deliveries`, webhooks.admin)).body.items

type Logged = { sequence: number; state: string; attempts: number }

const inOrder = async (id: string): Promise<Logged[]> =>
  (await log(id)).sort((a: Logged, b: Logged) => a.sequence - b.sequence)

/** Attempts at each delivery that have been answered, and noted. */
const attempts = async (id: string): Promise<number[]> => (await inOrder(id)).map(one => one.attempts)

const states = async (id: string): Promise<string[]> => (await inOrder(id)).map(one => one.state)

const change = (person: SignedUp, location: string) => roster.put('/api/v1/users/me', { location }, person)

const locations = (path: string): string[] =>
  at(path).map(({ event }) => (event.data as { changes: { location: string } }).changes.location)

describe('a webhook', () => {
  test('receives the events it asks for, signed as Standard Webhooks verify them', async () => {
    const { secret } = await register('/signed')
    const person = await roster.signUp()
    await change(person, 'Graz')
    await until(() => at('/signed').length === 1)
    const [delivery] = at('/signed')
    if (!delivery) throw new Error('none')
    expect(delivery.event).toMatchObject({
      eventType: 'user.profile_updated',
      sequence: expect.any(Number),
      data: { userId: person.id, changes: { location: 'Graz' } },
    })
    expect(delivery.headers['webhook-id']).toBe(delivery.event.id)
    // The test's clock stands still in another year, which the library's five minutes don't allow.
    const seconds = Math.floor(roster.clock.now().getTime() / 1000)
    expect(delivery.headers['webhook-timestamp']).toBe(String(seconds))
    const signature = new Webhook(secret).sign(delivery.event.id, new Date(seconds * 1000), delivery.body)
    expect(delivery.headers['webhook-signature']).toBe(signature)
  })

  test('is signed with both secrets for a day after a rotation', async () => {
    const { id, secret: old } = await register('/rotated')
    const { body } = await roster.post(`/api/v1/webhooks/${id}/rotate-secret`, undefined, webhooks.admin)
    expect(body.secret).not.toBe(old)
    await roster.post(`/api/v1/webhooks/${id}/test`, undefined, webhooks.admin)
    roster.clock.advance(24 * 3_600_000 + 1000)
    webhooks.admin = await roster.signIn(webhooks.admin)
    await roster.post(`/api/v1/webhooks/${id}/test`, undefined, webhooks.admin)
    const [during, after] = at('/rotated')
    const signed = (delivery: Message | undefined, secret: string) => {
      if (!delivery) throw new Error('none')
      const when = new Date(Number(delivery.headers['webhook-timestamp']) * 1000)
      const signature = new Webhook(secret).sign(delivery.headers['webhook-id'] ?? '', when, delivery.body)
      return delivery.headers['webhook-signature']?.split(' ').includes(signature)
    }
    expect([signed(during, old), signed(during, body.secret)]).toEqual([true, true])
    expect([signed(after, old), signed(after, body.secret)]).toEqual([false, true])
  })

  test('that fails is tried again with growing pauses, keeps each user’s order and lets others pass', async () => {
    const { id } = await register('/flaky')
    const [anna, bert] = [await roster.signUp(), await roster.signUp()]
    let isBroken = true
    receiver.answer = (path, event) =>
      path === '/flaky' && isBroken && event.data.userId === anna.id ? 500 : 204
    await change(anna, 'one')
    await until(async () => (await attempts(id)).join() === '1')
    await change(anna, 'two')
    await change(bert, 'free')
    await until(async () => (await attempts(id)).join() === '1,0,1')
    expect(locations('/flaky')).toEqual(['one', 'free'])
    roster.clock.advance(6000)
    await until(async () => (await attempts(id)).join() === '2,0,1')
    isBroken = false
    roster.clock.advance(6 * 60_000)
    await until(async () => (await attempts(id)).join() === '3,1,1')
    expect(locations('/flaky')).toEqual(['one', 'free', 'one', 'one', 'two'])
    expect(new Set(at('/flaky').map(({ headers }) => headers['webhook-id'])).size).toBe(3)
    expect(await states(id)).toEqual(['delivered', 'delivered', 'delivered'])
  })

  test('that fails for three days has dead letters, which can be sent again in order', async () => {
    const { id } = await register('/dead')
    const person = await roster.signUp()
    receiver.answer = path => (path === '/dead' ? 503 : 204)
    await change(person, 'first')
    await change(person, 'second')
    await until(async () => (await attempts(id)).join() === '1,0')
    // Pauses of seconds to ten hours, and the end of the three days.
    for (let attempt = 2; attempt <= 7; attempt++) {
      roster.clock.advance(12 * 3_600_000)
      webhooks.admin = await roster.signIn(webhooks.admin)
      await until(async () => (await attempts(id)).join() === `${attempt},0`)
    }
    // By now the endpoint is paused for half an hour after each failure.
    roster.clock.advance(3_600_000)
    webhooks.admin = await roster.signIn(webhooks.admin)
    await until(async () => (await attempts(id)).join() === '7,1')
    expect(await states(id)).toEqual(['dead', 'dead'])
    receiver.answer = () => 204
    receiver.messages.length = 0
    const again = await roster.post(`/api/v1/webhooks/${id}/redeliver-dead`, undefined, webhooks.admin)
    expect(again).toMatchObject({ status: 202, body: { redelivered: 2 } })
    await until(() => at('/dead').length === 2)
    expect(locations('/dead')).toEqual(['first', 'second'])
  })

  test('that answers 410 is switched off', async () => {
    const { id } = await register('/gone')
    receiver.answer = path => (path === '/gone' ? 410 : 204)
    await change(await roster.signUp(), 'away')
    await until(
      async () => (await roster.get(`/api/v1/webhooks/${id}`, webhooks.admin)).body.is_active === false,
    )
    expect((await log(id))[0]).toMatchObject({ state: 'dead', last_status: 410 })
  })

  test('that was delivered is sent again on request, under the same id', async () => {
    const { id } = await register('/again')
    await change(await roster.signUp(), 'twice')
    await until(async () => (await log(id))[0]?.state === 'delivered')
    const [{ id: delivery, event_id }] = await log(id)
    const reply = await roster.post(
      `/api/v1/webhooks/${id}/deliveries/${delivery}/redeliver`,
      undefined,
      webhooks.admin,
    )
    expect(reply.status).toBe(202)
    await until(() => at('/again').length === 2)
    expect(at('/again').map(({ headers }) => headers['webhook-id'])).toEqual([event_id, event_id])
  })

  test('that is switched off keeps its place and goes on from there', async () => {
    const { id } = await register('/paused')
    await roster.request('PATCH', `/api/v1/webhooks/${id}`, { ...webhooks.admin, body: { is_active: false } })
    await change(await roster.signUp(), 'meanwhile')
    await sleep(300)
    expect(at('/paused')).toHaveLength(0)
    await roster.request('PATCH', `/api/v1/webhooks/${id}`, { ...webhooks.admin, body: { is_active: true } })
    await until(() => locations('/paused').includes('meanwhile'))
  })

  test('reports a test message that failed', async () => {
    const { id } = await register('/test')
    receiver.answer = path => (path === '/test' ? 418 : 204)
    const { body } = await roster.post(`/api/v1/webhooks/${id}/test`, undefined, webhooks.admin)
    expect(body).toEqual({
      delivered: false,
      status: 418,
      error: 'answered 418',
      duration_ms: expect.any(Number),
    })
  })

  test('gets each event once from two processes that deliver side by side', async () => {
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock, config })
    const other = second.services.events.startRelay(roster.databaseUrl)
    await register('/shared')
    const people = await Promise.all(Array.from({ length: 5 }, () => roster.signUp()))
    await Promise.all(people.flatMap(person => [1, 2, 3, 4].map(n => change(person, `Spot ${n}`))))
    await until(() => at('/shared').length === 20)
    await sleep(300)
    expect(new Set(at('/shared').map(({ event }) => event.id)).size).toBe(20)
    expect(at('/shared')).toHaveLength(20)
    for (const { id } of people) {
      const own = at('/shared').filter(({ event }) => event.data.userId === id)
      expect(own.map(({ event }) => event.sequence)).toEqual(
        own.map(({ event }) => event.sequence).sort((a, b) => a - b),
      )
    }
    await other.stop()
    await second.stop()
  })
})

describe('registering webhooks', () => {
  test.each([
    ['a private address', 'https://10.0.0.1/', 'private_address'],
    ['link-local', 'https://169.254.169.254/', 'private_address'],
    ['a mapped address', 'https://[::ffff:10.0.0.1]/', 'private_address'],
    ['another protocol', 'ftp://example.com/', 'format'],
    ['a user in the URL', 'https://me:pw@example.com/', 'format'],
  ])('refuses %s and names the field', async (_name, url, code) => {
    const { status, body } = await roster.post(
      '/api/v1/webhooks',
      { url, event_types: ['*'] },
      webhooks.admin,
    )
    expect(status).toBe(400)
    expect(body.errors[0]).toMatchObject({ path: '/url', code })
  })

  test.each([
    ['an unknown type', ['user.*', 'user.nonsense_typo'], '/event_types/1', 'not_allowed'],
    ['a resource without its star', ['user'], '/event_types/0', 'not_allowed'],
    ['the type of test messages', ['webhook.test'], '/event_types/0', 'not_allowed'],
    ['the same twice', ['*', '*'], '/event_types', 'not_unique'],
    ['none', [], '/event_types', 'too_few'],
  ])('refuses %s among the event types', async (_name, event_types, path, code) => {
    const url = 'https://hooks.example.com/'
    const { status, body } = await roster.post('/api/v1/webhooks', { url, event_types }, webhooks.admin)
    expect(status).toBe(400)
    expect(body.errors).toEqual([{ path, code, message: expect.any(String) }])
    if (code === 'not_allowed') expect(body.errors[0].message).toContain('user.*')
  })

  test('is documented with examples, and a description of each reply', async () => {
    const { paths, components } = (await roster.get('/openapi.json')).body
    type Operation = { responses: Record<string, { description: string }> }
    const operations = Object.entries<Record<string, Operation>>(paths)
      .filter(([path]) => path.startsWith('/api/v1/webhooks'))
      .flatMap(([, methods]) => Object.values(methods))
    expect(operations).toHaveLength(10)
    const descriptions = operations.flatMap(({ responses }) =>
      Object.values(responses).map(({ description }) => description),
    )
    expect(descriptions).not.toContain('Default Response')
    for (const [name, { examples }] of Object.entries<{ examples?: unknown[] }>(components.schemas)) {
      if (/Webhook/.test(name)) expect(examples, name).toHaveLength(1)
    }
  })

  test('needs webhooks:manage, and 404s on unknown ids', async () => {
    const person = await roster.signUp()
    expect((await roster.get('/api/v1/webhooks', person)).status).toBe(403)
    const unknown = '/api/v1/webhooks/0197c0de-0000-7000-8000-000000000001'
    expect((await roster.get(unknown, webhooks.admin)).status).toBe(404)
    expect((await roster.delete(unknown, webhooks.admin)).status).toBe(404)
    expect((await roster.post(`${unknown}/redeliver-dead`, undefined, webhooks.admin)).status).toBe(404)
  })

  test('leaves a trace in the audit log, and the secret nowhere', async () => {
    const { id, secret } = await register('/audited')
    const [row] = await roster.sql('select * from audit_log where subject_id = $1', [id])
    expect(row).toMatchObject({ action: 'webhook.created', actor_id: webhooks.admin.id, outcome: 'success' })
    const { body } = await roster.get(`/api/v1/webhooks/${id}`, webhooks.admin)
    expect(JSON.stringify(body)).not.toContain('whsec_')
    const [stored] = await roster.sql(
      'select to_jsonb(w)::text as text from webhook_endpoints w where id = $1',
      [id],
    )
    const hex = Buffer.from(secret.slice(6), 'base64').toString('hex')
    expect(stored.text).not.toContain(secret)
    expect(stored.text).not.toContain(hex)
    expect((await roster.delete(`/api/v1/webhooks/${id}`, webhooks.admin)).status).toBe(204)
  })
})
