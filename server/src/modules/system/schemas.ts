import { Type } from 'typebox'
import { nullable } from '../../http/schemas.ts'

const closed = { additionalProperties: false }

export const ServiceInfoSchema = Type.Object(
  {
    name: Type.String({ examples: ['Roster'] }),
    version: Type.String({ examples: ['1.0.0'] }),
    time: Type.String({ format: 'date-time', description: 'The clock of the service.' }),
    links: Type.Object(
      {
        api: Type.String({ description: 'Where the routes of the API begin.' }),
        documentation: Type.String(),
        reference: Type.String(),
        openapi: Type.String(),
        health: Type.String(),
      },
      closed,
    ),
  },
  {
    $id: 'ServiceInfo',
    description: 'What the service is, and where its parts are.',
    examples: [
      {
        name: 'Roster',
        version: '1.0.0',
        time: '2026-01-31T10:00:00.000Z',
        links: {
          api: '/api/v1',
          documentation: '/docs',
          reference: '/redoc',
          openapi: '/openapi.json',
          health: '/health',
        },
      },
    ],
    ...closed,
  },
)

const DependencySchema = Type.Object(
  {
    state: Type.Enum(['up', 'down']),
    latency_ms: nullable(
      Type.Number({ description: 'How long the answer took; null where none came in time.' }),
    ),
  },
  closed,
)

export const HealthSchema = Type.Object(
  {
    status: Type.Enum(['ok', 'unavailable']),
    phase: Type.Enum(['starting', 'ready', 'draining']),
    uptime_seconds: Type.Integer({ minimum: 0 }),
    dependencies: Type.Record(Type.String(), DependencySchema, { description: 'By name.' }),
  },
  {
    $id: 'Health',
    description: 'The state of the process, and of all it needs.',
    examples: [
      {
        status: 'ok',
        phase: 'ready',
        uptime_seconds: 86_400,
        dependencies: { database: { state: 'up', latency_ms: 0.8 } },
      },
    ],
    ...closed,
  },
)

export const LivenessSchema = Type.Object(
  { status: Type.Literal('ok') },
  { $id: 'Liveness', description: 'The process runs.', examples: [{ status: 'ok' }], ...closed },
)

export const DatabaseStatusSchema = Type.Object(
  {
    version: Type.String({ examples: ['18.4'] }),
    size_bytes: Type.Integer({ minimum: 0 }),
    latency_ms: Type.Number({ description: 'How long reading this took.' }),
    pool: Type.Object(
      {
        max: Type.Integer(),
        total: Type.Integer({ description: 'Open connections.' }),
        idle: Type.Integer(),
        waiting: Type.Integer({ description: 'Callers that wait for a connection.' }),
      },
      closed,
    ),
    migrations: Type.Object(
      { applied: Type.Integer(), pending: Type.Array(Type.String({ description: 'Names of files.' })) },
      closed,
    ),
    replication: Type.Object(
      {
        is_replica: Type.Boolean(),
        replay_lag_seconds: nullable(Type.Number({ description: 'Behind the primary; null on a primary.' })),
        replicas: Type.Array(
          Type.Object(
            { name: Type.String(), state: Type.String(), lag_seconds: nullable(Type.Number()) },
            closed,
          ),
        ),
      },
      closed,
    ),
  },
  {
    $id: 'DatabaseStatus',
    description: 'The database as the service sees it.',
    examples: [
      {
        version: '18.4',
        size_bytes: 12_345_678,
        latency_ms: 2.1,
        pool: { max: 30, total: 4, idle: 4, waiting: 0 },
        migrations: { applied: 8, pending: [] },
        replication: { is_replica: false, replay_lag_seconds: null, replicas: [] },
      },
    ],
    ...closed,
  },
)
