import { Type } from 'typebox'
import { idOf, idParams, pageParameters, problemResponses, ref } from '../http/schemas.ts'
import type { App } from '../http/types.ts'
import { originOf } from '../modules/audit/index.ts'
import { listMessages, type MessageDeps, retryMessage, sendSms } from './administration.ts'
import { MessageListSchema, MessageSchema, SmsSendSchema, StateSchema } from './schemas.ts'

const tags = ['messages']

/** Undelivered messages, and text messages in an operator's own words; under /api/v1. */
export function messageRoutes(app: App, deps: MessageDeps): void {
  for (const schema of [MessageSchema, MessageListSchema, SmsSendSchema]) app.addSchema(schema)

  app.route({
    method: 'GET',
    url: '/messages',
    config: { access: { permission: 'mail:manage' } },
    schema: {
      operationId: 'listMessages',
      tags,
      summary: 'Mail and text messages, and what became of them',
      description:
        'Newest first, without what they say. `state=dead` lists those that were given up after every attempt.',
      querystring: Type.Object(
        {
          state: Type.Optional(StateSchema),
          ...pageParameters(50),
        },
        { additionalProperties: false },
      ),
      response: { 200: ref(MessageListSchema) },
    },
    handler: ({ query: { state, limit = 50, cursor } }) => listMessages(deps, { state }, { limit, cursor }),
  })

  app.route({
    method: 'POST',
    url: '/messages/:id/retry',
    config: { access: { permission: 'mail:manage' } },
    schema: {
      operationId: 'retryMessage',
      tags,
      summary: 'Send a dead message after all',
      description:
        'Queues it again, with all its attempts. 409 where it is not dead, or where its code or link no longer works.',
      params: idParams('the message'),
      response: { 200: ref(MessageSchema), ...problemResponses('not_found', 'conflict') },
    },
    handler: request => retryMessage(deps, originOf(request), request.params.id),
  })

  app.route({
    method: 'POST',
    url: '/twilio/sms/send',
    config: { access: { permission: 'sms:send' } },
    schema: {
      operationId: 'sendSms',
      tags,
      summary: 'Send a text message',
      description: 'Queued, then sent by the configured provider. `GET /messages` shows what became of it.',
      body: ref(SmsSendSchema),
      response: {
        202: Type.Object({ id: idOf('the message') }, { description: 'The message is queued.' }),
        ...problemResponses('sms_opted_out', 'sms_unavailable'),
      },
    },
    async handler(request, reply) {
      const id = await sendSms(deps, originOf(request), request.body)
      return reply.code(202).send({ id })
    },
  })
}
