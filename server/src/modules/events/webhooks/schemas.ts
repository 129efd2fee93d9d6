import { type Static, Type } from 'typebox'
import { nullable } from '../../../http/schemas.ts'
import { eventTypePatterns } from '../event-types.ts'

const EventTypes = Type.Array(Type.String({ enum: eventTypePatterns }), {
  minItems: 1,
  maxItems: 50,
  uniqueItems: true,
  description: 'Types, or patterns: `user.username_updated`, `user.*`, `*`',
})

const Url = Type.String({ maxLength: 2048, description: 'https; http for allowed private networks only' })
const Description = Type.String({ maxLength: 200 })
const timestamp = Type.String({ format: 'date-time' })

export const NewEndpointSchema = Type.Object(
  { url: Url, event_types: EventTypes, description: Type.Optional(Description) },
  {
    $id: 'NewWebhookEndpoint',
    additionalProperties: false,
    examples: [{ url: 'https://hooks.example.com/roster', event_types: ['user.*'] }],
  },
)

export const EndpointChangesSchema = Type.Object(
  {
    url: Type.Optional(Url),
    event_types: Type.Optional(EventTypes),
    description: Type.Optional(Description),
    is_active: Type.Optional(Type.Boolean()),
  },
  {
    $id: 'WebhookEndpointChanges',
    additionalProperties: false,
    minProperties: 1,
    examples: [{ url: 'https://hooks.example.com/roster', is_active: true }],
  },
)

const endpointFields = {
  id: Type.String({ format: 'uuid' }),
  url: Type.String(),
  description: Type.String(),
  event_types: Type.Array(Type.String()),
  is_active: Type.Boolean({ description: 'Whether it is called; a reply of 410 switches it off' }),
  failures: Type.Integer({ description: 'Failed attempts in a row; of those made side by side one counts' }),
  paused_until: nullable(
    Type.String({ format: 'date-time', description: 'After many failures no attempt is made before this' }),
  ),
  created_at: timestamp,
  updated_at: nullable(timestamp),
}

const endpointExample = {
  id: '0197c0de-0000-7000-8000-000000000003',
  url: 'https://hooks.example.com/roster',
  description: 'Billing',
  event_types: ['user.*'],
  is_active: true,
  failures: 0,
  paused_until: null,
  created_at: '2026-01-31T10:00:00.000Z',
  updated_at: null,
}

export const EndpointSchema = Type.Object(endpointFields, {
  $id: 'WebhookEndpoint',
  additionalProperties: false,
  description: 'A webhook endpoint as it is now.',
  examples: [endpointExample],
})

export const EndpointListSchema = Type.Object(
  { items: Type.Array(Type.Object(endpointFields, { additionalProperties: false })) },
  {
    $id: 'WebhookEndpointList',
    additionalProperties: false,
    description: 'All webhook endpoints.',
    examples: [{ items: [endpointExample] }],
  },
)

export const EndpointWithSecretSchema = Type.Object(
  { ...endpointFields, secret: Type.String({ description: 'Shown once. `whsec_` and base64' }) },
  {
    $id: 'WebhookEndpointWithSecret',
    additionalProperties: false,
    description: 'A webhook endpoint with its new secret, which is not shown again.',
    examples: [{ ...endpointExample, secret: 'whsec_…' }],
  },
)

const DeliverySchema = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    event_id: Type.String({ format: 'uuid' }),
    event_type: Type.String(),
    sequence: Type.Integer(),
    state: Type.Union([Type.Literal('pending'), Type.Literal('delivered'), Type.Literal('dead')]),
    attempts: Type.Integer(),
    next_attempt_at: nullable(timestamp),
    last_status: nullable(Type.Integer({ description: 'HTTP status of the last attempt' })),
    last_error: nullable(Type.String()),
    last_duration_ms: nullable(Type.Integer()),
    created_at: timestamp,
    finished_at: nullable(timestamp),
  },
  { additionalProperties: false },
)

export const DeliveryListSchema = Type.Object(
  {
    items: Type.Array(DeliverySchema),
    next_before: nullable(Type.String({ format: 'uuid', description: '`before` of the next page' })),
  },
  {
    $id: 'WebhookDeliveryList',
    additionalProperties: false,
    description: 'A page of the delivery log.',
    examples: [
      {
        items: [
          {
            id: '0197c0de-0000-7000-8000-000000000004',
            event_id: '0197c0de-0000-7000-8000-000000000001',
            event_type: 'user.username_updated',
            sequence: 1234,
            state: 'pending',
            attempts: 1,
            next_attempt_at: '2026-01-31T10:00:05.000Z',
            last_status: 503,
            last_error: 'answered 503',
            last_duration_ms: 120,
            created_at: '2026-01-31T10:00:00.000Z',
            finished_at: null,
          },
        ],
        next_before: null,
      },
    ],
  },
)

export const PingSchema = Type.Object(
  {
    delivered: Type.Boolean(),
    status: nullable(Type.Integer()),
    error: nullable(Type.String()),
    duration_ms: Type.Integer(),
  },
  {
    $id: 'WebhookTest',
    additionalProperties: false,
    description: 'What came of the test message.',
    examples: [{ delivered: false, status: 404, error: 'answered 404', duration_ms: 85 }],
  },
)

export const RedeliveredSchema = Type.Object(
  { redelivered: Type.Integer({ description: 'How many deliveries are due again' }) },
  {
    $id: 'WebhookRedelivered',
    additionalProperties: false,
    description: 'The messages are sent soon; the delivery log tells what came of them.',
    examples: [{ redelivered: 1 }],
  },
)

export type NewEndpoint = Static<typeof NewEndpointSchema>
export type EndpointChanges = Static<typeof EndpointChangesSchema>
export type Endpoint = Static<typeof EndpointSchema>
export type EndpointWithSecret = Static<typeof EndpointWithSecretSchema>
export type Delivery = Static<typeof DeliverySchema>
export type Ping = Static<typeof PingSchema>
