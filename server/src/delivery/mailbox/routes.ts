import { Type } from 'typebox'
import { ProblemError } from '../../http/problems.ts'
import { problemResponses, ref } from '../../http/schemas.ts'
import { sendPage } from '../../http/security-headers.ts'
import type { App } from '../../http/types.ts'
import { isLoopbackUrl } from '../../lib/loopback.ts'
import { MailboxMessageSchema, MailboxSchema } from '../schemas.ts'
import { listPage, messagePage, style } from './page.ts'
import type { Mailbox } from './read.ts'

const hidden = { schema: { hide: true }, config: { access: 'public' as const } }

const hint = 'The mailbox answers to names of this machine alone, such as localhost.'

/** A mail, framed: it may show pictures and its own styles, open links beside itself, and do nothing else. */
const framedPolicy = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  'img-src https: http: data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
  'sandbox allow-popups allow-popups-to-escape-sandbox',
].join('; ')

/**
 * The mailbox as a page and as JSON, at the root of the server, in a scope of its own. For development only: whoever
 * reaches it reads everybody's codes. So no page of another origin gets at it: none may read it by CORS, and none that
 * makes its own name lead to this machine (DNS rebinding), since it answers to local names alone.
 */
export function mailboxRoutes(app: App, mailbox: Mailbox): void {
  app.withoutCors('/dev/mailbox')
  app.addHook('onRequest', (request, _reply, done) =>
    done(
      isLoopbackUrl(`http://${request.headers.host}`)
        ? undefined
        : new ProblemError('forbidden', { detail: hint }),
    ),
  )
  for (const schema of [MailboxMessageSchema, MailboxSchema]) app.addSchema(schema)
  jsonRoute(app, mailbox)

  app.get('/dev/mailbox', hidden, async (request, reply) => {
    // A hidden route has no schema; the parser makes an object of texts and lists.
    const { to } = request.query as Record<string, unknown>
    const recipient = typeof to === 'string' && to.trim() !== '' ? to.trim() : undefined
    return sendPage(reply, listPage(await mailbox.list({ to: recipient, limit: 100 }), recipient))
  })

  app.get('/dev/mailbox.css', hidden, (_request, reply) =>
    reply.type('text/css; charset=utf-8').header('cache-control', 'public, max-age=60').send(style),
  )

  const OneMessage = {
    ...hidden,
    schema: { hide: true, params: Type.Object({ id: Type.String({ format: 'uuid' }) }) },
  }
  const find = async (id: string) => {
    const message = await mailbox.find(id)
    if (!message) throw new ProblemError('not_found')
    return message
  }

  app.get('/dev/mailbox/:id', OneMessage, async (request, reply) =>
    sendPage(reply, messagePage(await find(request.params.id)), { frames: true }),
  )

  app.get('/dev/mailbox/:id/html', OneMessage, async (request, reply) => {
    const { html } = await find(request.params.id)
    if (html === null) throw new ProblemError('not_found')
    reply.header('content-security-policy', framedPolicy).header('referrer-policy', 'no-referrer')
    return reply.type('text/html; charset=utf-8').send(html)
  })
}

function jsonRoute(app: App, mailbox: Mailbox): void {
  app.route({
    method: 'GET',
    url: '/dev/mailbox.json',
    config: { access: 'public' },
    schema: {
      operationId: 'readMailbox',
      tags: ['messages'],
      summary: 'The mailbox of development',
      description:
        'Every mail and text message that would have been sent, newest first. Only with the mailbox as provider, and never in ' +
        'production. Only under a name of this machine, such as `localhost`, and not for pages of other origins.',
      querystring: Type.Object(
        {
          to: Type.Optional(Type.String({ maxLength: 320, description: 'Only messages to it' })),
          limit: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 500, default: 100, description: 'Most messages' }),
          ),
        },
        { additionalProperties: false },
      ),
      response: { 200: ref(MailboxSchema), ...problemResponses('forbidden') },
    },
    handler: async ({ query: { to, limit = 100 } }) => ({ items: await mailbox.list({ to, limit }) }),
  })
}
