import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RosterEvent } from '@roster/client/replica'
import pg from 'pg'
import { Connection, ConsumerStatus } from 'rabbitmq-client'
import { freePort, type Program, startProgram } from '../../../server/src/testing/program.ts'
import { type RabbitMq, startRabbitMq } from '../../../server/src/testing/rabbitmq.ts'
import { prepare } from '../connection.ts'
import { openLoop } from '../load.ts'

export type RelayPlan = {
  databaseUrl: string
  /** Events that wait when the relay starts. */
  backlog: number
  /** Changes a second through the API while lag and requests are measured. */
  changes: number
  /** By so many users in turn: changes of one wait for each other. */
  users: number
  seconds: number
}

export type RelayFigures = {
  /** With publisher confirms, from the first to the last, within a look of 20 ms. */
  eventsPerSecond: number
  changesPerSecond: number
  /** Milliseconds from a change to its arrival at a consumer. */
  lagP50: number
  lagP95: number
  /** Milliseconds of `PUT /users/me`. */
  apiP50: number
  apiP95: number
  apiP50WithoutBroker: number
  apiP95WithoutBroker: number
}

/** How fast events leave, how late they arrive, and whether requests notice that the broker is gone. */
export async function benchRelay(plan: RelayPlan): Promise<RelayFigures> {
  await using opened = new AsyncDisposableStack()
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-relay-'))
  opened.defer(() => fs.rmSync(dataDir, { recursive: true, force: true }))
  const rabbit = await startRabbitMq()
  opened.defer(() => rabbit.stop())
  const pool = new pg.Pool({ connectionString: plan.databaseUrl, max: 4 })
  opened.defer(() => pool.end())
  const lags = await listen(rabbit, opened)
  const env = {
    DATABASE_URL: plan.databaseUrl,
    DATA_DIR: dataDir,
    PUBLIC_URL: `http://127.0.0.1:${await freePort()}`,
    RATE_LIMITS: 'off',
    LOG_LEVEL: 'fatal',
  }
  const web = await startProgram({ ...env, ROLE: 'web' })
  opened.defer(async () => void (await web.end('SIGTERM')))
  await insertBacklog(pool, plan.backlog)
  const relaying = measureBacklog(pool, plan.backlog)
  // It may fail, or be left, while nobody waits for it yet.
  relaying.catch(() => undefined)
  const worker = await startProgram({ ...env, ROLE: 'worker', RABBITMQ_URL: rabbit.url })
  opened.defer(async () => void (await worker.end('SIGTERM')))
  const eventsPerSecond = await relaying

  const tokens = await signUp(web, plan.users)
  await change(web, tokens, { ...plan, seconds: 2 })
  await sleep(500)
  lags.length = 0
  const before = await change(web, tokens, plan)
  for (let waits = 0; lags.length < before.length && waits < 200; waits++) await sleep(50)
  const arrived = lags.toSorted((a, b) => a - b)
  await rabbit.kill()
  await sleep(1000)
  const without = await change(web, tokens, plan)
  return {
    eventsPerSecond: Math.round(eventsPerSecond),
    changesPerSecond: Math.round(arrived.length / plan.seconds),
    lagP50: quantile(arrived, 0.5),
    lagP95: quantile(arrived, 0.95),
    apiP50: quantile(before, 0.5),
    apiP95: quantile(before, 0.95),
    apiP50WithoutBroker: quantile(without, 0.5),
    apiP95WithoutBroker: quantile(without, 0.95),
  }
}

const quantile = (sorted: readonly number[], share: number): number =>
  Math.round((sorted[Math.floor(sorted.length * share)] ?? Number.NaN) * 10) / 10

async function listen(rabbit: RabbitMq, opened: AsyncDisposableStack): Promise<number[]> {
  const lags: number[] = []
  const connection = new Connection({ url: rabbit.url, retryLow: 1000 })
  connection.on('error', () => undefined)
  const consumer = connection.createConsumer(
    {
      queue: 'bench',
      queueOptions: { durable: true },
      exchanges: [{ exchange: 'user.events', type: 'topic', durable: true }],
      queueBindings: [{ exchange: 'user.events', routingKey: 'user.profile_updated' }],
      qos: { prefetchCount: 500 },
    },
    message => {
      const event: RosterEvent = message.body
      lags.push(Date.now() - Date.parse(event.occurredAt))
      return ConsumerStatus.ACK
    },
  )
  consumer.on('error', () => undefined)
  await once(consumer, 'ready')
  opened.defer(() => connection.unsafeDestroy())
  return lags
}

async function insertBacklog(pool: pg.Pool, count: number): Promise<void> {
  await pool.query(
    `insert into events (id, type, user_id, data, occurred_at)
     select gen_random_uuid(), 'user.profile_updated', ('00000000-0000-7000-8000-' || lpad((n % 500)::text, 12, '0'))::uuid,
       jsonb_build_object('userId', n % 500, 'email', 'someone@example.com', 'changes', '{"location": "Vienna"}'::jsonb,
         'updatedAt', '2026-01-31T10:00:00.000Z'), now()
     from generate_series(1, $1) n`,
    [count],
  )
}

/** Events a second between the last look that sees all of them waiting and the one that sees none. */
async function measureBacklog(pool: pg.Pool, count: number): Promise<number> {
  let begin = performance.now()
  for (;;) {
    const { rows } = await pool.query(`
      select count(*)::int as left from events e left join event_partitions p using (partition)
      where e.sequence is null or e.sequence > p.published`)
    const left: number = rows[0].left
    const at = performance.now()
    if (left >= count) begin = at
    if (left === 0) return (count * 1000) / (at - begin)
    await sleep(20)
  }
}

/** As fast as the hashing allows. */
async function signUp({ url }: Program, count: number): Promise<string[]> {
  const tokens: string[] = []
  let begun = 0
  async function signUpOne(): Promise<void> {
    begun++
    const account = { email: `bench${begun}@example.com`, password: 'SecurePass123' }
    const post = (route: string) =>
      fetch(`${url}/api/v1/auth/${route}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(account),
      })
    await post('register')
    const { access_token } = (await (await post('login')).json()) as { access_token: string } // as documented
    tokens.push(access_token)
  }
  const clients = Array.from({ length: 8 }, async () => {
    while (begun < count) await signUpOne()
  })
  await Promise.all(clients)
  return tokens
}

/** Changes at a constant rate, however long replies take. Returns their times, sorted, from when each was due. */
async function change(
  { url }: Program,
  tokens: readonly string[],
  { changes, seconds }: Pick<RelayPlan, 'changes' | 'seconds'>,
): Promise<number[]> {
  const times = await openLoop({
    port: Number(new URL(url).port),
    perSecond: changes,
    seconds,
    expected: 200,
    next: n => {
      const token = tokens[n % tokens.length] ?? ''
      return prepare('PUT', '/api/v1/users/me', {
        token,
        body: { location: `Place ${n} ${performance.now()}` },
      })
    },
  })
  return times.sort((a, b) => a - b)
}
