import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Store } from '../../db/store.ts'
import { acceptForms } from '../../http/form-body.ts'
import { ProblemError } from '../../http/problems.ts'
import { idOf, NoBody, problemResponses } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import { escapeHtml } from '../../lib/html.ts'
import { phoneKey } from '../../lib/phone.ts'
import type { OptOuts } from '../opt-outs.ts'
import { statusPath } from '../providers/choose.ts'
import { noteProviderStatus } from '../repo.ts'
import { type Keyword, keywordOf } from './keywords.ts'

export type TwilioRouteDeps = {
  store: Store
  optOuts: OptOuts
  config: { publicUrl: string; brandName: string; twilioAuthToken: string | undefined }
}

const tags = ['messages']

const InboundSchema = Type.Object(
  { From: Type.String(), Body: Type.String(), OptOutType: Type.Optional(Type.String()) },
  { additionalProperties: true, examples: [{ From: '+12025550123', Body: 'STOP', OptOutType: 'STOP' }] },
)

const StatusSchema = Type.Object(
  { MessageSid: Type.String(), MessageStatus: Type.String(), ErrorCode: Type.Optional(Type.String()) },
  {
    additionalProperties: true,
    examples: [{ MessageSid: 'SM0123456789abcdef0123456789abcdef', MessageStatus: 'delivered' }],
  },
)

/** What Twilio calls: incoming messages, and what became of those that were sent. At the server's root. */
export async function twilioRoutes(app: App, deps: TwilioRouteDeps): Promise<void> {
  acceptForms(app)
  inboundRoute(app, deps)
  statusRoute(app, deps)
}

function inboundRoute(app: App, { optOuts, config }: TwilioRouteDeps): void {
  app.route({
    method: 'POST',
    url: '/twilio/sms/inbound',
    config: { access: 'public', rateLimit: false },
    bodyLimit: 16 * 1024,
    schema: {
      operationId: 'receiveSms',
      tags,
      consumes: ['application/x-www-form-urlencoded'],
      summary: 'An incoming text message, from Twilio',
      description:
        'STOP ends every text message to the number it comes from, START allows them again, HELP is answered. ' +
        'Only calls with Twilio’s signature are taken.',
      body: InboundSchema,
      response: {
        200: { description: 'TwiML.', content: { 'text/xml': { schema: Type.String() } } },
        ...problemResponses('invalid_signature', 'not_found'),
      },
    },
    async handler(request, reply) {
      await checkSignature(request, config)
      const { From, Body, OptOutType } = request.body
      const number = phoneKey(From)
      const keyword = keywordOf(OptOutType ?? Body)
      if (number !== null && keyword === 'stop') await optOuts.add(number)
      if (number !== null && keyword === 'start') await optOuts.remove(number)
      // With OptOutType, Twilio has answered in its own words.
      const answer =
        keyword === undefined || OptOutType !== undefined ? undefined : answerTo(keyword, config.brandName)
      return reply.type('text/xml; charset=utf-8').send(twiml(answer))
    },
  })
}

function statusRoute(app: App, { store, config }: TwilioRouteDeps): void {
  app.route({
    method: 'POST',
    url: statusPath,
    config: { access: 'public', rateLimit: false },
    bodyLimit: 16 * 1024,
    schema: {
      operationId: 'receiveSmsStatus',
      tags,
      consumes: ['application/x-www-form-urlencoded'],
      summary: 'What became of a text message, from Twilio',
      description: 'Noted with the message. Only calls with Twilio’s signature are taken.',
      querystring: Type.Object({ message_id: idOf('the message') }, { additionalProperties: false }),
      body: StatusSchema,
      response: { 204: NoBody, ...problemResponses('invalid_signature', 'not_found') },
    },
    async handler(request, reply) {
      await checkSignature(request, config)
      const { MessageStatus, ErrorCode } = request.body
      await noteProviderStatus(store.db, {
        id: request.query.message_id,
        status: MessageStatus.slice(0, 40),
        error: ErrorCode === undefined ? undefined : `Twilio error ${ErrorCode.slice(0, 20)}`,
      })
      return reply.code(204).send()
    },
  })
}

/**
 * Twilio signs the address it calls, as it knows it, and the form (X-Twilio-Signature, HMAC-SHA1 with the auth
 * token). The address is PUBLIC_URL's, never a request's host.
 */
async function checkSignature(request: FastifyRequest, config: TwilioRouteDeps['config']): Promise<void> {
  const { publicUrl, twilioAuthToken } = config
  if (twilioAuthToken === undefined) throw new ProblemError('not_found')
  const { validateRequest } = await import('twilio/lib/webhooks/webhooks.js')
  const signature = request.headers['x-twilio-signature']
  // The form parser makes nothing but texts.
  const form = request.body as Record<string, string>
  const valid =
    typeof signature === 'string' &&
    validateRequest(twilioAuthToken, signature, publicUrl + request.url, form)
  if (!valid) throw new ProblemError('invalid_signature')
}

/** STOP goes unanswered: what would be said to a number that wants no messages would not arrive. */
function answerTo(keyword: Keyword, brand: string): string | undefined {
  if (keyword === 'start') return `${brand}: you will get text messages again. Reply STOP to end them.`
  if (keyword === 'help') return `${brand}: codes and notices about your account. Reply STOP to end them.`
  return undefined
}

const twiml = (answer: string | undefined): string =>
  `<?xml version="1.0" encoding="UTF-8"?><Response>${
    answer === undefined ? '' : `<Message>${escapeHtml(answer)}</Message>`
  }</Response>`
