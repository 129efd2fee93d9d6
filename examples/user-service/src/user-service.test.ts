import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { connectBroker } from '../../../server/src/delivery/broker.ts'
import { createEmptyDatabase } from '../../../server/src/testing/database.ts'
import { type SignedUp, startTestApp, type TestApp } from '../../../server/src/testing/harness.ts'
import { listen } from '../../../server/src/testing/http-server.ts'
import { hasRabbitMq, type RabbitMq, startRabbitMq } from '../../../server/src/testing/rabbitmq.ts'
import { startUserService, type UserService } from './service.ts'

let rabbit: RabbitMq | undefined
let roster: TestApp
let admin: SignedUp
let rosterUrl: string
let stopRelay: () => Promise<void>

beforeAll(async () => {
  rabbit = hasRabbitMq ? await startRabbitMq() : undefined
  roster = await startTestApp({ config: { rabbitmqUrl: rabbit?.url } })
  roster.clock.set(new Date())
  admin = await roster.signUpAdmin()
  rosterUrl = `http://127.0.0.1:${await listen(roster.app)}`
  const relay = roster.services.events.startRelay(roster.databaseUrl)
  stopRelay = () => relay.stop()
})

afterAll(async () => {
  await stopRelay()
  await roster.stop()
  await rabbit?.stop()
})

type Copy = { service: UserService; databaseUrl: string; pool: pg.Pool }

async function start(
  rabbitmqUrl: string | undefined,
  databaseUrl?: string,
  { email, password }: SignedUp = admin,
): Promise<Copy> {
  const url = databaseUrl ?? (await newDatabase())
  const service = await startUserService({
    rosterUrl,
    email,
    password,
    databaseUrl: url,
    rabbitmqUrl,
    port: 0,
  })
  const pool = new pg.Pool({ connectionString: url, max: 2 })
  pool.on('error', () => undefined)
  let stopping: Promise<void> | undefined
  const stop = () => (stopping ??= service.stop())
  onTestFinished(async () => {
    await stop()
    await pool.end()
  })
  return { service: { ...service, stop }, databaseUrl: url, pool }
}

async function newDatabase(): Promise<string> {
  const database = await createEmptyDatabase()
  onTestFinished(() => database.drop())
  return database.url
}

const change = (person: SignedUp, location: string) => roster.put('/api/v1/users/me', { location }, person)

/** What the service itself says of all users, as text to compare byte by byte. */
async function truth(): Promise<string> {
  const { body } = await roster.get('/api/v1/events/snapshot?limit=1000', admin)
  return JSON.stringify(body.items, null, 1)
}

async function copyOf({ pool }: Copy): Promise<string> {
  const { rows } = await pool.query('select * from users order by id')
  return JSON.stringify(
    rows.map(({ as_of, ...user }) => user),
    null,
    1,
  )
}

/** Waits until the copy has applied what has happened so far, then compares. */
async function expectInStep(copy: Copy): Promise<void> {
  const deadline = performance.now() + 15_000
  for (;;) {
    const [{ waiting, head }] = await roster.sql(
      'select sequence as head, exists (select from events where sequence is null) as waiting from event_head',
    )
    const { rows } = await copy.pool.query('select sequence from users_position')
    if (!waiting && rows[0]?.sequence === head) break
    if (performance.now() > deadline) throw new Error(`at ${rows[0]?.sequence}, not ${head}`)
    await sleep(50)
  }
  expect(await copyOf(copy)).toBe(await truth())
}

describe.each([
  ['the feed', () => undefined],
  ['RabbitMQ', () => rabbit?.url],
])('a copy of the users, over %s', (name, transport) => {
  test.skipIf(name === 'RabbitMQ' && !hasRabbitMq)(
    'begins with those that are there, and follows',
    async () => {
      const early = await roster.signUp()
      const copy = await start(transport())
      await expectInStep(copy)
      const late = await roster.signUp({ first_name: 'Ada', last_name: 'Lovelace' })
      await change(early, 'Salzburg')
      await roster.put('/api/v1/auth/profile/username', { username: `ada-${late.id.slice(-6)}` }, late)
      await expectInStep(copy)
      const reply = await fetch(`${copy.service.url}/users/${early.id}`)
      expect(await reply.json()).toMatchObject({ id: early.id, location: 'Salzburg' })
    },
  )

  test.skipIf(name === 'RabbitMQ' && !hasRabbitMq)('goes on where it was after a restart', async () => {
    const person = await roster.signUp()
    const databaseUrl = await newDatabase()
    const first = await start(transport(), databaseUrl)
    await expectInStep(first)
    await first.service.stop()
    for (let n = 0; n < 30; n++) await change(person, `Stop ${n}`)
    const second = await start(transport(), databaseUrl)
    await expectInStep(second)
  })

  test.skipIf(name === 'RabbitMQ' && !hasRabbitMq)(
    'is made anew when its place in the feed is gone',
    async () => {
      const databaseUrl = await newDatabase()
      const first = await start(transport(), databaseUrl)
      await expectInStep(first)
      await first.service.stop()
      // As after a restore of an older backup of the service: this copy is ahead of it.
      await first.pool.query('update users_position set sequence = sequence + 1000000')
      await first.pool.query(`update users set username = 'wrong', as_of = as_of + 1000000`)
      await roster.signUp()
      await expectInStep(await start(transport(), databaseUrl))
    },
  )
})

const refusal =
  /^user-service: .*; trying again: \/events\/snapshot answered 403: This needs the permission events:read\.$/

describe.each([
  ['the feed', () => undefined],
  ['RabbitMQ', () => rabbit?.url],
])('an account without events:read, over %s', (name, transport) => {
  test.skipIf(name === 'RabbitMQ' && !hasRabbitMq)('is told of in one line, ever more rarely', async () => {
    const lines: string[] = []
    const times: number[] = []
    const said = vi.spyOn(console, 'error').mockImplementation(line => {
      lines.push(line)
      times.push(performance.now())
    })
    onTestFinished(() => said.mockRestore())
    await start(transport(), undefined, await roster.signUp())
    await expect.poll(() => lines.length, { timeout: 10_000 }).toBe(4)
    expect(new Set(lines)).toEqual(new Set([expect.stringMatching(refusal)]))
    const [first = 0, second = 0, third = 0] = times.slice(1).map((at, n) => at - (times[n] ?? 0))
    expect(second).toBeGreaterThan(first)
    expect(third).toBeGreaterThan(second)
  })
})

test.skipIf(!hasRabbitMq)('what is no event is taken out of the queue, and stops nothing', async () => {
  const dropped: string[] = []
  const said = vi.spyOn(console, 'error').mockImplementation(line => {
    if (/dropped a message/.test(line)) dropped.push(line)
  })
  const broker = connectBroker({
    url: rabbit?.url ?? '',
    dependency: { up: () => undefined, down: () => undefined },
    onUnroutable: () => undefined,
  })
  onTestFinished(async () => {
    said.mockRestore()
    await broker.close()
  })
  const copy = await start(rabbit?.url)
  await expectInStep(copy)
  const foreign = [null, 'hello', 7, [], {}, { hello: 1 }, { sequence: '1', eventType: 'a', data: {} }]
  for (const body of [...foreign, { sequence: 1e9, eventType: 'user.deleted' }])
    await broker.publish({
      id: 'foreign',
      routingKey: 'user.other',
      occurredAt: new Date(),
      body: JSON.stringify(body),
    })
  await roster.signUp()
  await expectInStep(copy)
  expect(dropped).toHaveLength(foreign.length + 1)
  const from = performance.now()
  await copy.service.stop()
  expect(performance.now() - from).toBeLessThan(3000)
  await expectInStep(await start(rabbit?.url, copy.databaseUrl))
  expect(dropped).toHaveLength(foreign.length + 1)
})

test.each([
  ['//', 404],
  ['/users/', 404],
  [`/users/${'-'.repeat(36)}`, 404],
  ['/users/%', 404],
  ['/users?role=%00', 400],
  ['/users?role=%', 400],
  ['/users?role=admin', 200],
])('GET %s is answered with %i', async (path, status) => {
  const copy = await start(undefined)
  expect((await fetch(`${copy.service.url}${path}`)).status).toBe(status)
})

test('a copy ignores what comes again, and fills gaps', async () => {
  const copy = await start(undefined)
  await expectInStep(copy)
  await copy.service.stop()
  const again = await start(undefined, copy.databaseUrl)
  const { replica } = again.service
  const person = await roster.signUp()
  for (let n = 0; n < 10; n++) await change(person, `Gap ${n}`)
  await expectInStep(again)
  const { body } = await roster.get('/api/v1/events?limit=1000', admin)
  const before = await copyOf(again)
  for (let times = 0; times < 3; times++) {
    expect((await replica.apply(body.items)).gap).toBe(false)
    expect(await copyOf(again)).toBe(before)
  }
  const future = { ...body.items.at(-1), sequence: body.head + 5 }
  expect(await replica.apply([future])).toEqual({ position: body.head, gap: true })
  expect(await copyOf(again)).toBe(before)
})

test('a comparison finds and repairs what was changed, lost or made up', async () => {
  const people = [await roster.signUp(), await roster.signUp(), await roster.signUp()]
  const copy = await start(undefined)
  await expectInStep(copy)
  expect(await copy.service.replica.reconcile()).toEqual([])
  const [changed, lost] = people
  const invented = '01900000-0000-7000-8000-000000000001'
  await copy.pool.query(`update users set email = 'wrong@example.com' where id = $1`, [changed?.id])
  await copy.pool.query('delete from users where id = $1', [lost?.id])
  await copy.pool.query(`insert into users select ($1::users).*`, [
    `(${invented},x,x@example.com,t,,f,,,,{user},t,,,,,,2026-01-01,,1)`,
  ])
  const repaired = await copy.service.replica.reconcile()
  expect(repaired.toSorted()).toEqual([changed?.id, lost?.id, invented].toSorted())
  await expectInStep(copy)
})

test('two processes may keep one copy', async () => {
  const first = await start(rabbit?.url)
  const second = await start(rabbit?.url, first.databaseUrl)
  const people = await Promise.all([roster.signUp(), roster.signUp()])
  await Promise.all(
    people.map(async person => {
      for (let n = 0; n < 25; n++) await change(person, `Both ${n}`)
    }),
  )
  await expectInStep(first)
  await expectInStep(second)
})
