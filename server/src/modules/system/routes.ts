import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Pool } from 'pg'
import { type Static, Type } from 'typebox'
import type { Metrics } from '../../http/metrics.ts'
import { ProblemError } from '../../http/problems.ts'
import { problemResponses, ref } from '../../http/schemas.ts'
import type { Access, App } from '../../http/types.ts'
import type { Clock } from '../../lib/clock.ts'
import { equalInConstantTime } from '../../lib/secrets.ts'
import { createHealthChecks, type Phase, type Probe } from './health.ts'
import { ping, readDatabaseStatus } from './repo.ts'
import { DatabaseStatusSchema, HealthSchema, LivenessSchema, ServiceInfoSchema } from './schemas.ts'

export type SystemDeps = {
  config: { environment: 'development' | 'production'; metricsToken: string | undefined }
  clock: Clock
  pool: Pool
  metrics: Metrics
  version: string
  phase: () => Phase
  /** Which migrations the database has and lacks. */
  migrations: () => Promise<{ applied: number; pending: string[] }>
  /** Further dependencies; the database is always one. */
  probes?: Readonly<Record<string, Probe>>
  /** Those without which the service goes on: they are shown, and never a reason to send requests elsewhere. */
  helpers?: Readonly<Record<string, Probe>>
}

const tags = ['system']
const unlimited = { access: 'public', rateLimit: false } as const
/** Monitors add what they like to the URL. */
const AnyQuery = Type.Object({}, { additionalProperties: true })

/** Service information, health, metrics and database status, at the root of the server. */
export function systemRoutes(app: App, deps: SystemDeps): void {
  for (const schema of [ServiceInfoSchema, HealthSchema, LivenessSchema, DatabaseStatusSchema]) {
    app.addSchema(schema)
  }
  serviceInfoRoute(app, deps)
  healthRoutes(app, deps)
  databaseStatusRoute(app, deps)
  metricsRoute(app, deps)
}

function serviceInfoRoute(app: App, { clock, version }: SystemDeps): void {
  app.route({
    method: 'GET',
    url: '/',
    config: { access: 'public' },
    schema: {
      operationId: 'getServiceInfo',
      tags,
      summary: 'What this service is',
      description: 'Name, version and where to go on. A browser is sent to a page for people.',
      querystring: AnyQuery,
      response: { 200: ref(ServiceInfoSchema), 302: Type.Null({ description: 'To a page, for browsers.' }) },
    },
    handler(request, reply) {
      reply.header('vary', 'Accept')
      if (request.headers.accept?.includes('text/html')) {
        reply.redirect('/account', 302)
        return
      }
      reply.send({
        name: 'Roster',
        version,
        time: clock.now().toISOString(),
        links: {
          api: '/api/v1',
          documentation: '/docs',
          reference: '/redoc',
          openapi: '/openapi.json',
          health: '/health',
        },
      })
    },
  })
}

function healthRoutes(app: App, { pool, phase, probes, helpers }: SystemDeps): void {
  const check = createHealthChecks({ database: () => ping(pool), ...probes })
  const checkHelpers = createHealthChecks(helpers ?? {})

  async function answer(reply: FastifyReply, mustBeReady: boolean) {
    const [needed, helping] = await Promise.all([check(), checkHelpers()])
    const isUp = Object.values(needed).every(({ state }) => state === 'up')
    const isOk = isUp && (phase() === 'ready' || !mustBeReady)
    if (!isOk) reply.code(503).header('retry-after', '5')
    return {
      status: isOk ? ('ok' as const) : ('unavailable' as const),
      phase: phase(),
      uptime_seconds: Math.floor(process.uptime()),
      dependencies: { ...needed, ...helping },
    }
  }

  const response = {
    200: ref(HealthSchema),
    503: Type.Unsafe<Static<typeof HealthSchema>>({ $ref: 'Health#', description: 'Not able to serve.' }),
  }

  app.route({
    method: 'GET',
    url: '/health',
    config: unlimited,
    schema: {
      operationId: 'getHealth',
      tags,
      summary: 'State of the service and all it needs',
      description: 'Each dependency’s state and latency. 503 where one does not answer within two seconds.',
      querystring: AnyQuery,
      response,
    },
    handler: async (_request, reply) => reply.send(await answer(reply, false)),
  })

  app.route({
    method: 'GET',
    url: '/health/ready',
    config: unlimited,
    schema: {
      operationId: 'getReadiness',
      tags,
      summary: 'Whether to send requests here',
      description: '503 while the process starts or drains, and where a dependency does not answer.',
      querystring: AnyQuery,
      response,
    },
    handler: async (_request, reply) => reply.send(await answer(reply, true)),
  })

  app.route({
    method: 'GET',
    url: '/health/live',
    config: unlimited,
    schema: {
      operationId: 'getLiveness',
      tags,
      summary: 'Whether the process runs',
      description: 'Asks nothing of any dependency: a process is not to be killed for its database.',
      querystring: AnyQuery,
      response: { 200: ref(LivenessSchema) },
    },
    handler(_request, reply) {
      reply.send({ status: 'ok' })
    },
  })
}

function databaseStatusRoute(app: App, { config, pool, migrations }: SystemDeps): void {
  const access: Access = config.environment === 'production' ? { permission: 'system:read' } : 'public'
  app.route({
    method: 'GET',
    url: '/db/status',
    config: { access },
    schema: {
      operationId: 'getDatabaseStatus',
      tags,
      summary: 'State of the database',
      description: 'Version, size, connection pool, migrations and replication. Public in development.',
      response: { 200: ref(DatabaseStatusSchema) },
    },
    async handler() {
      const start = performance.now()
      const [status, migrated] = await Promise.all([readDatabaseStatus(pool), migrations()])
      return {
        version: status.version,
        size_bytes: status.sizeBytes,
        latency_ms: Math.round((performance.now() - start) * 100) / 100,
        pool: {
          max: pool.options.max,
          total: pool.totalCount,
          idle: pool.idleCount,
          waiting: pool.waitingCount,
        },
        migrations: migrated,
        replication: {
          is_replica: status.isReplica,
          replay_lag_seconds: status.replayLagSeconds,
          replicas: status.replicas.map(({ name, state, lagSeconds }) => ({
            name,
            state,
            lag_seconds: lagSeconds,
          })),
        },
      }
    },
  })
}

function metricsRoute(app: App, { config, metrics }: SystemDeps): void {
  const { environment, metricsToken } = config

  function checkToken(request: FastifyRequest): void {
    if (metricsToken === undefined) {
      if (environment === 'production') throw new ProblemError('not_found')
      return
    }
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) throw new ProblemError('unauthorized')
    if (!equalInConstantTime(token, metricsToken)) throw new ProblemError('invalid_token')
  }

  app.route({
    method: 'GET',
    url: '/metrics',
    config: unlimited,
    schema: {
      operationId: 'getMetrics',
      tags,
      summary: 'Metrics for Prometheus',
      description:
        'Text exposition format. Needs `METRICS_TOKEN` as a bearer token where one is set; without one there are no metrics in production.',
      response: {
        200: {
          description: 'Metrics.',
          content: { 'text/plain': { schema: Type.String() } },
        },
        ...problemResponses('unauthorized', 'invalid_token', 'not_found'),
      },
    },
    async handler(request, reply) {
      checkToken(request)
      return reply.type(metrics.registry.contentType).send(await metrics.text())
    },
  })
}
