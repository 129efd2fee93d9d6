import { randomInt } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createReplica,
  createReplicaTables,
  followRabbitMq,
  httpSource,
  passwordTokens,
  postgresStore,
  type Replica,
} from '@roster/client/replica'
import pg from 'pg'
import { freePort, type Program, startProgram } from '../../../server/src/testing/program.ts'
import { startRabbitMq } from '../../../server/src/testing/rabbitmq.ts'
import { password, runLoad } from './load.ts'
import { rabbitSink, webhookSink } from './sinks.ts'
import { judge, type Verdict } from './verdict.ts'

export type LedgerOptions = {
  /** Two empty databases: the service's and the replica's. */
  databaseUrl: string
  replicaUrl: string
  /** How often a process is killed with SIGKILL, and milliseconds between, on average. */
  kills: number
  killEvery: number
  /** Milliseconds for which the broker is away after it was killed. */
  brokerAway: number
  clients: number
  log: (line: string) => void
}

/**
 * Two processes of the service under mixed load, killed again and again; a broker that is killed and stays
 * away; a replica that applies every delivery three times. Then everything that was written down is compared.
 */
export async function runLedger(options: LedgerOptions): Promise<Verdict> {
  const { log } = options
  await using opened = new AsyncDisposableStack()
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'roster-ledger-'))
  opened.defer(() => fs.rmSync(dataDir, { recursive: true, force: true }))
  const rabbit = await startRabbitMq()
  opened.defer(() => rabbit.stop())
  const broker = await rabbitSink(rabbit.url)
  opened.defer(() => broker.stop())
  const webhook = await webhookSink()
  opened.defer(() => webhook.stop())
  const pool = new pg.Pool({ connectionString: options.databaseUrl, max: 3 })
  const replicaPool = new pg.Pool({ connectionString: options.replicaUrl, max: 3 })
  for (const each of [pool, replicaPool]) {
    each.on('error', () => undefined)
    opened.defer(() => each.end())
  }

  const env = {
    DATABASE_URL: options.databaseUrl,
    RABBITMQ_URL: rabbit.url,
    DATA_DIR: dataDir,
    PUBLIC_URL: `http://127.0.0.1:${await freePort()}`,
    WEBHOOK_PRIVATE_NETWORKS: '127.0.0.0/8',
    RATE_LIMITS: 'off',
    LOG_LEVEL: 'fatal',
  }
  const programs: (Program | undefined)[] = []
  opened.defer(async () => {
    await Promise.all(programs.map(program => program?.end('SIGTERM')))
  })
  programs.push(await startProgram(env))
  programs.push(await startProgram(env))
  const anyUrl = () => pick(programs.filter(program => program !== undefined))?.url
  const admin = await createAdmin(programs[0])
  const api = await registerWebhook(anyUrl() ?? '', admin, webhook.url)
  const { rows } = await pool.query('select sequence::int + 1 as first from event_head')

  await createReplicaTables(replicaPool)
  const source = {
    events: (...query: Parameters<typeof api.events>) => sourceAt(anyUrl(), admin).events(...query),
    snapshot: (...query: Parameters<typeof api.snapshot>) => sourceAt(anyUrl(), admin).snapshot(...query),
  }
  const replica = createReplica({ source, store: postgresStore(replicaPool) })
  const follower = await followRabbitMq(tripled(replica), { url: rabbit.url, queue: 'replica' })
  opened.defer(() => follower.stop())

  log('load begins')
  const ending = new AbortController()
  const { signal } = ending
  const load = runLoad({ clients: options.clients, pause: 15, url: anyUrl, signal })
  const outage = sleep(options.killEvery * 2, undefined, { signal }).then(async () => {
    log(`the broker is killed, and away for ${options.brokerAway} ms`)
    await rabbit.kill()
    await sleep(options.brokerAway, undefined, { signal })
    await rabbit.start()
    log('the broker is back')
  })
  const both = Promise.allSettled([load, outage])
  opened.defer(async () => {
    ending.abort()
    await both
  })
  for (let kill = 1; kill <= options.kills; kill++) {
    await sleep(options.killEvery * (0.5 + Math.random()))
    await killOne(programs, env)
    log(`kill ${kill} of ${options.kills}`)
  }
  await outage
  await sleep(1000)
  ending.abort()
  const ledger = await load
  log(`${ledger.acknowledged.length} acknowledged, ${ledger.unknown.size} unknown, ${ledger.refused} refused`)
  await untilDelivered(pool, replicaPool)
  const verdict = await judge({
    pool,
    replica: replicaPool,
    ledger,
    atBroker: broker.received,
    atWebhook: webhook.received,
    from: Number(rows[0]?.first),
    truth: await allUsers(source),
  })
  return verdict
}

const pick = <T>(list: readonly T[]): T | undefined => list[randomInt(Math.max(1, list.length))]

type Account = { email: string; password: string }

const sources = new Map<string, ReturnType<typeof httpSource>>()

function sourceAt(url: string | undefined, account: Account): ReturnType<typeof httpSource> {
  if (url === undefined) throw new Error('no process is up')
  const known = sources.get(url) ?? httpSource({ url, token: passwordTokens({ url, ...account }) })
  sources.set(url, known)
  return known
}

/** With the set-up code that the first process has printed. */
async function createAdmin(program: Program | undefined): Promise<Account> {
  const code = /setup\?code=(\S+)/.exec(program?.output() ?? '')?.[1]
  const account = { email: 'admin@example.com', password }
  const reply = await fetch(`${program?.url}/api/v1/auth/setup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code, ...account }),
  })
  if (!reply.ok) throw new Error(`set-up failed: ${await reply.text()}`)
  return account
}

async function registerWebhook(url: string, account: Account, target: string) {
  const token = await passwordTokens({ url, ...account })(false)
  const reply = await fetch(`${url}/api/v1/webhooks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ url: target, event_types: ['user.*'] }),
  })
  if (!reply.ok) throw new Error(`no webhook: ${await reply.text()}`)
  return sourceAt(url, account)
}

/** Every batch is applied three times, once of them backwards. */
const tripled = (replica: Replica): Replica => ({
  ...replica,
  async apply(events) {
    await replica.apply(events.toReversed())
    await replica.apply(events)
    return replica.apply(events)
  },
})

async function killOne(programs: (Program | undefined)[], env: Record<string, string>): Promise<void> {
  const at = randomInt(programs.length)
  const victim = programs[at]
  programs[at] = undefined
  await victim?.end('SIGKILL')
  programs[at] = await startProgram(env)
}

async function untilDelivered(pool: pg.Pool, replica: pg.Pool): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const { rows } = await pool.query(`
      select sequence,
        exists (select from events where sequence is null) as unnumbered,
        exists (select from event_partitions p join events e using (partition)
          where e.sequence > p.published) as unpublished,
        exists (select from webhook_endpoints where fanned_out < (select sequence from event_head))
          or exists (select from webhook_deliveries where state = 'pending') as undelivered
      from event_head`)
    const [{ sequence, ...waiting }] = rows
    const own = await replica.query('select sequence from users_position')
    if (!Object.values(waiting).includes(true) && own.rows[0]?.sequence === sequence) break
    if (performance.now() > deadline)
      throw new Error(`not delivered in time: ${JSON.stringify([rows, own.rows])}`)
    await sleep(100)
  }
  // What has been confirmed may still be on its way to the sink.
  await sleep(1000)
}

async function allUsers(source: Pick<ReturnType<typeof httpSource>, 'snapshot'>): Promise<object[]> {
  const users: object[] = []
  for (let after: string | undefined; ; ) {
    const page = await source.snapshot({ limit: 1000, ...(after !== undefined && { after }) })
    users.push(...page.items)
    if (page.next_after === null) return users
    after = page.next_after
  }
}
