import type { AddressInfo } from 'node:net'
import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Logger } from 'pino'
import { buildApp } from './app.ts'
import { backgroundJobs } from './background.ts'
import { type Config, configWarnings } from './config.ts'
import { checkDatabase, createPatience, type Patience } from './db/connect.ts'
import { migrate } from './db/migrate.ts'
import { createNews } from './db/news.ts'
import { createPool, createStore } from './db/store.ts'
import { openVault } from './encryption/index.ts'
import { createPasswordHasher } from './hashing/pool.ts'
import { createLogger } from './http/logger.ts'
import { createMetrics } from './http/metrics.ts'
import { prepareQueue, startJobs } from './jobs/worker.ts'
import { systemClock } from './lib/clock.ts'
import { createLoop, type Loop } from './lib/loop.ts'
import { releaseGarbage } from './lib/memory.ts'
import { setupCode } from './modules/auth/index.ts'
import type { Phase, Probe } from './modules/system/index.ts'
import { groupMetrics, isFirstMember, isGroupMember, leaveGroup, startGroup } from './process-group.ts'
import { createServices, type Resources, type Services } from './services.ts'
import { createDependencies, createWatch, type Dependency, type Watch } from './watch/index.ts'

export type Service = {
  /** Where it listens, e.g. `http://127.0.0.1:8000`. */
  address: string
  services: Services
  /** Takes no new work, finishes what is under way, writes what is in memory, closes everything. */
  stop(): Promise<void>
}

/**
 * Opens everything a process of the service needs, in order, and listens. What was opened is closed again in
 * the opposite order: by `stop()`, or at once where a later step fails or `signal` ends the start.
 * @param giveUp called where background work can't be begun anew: the process must end, and be started again
 */
export async function startService(
  config: Config,
  log: Logger,
  { signal, giveUp = () => undefined }: { signal?: AbortSignal; giveUp?: () => void } = {},
): Promise<Service> {
  const opened = new AsyncDisposableStack()
  try {
    return await open(config, log, opened, giveUp, signal)
  } catch (error) {
    await opened.disposeAsync()
    leaveGroup()
    throw error
  }
}

async function open(
  config: Config,
  log: Logger,
  opened: AsyncDisposableStack,
  giveUp: () => void,
  signal?: AbortSignal,
): Promise<Service> {
  const clock = systemClock
  let phase: Phase = 'starting'
  const metrics = createMetrics()
  if (isGroupMember()) metrics.text = groupMetrics(metrics.registry)
  const dependencies = createDependencies({ log, registry: metrics.registry })
  const database = dependencies.of('database', 'The database')
  const url = config.databaseUrl ?? (await startEmbedded(config, log, opened))
  const pool = createPool({
    url,
    size: config.dbPoolSize,
    overflow: config.dbMaxOverflow,
    onError(error) {
      log.debug({ err: error }, 'a database connection broke')
      databaseCheck.wake()
    },
  })
  opened.defer(() => pool.end())
  const databaseCheck = createDatabaseCheck(pool, database)
  // Any of the first connections may be the one that the database is late for.
  const patiently = createPatience(message => log.warn(message), signal && { signal })
  await patiently(() => checkDatabase(pool))
  const { applied } = await patiently(() => migrate(pool))
  signal?.throwIfAborted()
  if (applied.length > 0) log.info({ migrations: applied }, 'database migrated')
  databaseCheck.start()
  opened.defer(() => databaseCheck.stop())

  const news = createNews({
    url,
    changed: heard =>
      heard
        ? log.info('news between processes is heard again')
        : log.warn('the connection for news between processes is lost; the database is asked instead'),
  })
  opened.defer(() => news.stop())
  const store = createStore(pool, news)
  const hasher = createPasswordHasher({
    workers: Math.max(1, Math.floor(os.availableParallelism() / config.workers)),
  })
  opened.defer(() => hasher.stop())
  metrics.watchPool(() => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }))
  metrics.watchHashing(() => {
    const { waiting, running } = hasher.load()
    return { queued: waiting, running }
  })
  const redis =
    config.redisUrl === undefined
      ? undefined
      : (await import('./redis/client.ts')).connectRedis({
          url: config.redisUrl,
          dependency: dependencies.of('redis', 'Redis'),
        })
  opened.defer(async () => redis?.stop())
  const vault = await patiently(() => openVault({ store, news, clock, ...config }))
  const parts = { config, clock, log, store, news, hasher, metrics, vault, dependencies }
  const resources = { ...parts, ...(redis && { redis }) }
  const services = createServices(resources)
  await patiently(() => news.start())
  await patiently(() => services.keys.start())
  await patiently(() => services.settings.start())
  await patiently(() => prepareQueue(pool))

  const watch = createWatch({ log, registry: metrics.registry, isDatabaseUp: database.isUp, giveUp })
  watch.add(databaseCheck.watched, news.watched)
  const helpers =
    config.role === 'web' ? {} : await startBackground(resources, services, url, opened, { watch, patiently })
  services.activity.start()
  opened.defer(() => services.activity.stop())
  watch.add(services.activity.watched)
  watch.start()
  opened.defer(() => watch.stop())

  const app = await buildApp({
    ...resources,
    services,
    helpers: { ...watch.probes(), ...helpers, ...(redis && { redis: () => redis.ping() }) },
    phase: () => phase,
  })
  opened.defer(() => app.close())
  opened.defer(async () => {
    phase = 'draining'
    // The next reply on each connection says `Connection: close`, so that clients leave before it is closed.
    app.server.maxRequestsPerSocket = 1
    // So long a load balancer may take to see that this process is no longer ready.
    if (config.environment === 'production') await sleep(3000)
  })
  releaseGarbage()
  signal?.throwIfAborted()
  await app.listen({ host: config.host, port: config.port }).catch((error: Error) => {
    throw new Error(`can't listen on HOST ${config.host}, PORT ${config.port}: ${error.message}`, {
      cause: error,
    })
  })
  phase = 'ready'
  return { address: addressOf(app.server.address()), services, stop: () => opened.disposeAsync() }
}

/** Jobs, audit seals, and the way of events out. Returns what health checks ask of it. */
async function startBackground(
  { config, log }: Resources,
  services: Services,
  url: string,
  opened: AsyncDisposableStack,
  { watch, patiently }: { watch: Watch; patiently: Patience },
): Promise<Record<string, Probe>> {
  const jobs = await patiently(() => startJobs({ url, log, jobs: backgroundJobs(services) }))
  opened.defer(() => jobs.stop())
  watch.add(...jobs.watched, services.sealer.watched)
  services.sealer.start()
  opened.defer(() => services.sealer.stop())
  const relay = services.events.startRelay(url)
  opened.defer(() => relay.stop())
  watch.add(...relay.watched)
  if (config.rabbitmqUrl === undefined) return {}
  return {
    async rabbitmq() {
      if (!relay.isBrokerConnected()) throw new Error('not connected')
    },
  }
}

async function startEmbedded(config: Config, log: Logger, opened: AsyncDisposableStack): Promise<string> {
  const { openEmbedded } = await import('./db/embedded.ts')
  const { dataDir, workers, dbPoolSize, dbMaxOverflow } = config
  const embedded = await openEmbedded({
    dataDir,
    mode: 'own',
    log: line => log.info(line),
    connections: workers * (dbPoolSize + dbMaxOverflow + connectionsBesidePool),
  })
  opened.defer(() => embedded.stop())
  return embedded.url
}

/** Milliseconds between two looks at the database. */
const databaseCheckEvery = 2000

/** Asks the database again and again, so that its going and coming is seen also where nobody asks for anything. */
function createDatabaseCheck(pool: pg.Pool, database: Dependency): Loop {
  return createLoop({
    name: 'database_check',
    idle: databaseCheckEvery,
    async turn() {
      await pool.query('select 1')
      database.up()
      return false
    },
    failed: database.down,
  })
}

/** Those of one process that listen for news and jobs, and the jobs' own. */
const connectionsBesidePool = 8

function addressOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') return String(address)
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}

/** The service as a program: says what to open, and ends on SIGTERM or SIGINT with exit code 0. */
export async function serve(config: Config, options: { demo?: boolean } = {}): Promise<void> {
  const log = createLogger(config)
  if (config.workers > 1 && !isGroupMember()) return serveGroup(config, log)
  if (isFirstMember()) for (const warning of configWarnings(config)) log.warn(warning)
  const stopping = new AbortController()
  const service = await startUntilStopped(config, log, stopping)
  if (!service || !isFirstMember()) return
  await greet(config, service, options).catch(error => {
    if (!stopping.signal.aborted) throw error
  })
}

/** What is done and said once the service is ready. */
async function greet(config: Config, service: Service, options: { demo?: boolean }): Promise<void> {
  if (options.demo) {
    const { fillWithDemo } = await import('./demo/fill.ts')
    await fillWithDemo(service.services, (line: string) => console.log(line))
  }
  console.log(await greeting(config, service))
}

/** @returns undefined where a signal came first: then what was opened is closed, and the process ends */
async function startUntilStopped(
  config: Config,
  log: Logger,
  stopping: AbortController,
): Promise<Service | undefined> {
  const giveUp = () => void endAnew(stop, log)
  const starting = startService(config, log, { signal: stopping.signal, giveUp })
  const ended = starting.catch(error => {
    if (!stopping.signal.aborted) throw error
    return undefined
  })
  const stop = async () => {
    stopping.abort()
    await (await ended)?.stop()
  }
  stopOnSignals({ stop }, log)
  return ended
}

/** Several processes behind the port; this one owns the database, where nobody brought one. */
async function serveGroup(config: Config, log: Logger): Promise<void> {
  const opened = new AsyncDisposableStack()
  const group = { stop: () => opened.disposeAsync() }
  stopOnSignals(group, log)
  try {
    const url = config.databaseUrl ?? (await startEmbedded(config, log, opened))
    const { stop } = await startGroup({ size: config.workers, log, env: { DATABASE_URL: url } })
    opened.defer(stop)
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

async function greeting(config: Config, { address, services }: Service): Promise<string> {
  const code = await setupCode(services)
  const setup = config.environment === 'production' ? operatorLines : setupLines(config, code ?? '')
  return [
    '',
    `  Roster is ready at ${config.publicUrl}${config.publicUrl === address ? '' : ` (listening on ${address})`}`,
    '',
    `    Sign-in page       ${config.publicUrl}/sign-in`,
    `    API documentation  ${config.publicUrl}/docs`,
    `    Health             ${config.publicUrl}/health`,
    ...(code === undefined ? [] : setup),
    '',
  ].join('\n')
}

const setupLines = ({ publicUrl }: Config, code: string): string[] => [
  '',
  '  There is no administrator yet. Create the first one, once, with this code:',
  '',
  `    ${code}`,
  '',
  `    ${publicUrl}/setup?code=${code}`,
]

/** In production what is printed is kept, and read by more people than may become administrators. */
const operatorLines = [
  '',
  '  There is no administrator yet. Create the first one with `npm run roster -- admin create`.',
]

/** Milliseconds within which a stop ends, one way or the other. */
const stopLimit = 28_000

/** Ends a process whose background work is dead, with what it has under way; whoever runs it starts another. */
async function endAnew(stop: () => Promise<void>, log: Logger): Promise<void> {
  setTimeout(() => process.exit(1), stopLimit).unref()
  await stop().catch(error => log.error({ err: error }, 'stopping failed'))
  process.exit(1)
}

function stopOnSignals(service: Pick<Service, 'stop'>, log: Logger): void {
  let stoppingSince: number | undefined
  const stop = (signal: NodeJS.Signals) => {
    if (stoppingSince !== undefined) {
      // A second Ctrl-C is impatience; one signal that came by two ways (group and npm) is not.
      if (signal === 'SIGINT' && performance.now() - stoppingSince > 2000) process.exit(130)
      return
    }
    stoppingSince = performance.now()
    log.info({ signal }, 'stopping')
    setTimeout(() => {
      log.error('not everything ended in time')
      process.exit(1)
    }, stopLimit).unref()
    service.stop().then(
      () => process.exit(0),
      error => {
        log.error({ err: error }, 'stopping failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}
