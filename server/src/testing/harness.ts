import { randomBytes } from 'node:crypto'
import type { InjectOptions } from 'fastify'
import { runOnce, Logger as WorkerLogger } from 'graphile-worker'
import pg from 'pg'
import type { Logger } from 'pino'
import { afterAll } from 'vitest'
import { buildApp } from '../app.ts'
import { backgroundJobs } from '../background.ts'
import type { Config } from '../config.ts'
import { createNews } from '../db/news.ts'
import { createPool, createStore } from '../db/store.ts'
import { openVault } from '../encryption/index.ts'
import { createPasswordHasher, type PasswordHasher } from '../hashing/pool.ts'
import { createLogger } from '../http/logger.ts'
import { createMetrics } from '../http/metrics.ts'
import type { App } from '../http/types.ts'
import type { Clock } from '../lib/clock.ts'
import { connectRedis } from '../redis/client.ts'
import { createServices, type Resources, type Services } from '../services.ts'
import { createDependencies } from '../watch/index.ts'
import { createTestDatabase } from './database.ts'

/** A clock that stands still until a test moves it. */
export type TestClock = Clock & { advance(milliseconds: number): void; set(at: Date): void }

export function createTestClock(start = new Date('2026-01-31T10:00:00.000Z')): TestClock {
  let at = start.getTime()
  return {
    now: () => new Date(at),
    advance(milliseconds) {
      at += milliseconds
    },
    set(moment) {
      at = moment.getTime()
    },
  }
}

export const testConfig: Config = {
  environment: 'development',
  host: '127.0.0.1',
  port: 0,
  publicUrl: 'http://localhost:8000',
  trustedProxies: [],
  dataDir: '/dev/null/nowhere',
  databaseUrl: undefined,
  dbPoolSize: 10,
  dbMaxOverflow: 20,
  allowedOrigins: '*',
  passkeyOrigins: [],
  encryptionKey: Buffer.alloc(32, 7),
  previousEncryptionKey: undefined,
  jwtAlgorithm: 'EdDSA',
  jwtSecretKey: undefined,
  accessTokenMinutes: 30,
  refreshTokenDays: 7,
  sessionMaxDays: 90,
  passwordPolicy: 'standard',
  registration: 'open',
  registrationPrivacy: false,
  reservedUsernames: [],
  requireVerifiedEmail: false,
  rateLimits: 'off',
  metricsToken: undefined,
  logLevel: 'silent',
  redisUrl: undefined,
  rabbitmqUrl: undefined,
  eventRetentionDays: 7,
  webhookPrivateNetworks: [],
  role: 'all',
  workers: 1,
  eraseAfterDays: 30,
  subscriptions: 'self',
  otpHourlyLimit: 20,
  otpDailyLimit: 100,
  brandName: 'Roster',
  brandLogoUrl: undefined,
  brandLogoFile: undefined,
  brandColor: '#2f6feb',
  termsUrl: undefined,
  privacyUrl: undefined,
  supportEmail: undefined,
  appUrl: undefined,
  localesDir: undefined,
  emailProvider: 'mailbox',
  resendApiKey: undefined,
  smtpUrl: undefined,
  mailFrom: { name: undefined, address: 'no-reply@roster.localhost' },
  mailTemplatesDir: undefined,
  smsProvider: 'mailbox',
  twilioAccountSid: undefined,
  twilioAuthToken: undefined,
  twilioFrom: undefined,
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape
export type Reply = { status: number; headers: Record<string, unknown>; body: any; text: string }

export type TestApp = {
  app: App
  clock: TestClock
  services: Services
  resources: Resources
  /** A pool of the test's own, for looking at what is stored. */
  // biome-ignore lint/suspicious/noExplicitAny: rows of every shape
  sql(text: string, values?: unknown[]): Promise<any[]>
  databaseUrl: string
  request(method: string, url: string, options?: RequestOptions): Promise<Reply>
  get(url: string, options?: RequestOptions): Promise<Reply>
  post(url: string, body?: unknown, options?: RequestOptions): Promise<Reply>
  put(url: string, body?: unknown, options?: RequestOptions): Promise<Reply>
  patch(url: string, body?: unknown, options?: RequestOptions): Promise<Reply>
  delete(url: string, options?: RequestOptions): Promise<Reply>
  /** Signs a registered user in once more. */
  signIn(user: Pick<SignedUp, 'email' | 'password' | 'id'>): Promise<SignedUp>
  /** Registers a user and signs them in. */
  signUp(user?: Record<string, unknown>): Promise<SignedUp>
  /** The same for an administrator. */
  signUpAdmin(): Promise<SignedUp>
  /** Runs what is in the job queue now, to its end. */
  runJobs(): Promise<void>
  stop(): Promise<void>
}

export type SignedUp = {
  id: string
  email: string
  password: string
  token: string
  refresh: string
  session: string
}

export type RequestOptions = {
  token?: string
  headers?: Record<string, string>
  body?: unknown
  /** The address that it comes from. */
  from?: string
}

let counter = 0
let theHasher: PasswordHasher | undefined

/** One for all tests of a file: its processes are not started again for each. */
function sharedHasher(): PasswordHasher {
  // A slow machine must not make it refuse.
  theHasher ??= createPasswordHasher({ patience: 600_000 })
  return theHasher
}

/**
 * The service on a database of its own, without a port: requests are injected. Give `databaseUrl` to put a
 * second process beside the first.
 */
export async function startTestApp(
  options: {
    config?: Partial<Config>
    databaseUrl?: string
    clock?: TestClock
    newsUrl?: string
    log?: Logger
    hasher?: PasswordHasher
  } = {},
): Promise<TestApp> {
  const database = options.databaseUrl
    ? { url: options.databaseUrl, drop: async () => undefined }
    : await createTestDatabase()
  const clock = options.clock ?? createTestClock()
  const config: Config = { ...testConfig, databaseUrl: database.url, ...options.config }
  const log = options.log ?? createLogger({ logLevel: 'silent' })
  const pool = createPool({ url: database.url, size: 4, overflow: 16, onError: () => undefined })
  const news = createNews({ url: options.newsUrl ?? database.url, changed: () => undefined })
  const store = createStore(pool, news)
  const hasher = options.hasher ?? sharedHasher()
  const metrics = createMetrics()
  const dependencies = createDependencies({ log, registry: metrics.registry })
  const redis = config.redisUrl
    ? connectRedis({ url: config.redisUrl, dependency: dependencies.of('redis', 'Redis') })
    : undefined
  const vault = await openVault({ store, news, clock, ...config })
  const parts = { config, clock, log, store, news, hasher, metrics, vault, dependencies }
  const resources: Resources = { ...parts, ...(redis && { redis }) }
  const services = createServices(resources)
  await news.start()
  await services.keys.start()
  await services.settings.start()
  const undeclared: string[] = []
  const app = await buildApp({
    ...resources,
    services,
    phase: () => 'ready',
    onUndeclaredResponse: problem => void undeclared.push(String(problem)),
  })
  await app.ready()
  const own = new pg.Pool({ connectionString: database.url, max: 4 })
  own.on('error', () => undefined)

  async function request(method: string, url: string, { token, headers, body, from }: RequestOptions = {}) {
    const reply = await app.inject({
      method: method as InjectOptions['method'] & string, // any method is a test case
      url,
      ...(from !== undefined && { remoteAddress: from }),
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { payload: JSON.stringify(body) }),
    })
    const isJson = /[/+]json/.test(String(reply.headers['content-type']))
    return {
      status: reply.statusCode,
      headers: reply.headers,
      body: isJson && reply.body ? JSON.parse(reply.body) : undefined,
      text: reply.body,
    }
  }

  async function signIn(email: string, password: string, id: string): Promise<SignedUp> {
    const { status, body } = await request('POST', '/api/v1/auth/login', { body: { email, password } })
    if (status !== 200) throw new Error(`sign-in failed: ${JSON.stringify(body)}`)
    return {
      id,
      email,
      password,
      token: body.access_token,
      refresh: body.refresh_token,
      session: body.session_id,
    }
  }

  async function signUp(user: Record<string, unknown> = {}): Promise<SignedUp> {
    counter += 1
    const input = { email: `person${counter}@example.com`, password: 'SecurePass123', ...user }
    const { status, body } = await request('POST', '/api/v1/auth/register', { body: input })
    if (status !== 201) throw new Error(`registration failed: ${JSON.stringify(body)}`)
    return signIn(input.email, input.password, body.id)
  }

  return {
    app,
    clock,
    services,
    resources,
    databaseUrl: database.url,
    sql: async (text, values) => (await own.query(text, values)).rows,
    request,
    get: (url, more) => request('GET', url, more),
    post: (url, body, more) => request('POST', url, { body, ...more }),
    put: (url, body, more) => request('PUT', url, { body, ...more }),
    patch: (url, body, more) => request('PATCH', url, { body, ...more }),
    delete: (url, more) => request('DELETE', url, more),
    signIn: ({ email, password, id }) => signIn(email, password, id),
    signUp,
    async signUpAdmin() {
      const password = 'AdminPass123'
      const email = `admin-${randomBytes(4).toString('hex')}@example.com`
      const { createAdministratorByOperator } = await import('../modules/auth/index.ts')
      const id = await createAdministratorByOperator(services, { email, password })
      return signIn(email, password, id)
    },
    async runJobs() {
      const jobs = backgroundJobs(services)
      await runOnce({
        pgPool: pool,
        noHandleSignals: true,
        logger: new WorkerLogger(() => () => undefined),
        taskList: Object.fromEntries(jobs.map(job => [job.name, payload => job.run(payload)])),
      })
    },
    async stop() {
      await app.close()
      await services.activity.stop()
      await news.stop()
      await redis?.stop()
      await pool.end()
      await own.end()
      await database.drop()
      if (undeclared.length > 0) throw new Error(`undeclared replies:\n${undeclared.join('\n')}`)
    },
  }
}

/** {@link startTestApp} for a whole file: stopped after its last test. */
export async function useTestApp(...options: Parameters<typeof startTestApp>): Promise<TestApp> {
  const test = await startTestApp(...options)
  afterAll(() => test.stop())
  return test
}
