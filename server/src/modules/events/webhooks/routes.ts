import { Type } from 'typebox'
import { idOf, idParams, NoBody, pageParameters, problemResponses, ref } from '../../../http/schemas.ts'
import type { App } from '../../../http/types.ts'
import { originOf } from '../../audit/index.ts'
import {
  DeliveryListSchema,
  EndpointChangesSchema,
  EndpointListSchema,
  EndpointSchema,
  EndpointWithSecretSchema,
  NewEndpointSchema,
  PingSchema,
  RedeliveredSchema,
} from './schemas.ts'
import { mostAtOnce, type Webhooks } from './service.ts'

const tags = ['webhooks']
const config = { access: { permission: 'webhooks:manage' } }
const changing = { ...config, stepUp: 'highest' } as const
const EndpointId = idParams('the endpoint')
const notFound = problemResponses('not_found')

/** Webhook endpoints and their deliveries. */
export function webhookRoutes(app: App, { webhooks }: { webhooks: Webhooks }): void {
  for (const schema of [
    NewEndpointSchema,
    EndpointChangesSchema,
    EndpointSchema,
    EndpointListSchema,
    EndpointWithSecretSchema,
    DeliveryListSchema,
    PingSchema,
    RedeliveredSchema,
  ]) {
    app.addSchema(schema)
  }
  endpointRoutes(app, webhooks)
  secretRoutes(app, webhooks)
  deliveryRoutes(app, webhooks)
}

function endpointRoutes(app: App, webhooks: Webhooks): void {
  app.route({
    method: 'GET',
    url: '/webhooks',
    config,
    schema: {
      operationId: 'listWebhooks',
      tags,
      summary: 'List webhook endpoints',
      description: 'All of them, oldest first, without their secrets.',
      response: { 200: ref(EndpointListSchema) },
    },
    handler: async () => ({ items: await webhooks.list() }),
  })

  app.route({
    method: 'POST',
    url: '/webhooks',
    config: changing,
    schema: {
      operationId: 'createWebhook',
      tags,
      summary: 'Register a webhook endpoint',
      description:
        'It receives the events that its `event_types` name, from now on. The reply holds the secret that ' +
        'signs them (Standard Webhooks), which is shown only this once.',
      body: ref(NewEndpointSchema),
      response: { 201: ref(EndpointWithSecretSchema) },
    },
    async handler(request, reply) {
      return reply.code(201).send(await webhooks.create(originOf(request), request.body))
    },
  })

  app.route({
    method: 'GET',
    url: '/webhooks/:id',
    config,
    schema: {
      operationId: 'getWebhook',
      tags,
      summary: 'Read a webhook endpoint',
      description: 'Without its secret.',
      params: EndpointId,
      response: { 200: ref(EndpointSchema), ...notFound },
    },
    handler: request => webhooks.read(request.params.id),
  })

  app.route({
    method: 'PATCH',
    url: '/webhooks/:id',
    config: changing,
    schema: {
      operationId: 'updateWebhook',
      tags,
      summary: 'Change a webhook endpoint',
      description:
        'Takes any of the fields. One that is switched off keeps its place and goes on from there when it is ' +
        'switched on, as far as the events are still held; what was pending is due at once, unless it was given ' +
        'up meanwhile. With a new `url` what is pending is due there at once, and earlier failures do not count. ' +
        'What waits of types that are no longer among `event_types` is dropped.',
      params: EndpointId,
      body: ref(EndpointChangesSchema),
      response: { 200: ref(EndpointSchema), ...notFound },
    },
    handler: request => webhooks.update(originOf(request), request.params.id, request.body),
  })

  app.route({
    method: 'DELETE',
    url: '/webhooks/:id',
    config: changing,
    schema: {
      operationId: 'deleteWebhook',
      tags,
      summary: 'Remove a webhook endpoint',
      description: 'With its deliveries, those that are pending included.',
      params: EndpointId,
      response: { 204: NoBody, ...notFound },
    },
    async handler(request, reply) {
      await webhooks.remove(originOf(request), request.params.id)
      return reply.code(204).send()
    },
  })
}

function secretRoutes(app: App, webhooks: Webhooks): void {
  app.route({
    method: 'POST',
    url: '/webhooks/:id/rotate-secret',
    config: changing,
    schema: {
      operationId: 'rotateWebhookSecret',
      tags,
      summary: 'Give an endpoint a new secret',
      description: 'For 24 hours messages carry a signature of each of the two.',
      params: EndpointId,
      response: { 200: ref(EndpointWithSecretSchema), ...notFound },
    },
    handler: request => webhooks.rotateSecret(originOf(request), request.params.id),
  })

  app.route({
    method: 'POST',
    url: '/webhooks/:id/test',
    config,
    schema: {
      operationId: 'testWebhook',
      tags,
      summary: 'Send a test message',
      description: 'A signed `webhook.test` message, sent once and at once. The reply tells what came of it.',
      params: EndpointId,
      response: { 200: ref(PingSchema), ...notFound },
    },
    handler: request => webhooks.ping(request.params.id),
  })
}

function deliveryRoutes(app: App, webhooks: Webhooks): void {
  app.route({
    method: 'GET',
    url: '/webhooks/:id/deliveries',
    config,
    schema: {
      operationId: 'listWebhookDeliveries',
      tags,
      summary: 'Read the delivery log',
      description: 'Newest first. `dead`: given up after three days, or for a reply of 410.',
      params: EndpointId,
      querystring: Type.Object(
        {
          state: Type.Optional(
            Type.Union([Type.Literal('pending'), Type.Literal('delivered'), Type.Literal('dead')], {
              description: 'Only deliveries in it',
            }),
          ),
          before: Type.Optional(idOf('the last delivery of the page before')),
          limit: pageParameters(50).limit,
        },
        { additionalProperties: false },
      ),
      response: { 200: ref(DeliveryListSchema), ...notFound },
    },
    handler(request) {
      const { state, before, limit = 50 } = request.query
      return webhooks.deliveries(request.params.id, { state, before, limit })
    },
  })

  app.route({
    method: 'POST',
    url: '/webhooks/:id/deliveries/:delivery_id/redeliver',
    config,
    schema: {
      operationId: 'redeliverWebhook',
      tags,
      summary: 'Send a message again',
      description:
        'Whether it was delivered, given up or waits for its next attempt: it is due at once, after those of the ' +
        'same user that it waits for. It keeps its id, by which a receiver knows it. Refused where the endpoint is ' +
        'switched off or the event is no longer held.',
      params: Type.Object(
        { id: idOf('the endpoint'), delivery_id: idOf('the delivery') },
        { additionalProperties: false },
      ),
      response: { 202: ref(RedeliveredSchema), ...problemResponses('not_found', 'conflict') },
    },
    async handler(request, reply) {
      const { id, delivery_id } = request.params
      await webhooks.redeliver(originOf(request), id, delivery_id)
      return reply.code(202).send({ redelivered: 1 })
    },
  })

  app.route({
    method: 'POST',
    url: '/webhooks/:id/redeliver-dead',
    config,
    schema: {
      operationId: 'redeliverDeadWebhooks',
      tags,
      summary: 'Send again what was given up',
      description:
        `Each in its user’s order, as far as the events are still held; the oldest ${mostAtOnce.toLocaleString('en')} ` +
        'at a time, so ask again while the reply says so many. Refused where the endpoint is switched off.',
      params: EndpointId,
      response: { 202: ref(RedeliveredSchema), ...problemResponses('not_found', 'conflict') },
    },
    async handler(request, reply) {
      const redelivered = await webhooks.redeliverDead(originOf(request), request.params.id)
      return reply.code(202).send({ redelivered })
    },
  })
}
