import { type Static, Type } from 'typebox'
import { nullable } from '../../../http/schemas.ts'
import { eventTypePattern } from '../envelope.ts'

const EventTypes = Type.Array(Type.String({ pattern: eventTypePattern, maxLength: 100 }), {
  minItems: 1,
  maxItems: 50,
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
  { $id: 'WebhookEndpointChanges', additionalProperties: false, minProperties: 1 },
)

const endpointFields = {
  id: Type.String({ format: 'uuid' }),
  url: Type.String(),
  description: Type.String(),
  event_types: Type.Array(Type.String()),
  is_active: Type.Boolean(),
  failures: Type.Integer({ description: 'Failed attempts in a row' }),
  paused_until: nullable(Type.String({ format: 'date-time', description: 'After many failures' })),
  created_at: timestamp,
  updated_at: nullable(timestamp),
}

export const EndpointSchema = Type.Object(endpointFields, {
  $id: 'WebhookEndpoint',
  additionalProperties: false,
})

export const EndpointListSchema = Type.Object(
  { items: Type.Array(Type.Object(endpointFields, { additionalProperties: false })) },
  { $id: 'WebhookEndpointList', additionalProperties: false },
)

export const EndpointWithSecretSchema = Type.Object(
  { ...endpointFields, secret: Type.String({ description: 'Shown once. `whsec_` and base64' }) },
  { $id: 'WebhookEndpointWithSecret', additionalProperties: false },
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
  { $id: 'WebhookDeliveryList', additionalProperties: false },
)

export const PingSchema = Type.Object(
  {
    delivered: Type.Boolean(),
    status: nullable(Type.Integer()),
    error: nullable(Type.String()),
    duration_ms: Type.Integer(),
  },
  { $id: 'WebhookTest', additionalProperties: false },
)

export const RedeliveredSchema = Type.Object(
  { redelivered: Type.Integer() },
  { $id: 'WebhookRedelivered', additionalProperties: false },
)

export type NewEndpoint = Static<typeof NewEndpointSchema>
export type EndpointChanges = Static<typeof EndpointChangesSchema>
export type Endpoint = Static<typeof EndpointSchema>
export type EndpointWithSecret = Static<typeof EndpointWithSecretSchema>
export type Delivery = Static<typeof DeliverySchema>
export type Ping = Static<typeof PingSchema>
