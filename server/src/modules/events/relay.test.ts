import { setTimeout as sleep } from 'node:timers/promises'
import { Connection, ConsumerStatus } from 'rabbitmq-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { uuidv7 } from '../../lib/ids.ts'
import { startTestApp, type TestApp } from '../../testing/harness.ts'
import { hasRabbitMq, type RabbitMq, startRabbitMq } from '../../testing/rabbitmq.ts'
import type { Event } from './envelope.ts'
import { appendEvent, type Relay } from './index.ts'

type Received = { event: Event; messageId: string; routingKey: string; isPersistent: boolean }

describe.skipIf(!hasRabbitMq)('events at the broker', () => {
  let rabbit: RabbitMq
  let roster: TestApp
  let connection: Connection
  const received: Received[] = []
  const relays: Relay[] = []

  beforeAll(async () => {
    rabbit = await startRabbitMq()
    roster = await startTestApp({ config: { rabbitmqUrl: rabbit.url } })
    connection = new Connection({ url: rabbit.url, retryHigh: 500 })
    connection.on('error', () => undefined)
    const consumer = connection.createConsumer(
      {
        queue: 'downstream',
        queueOptions: { durable: true },
        exchanges: [{ exchange: 'user.events', type: 'topic', durable: true }],
        queueBindings: [{ exchange: 'user.events', routingKey: 'user.*' }],
        qos: { prefetchCount: 1000 },
      },
      message => {
        received.push({
          event: message.body,
          messageId: message.messageId ?? '',
          routingKey: message.routingKey,
          isPersistent: message.durable === true,
        })
        return ConsumerStatus.ACK
      },
    )
    consumer.on('error', () => undefined)
    await new Promise<void>(resolve => consumer.on('ready', resolve))
    relays.push(roster.services.events.startRelay(roster.databaseUrl))
  })

  afterAll(async () => {
    await Promise.all(relays.map(relay => relay.stop()))
    connection.unsafeDestroy()
    await roster.stop()
    await rabbit.stop()
  })

  const change = (token: string, location: string) => roster.put('/api/v1/users/me', { location }, { token })

  async function until(isDone: () => boolean | Promise<boolean>, seconds = 20): Promise<void> {
    const deadline = performance.now() + seconds * 1000
    while (!(await isDone())) {
      if (performance.now() > deadline) throw new Error('waited in vain')
      await sleep(20)
    }
  }

  const locationsOf = (userId: string): string[] => {
    const seen = new Set<string>()
    return received.flatMap(({ event }) => {
      const { userId: whose, changes } = event.data as { userId: string; changes?: { location?: string } }
      if (whose !== userId || !changes?.location || seen.has(event.id)) return []
      seen.add(event.id)
      return [changes.location]
    })
  }

  async function metric(name: string): Promise<number> {
    const { text } = await roster.get('/metrics')
    const line = text.split('\n').find(one => one.startsWith(name))
    return Number(line?.split(' ').at(-1) ?? 0)
  }

  test('are persistent, carry the id of the event, and go by their type', async () => {
    const person = await roster.signUp()
    await until(() => received.some(({ event }) => event.data.userId === person.id))
    const first = received.find(({ event }) => event.data.userId === person.id)
    expect(first).toMatchObject({ routingKey: 'user.registered', isPersistent: true })
    expect(first?.event.eventType).toBe('user.registered')
    expect(first?.messageId).toBe(first?.event.id)
  })

  test('are counted, with their lag', async () => {
    const before = await metric('events_published_total{to="rabbitmq"}')
    const renamed = await metric('events_total{type="user.profile_updated"}')
    const lagged = await metric('event_lag_seconds_count{to="rabbitmq"}')
    const person = await roster.signUp()
    await change(person.token, 'Vienna')
    await until(() => locationsOf(person.id).length === 1)
    await until(async () => (await metric('events_pending{to="rabbitmq"}')) === 0)
    expect(await metric('events_published_total{to="rabbitmq"}')).toBeGreaterThan(before)
    expect(await metric('event_lag_seconds_count{to="rabbitmq"}')).toBeGreaterThan(lagged)
    expect(await metric('events_total{type="user.profile_updated"}')).toBe(renamed + 1)
  })

  test('that no queue is bound for are counted and hold nothing up', async () => {
    const before = await metric('events_unroutable_total')
    await roster.resources.store.transact(trx =>
      appendEvent(trx, roster.clock.now(), { type: 'role.deleted', data: {} }),
    )
    await until(async () => (await metric('events_unroutable_total')) > before)
    await until(async () => (await metric('events_pending{to="rabbitmq"}')) === 0)
  })

  test('are not handed over again because another partition is far behind', async () => {
    const { store } = roster.resources
    await store.transact(async trx => {
      for (let n = 0; n < 2500; n++) {
        const userId = uuidv7(roster.clock.now())
        await appendEvent(trx, roster.clock.now(), { type: 'user.logged_in', userId, data: { userId } })
      }
    })
    const handedOver = async () => (await metric('events_pending{to="rabbitmq"}')) === 0
    const before = received.length
    await until(() => received.length >= before + 2500)
    await until(handedOver)
    await relays.pop()?.stop()
    const known = received.length
    await roster.sql('update event_partitions set published = 0 where partition = 0')
    relays.push(roster.services.events.startRelay(roster.databaseUrl))
    await until(() => received.length > known + 50)
    await until(handedOver)
    const again = received.slice(known).map(({ messageId }) => messageId)
    expect(again.length).toBeGreaterThan(50)
    expect(await roster.sql('select distinct partition from events where id = any($1)', [again])).toEqual([
      { partition: 0 },
    ])
  })

  test('of one user keep their order through a killed broker and two processes, and none is lost', async () => {
    const second = await startTestApp({
      databaseUrl: roster.databaseUrl,
      clock: roster.clock,
      config: { rabbitmqUrl: rabbit.url },
    })
    const other = second.services.events.startRelay(roster.databaseUrl)
    const people = await Promise.all([roster.signUp(), roster.signUp(), roster.signUp()])
    const failures = await metric('events_publish_failures_total{to="rabbitmq"}')
    const expected = Array.from({ length: 60 }, (_, n) => `Place ${n}`)
    const writing = people.map(async person => {
      for (const place of expected) {
        expect((await change(person.token, place)).status).toBe(200)
        await sleep(5)
      }
    })
    await sleep(150)
    await rabbit.kill()
    await Promise.all(writing)
    expect(await metric('events_pending{to="rabbitmq"}')).toBeGreaterThan(0)
    await until(async () => (await metric('events_publish_failures_total{to="rabbitmq"}')) > failures)
    await rabbit.start()
    await until(() => people.every(({ id }) => locationsOf(id).length === expected.length), 40)
    for (const { id } of people) expect(locationsOf(id)).toEqual(expected)
    await other.stop()
    await second.stop()
  })

  test('are shared out between processes, and taken over when one is gone', async () => {
    const second = await startTestApp({
      databaseUrl: roster.databaseUrl,
      clock: roster.clock,
      config: { rabbitmqUrl: rabbit.url },
    })
    const other = second.services.events.startRelay(roster.databaseUrl)
    const claims = () =>
      roster.sql(`select pid, count(*)::int as held from pg_locks
        where locktype = 'advisory' and classid = 706412 and objid < 8 and granted
          and database = (select oid from pg_database where datname = current_database()) group by pid`)
    await until(async () => {
      const holders = await claims()
      return holders.length === 2 && holders.every(({ held }) => held === 4)
    })
    const [holder] = await claims()
    // As PostgreSQL sees a kill -9: the connection is gone.
    await roster.sql('select pg_terminate_backend($1)', [holder.pid])
    const person = await roster.signUp()
    for (let n = 0; n < 10; n++) await change(person.token, `Spot ${n}`)
    await until(() => locationsOf(person.id).length === 10)
    await other.stop()
    await until(async () => (await claims()).some(({ held }) => held === 8))
    await second.stop()
  })
})
