import type { AddressInfo } from 'node:net'
import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { buildApp } from './app.ts'
import { backgroundJobs } from './background.ts'
import { type Config, configWarnings } from './config.ts'
import { waitForDatabase } from './db/connect.ts'
import { migrate } from './db/migrate.ts'
import { createNews } from './db/news.ts'
import { createPool, createStore } from './db/store.ts'
import { openVault } from './encryption/index.ts'
import { createPasswordHasher } from './hashing/pool.ts'
import { createLogger } from './http/logger.ts'
import { createMetrics } from './http/metrics.ts'
import { prepareQueue, startJobs } from './jobs/worker.ts'
import { systemClock } from './lib/clock.ts'
import { releaseGarbage } from './lib/memory.ts'
import { setupCode } from './modules/auth/index.ts'
import type { Phase, Probe } from './modules/system/index.ts'
import { groupMetrics, isFirstMember, isGroupMember, leaveGroup, startGroup } from './process-group.ts'
import { createServices, type Resources, type Services } from './services.ts'

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
 */
export async function startService(config: Config, log: Logger, signal?: AbortSignal): Promise<Service> {
  const opened = new AsyncDisposableStack()
  try {
    return await open(config, log, opened, signal)
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
  signal?: AbortSignal,
): Promise<Service> {
  const clock = systemClock
  let phase: Phase = 'starting'
  const url = config.databaseUrl ?? (await startEmbedded(config, log, opened))
  const pool = createPool({
    url,
    size: config.dbPoolSize,
    overflow: config.dbMaxOverflow,
    onError: error => log.warn({ err: error }, 'a database connection broke'),
  })
  opened.defer(() => pool.end())
  await waitForDatabase(pool, message => log.info(message), signal && { signal })
  const { applied } = await migrate(pool)
  signal?.throwIfAborted()
  if (applied.length > 0) log.info({ migrations: applied }, 'database migrated')

  const news = createNews({ url, log: message => log.warn(message) })
  opened.defer(() => news.stop())
  const store = createStore(pool, news)
  const hasher = createPasswordHasher({
    workers: Math.max(1, Math.floor(os.availableParallelism() / config.workers)),
  })
  opened.defer(() => hasher.stop())
  const metrics = createMetrics()
  if (isGroupMember()) metrics.text = groupMetrics(metrics.registry)
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
          log: line => log.warn(line),
        })
  opened.defer(async () => redis?.stop())
  const vault = await openVault({ store, news, clock, ...config })
  const resources = { config, clock, log, store, news, hasher, metrics, vault, ...(redis && { redis }) }
  const services = createServices(resources)
  await news.start()
  await services.keys.start()
  await services.settings.start()

  const background = config.role === 'web' ? {} : await startBackground(resources, services, url, opened)
  if (config.role === 'web') await prepareQueue(pool)
  services.activity.start()
  opened.defer(() => services.activity.stop())

  const app = await buildApp({
    ...resources,
    services,
    helpers: { ...background, ...(redis && { redis: () => redis.ping() }) },
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
): Promise<Record<string, Probe>> {
  const jobs = await startJobs({ url, log, jobs: backgroundJobs(services) })
  opened.defer(() => jobs.stop())
  services.sealer.start()
  opened.defer(() => services.sealer.stop())
  const relay = services.events.startRelay(url)
  opened.defer(() => relay.stop())
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
  const starting = startService(config, log, stopping.signal)
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
  return [
    '',
    `  Roster is ready at ${config.publicUrl}${config.publicUrl === address ? '' : ` (listening on ${address})`}`,
    '',
    `    API documentation  ${config.publicUrl}/docs`,
    `    Health             ${config.publicUrl}/health`,
    ...(code === undefined ? [] : setupLines(config, code)),
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

/** Milliseconds within which a stop ends, one way or the other. */
const stopLimit = 28_000

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
