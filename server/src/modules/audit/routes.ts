import { Type } from 'typebox'
import type { Store } from '../../db/store.ts'
import { principalOf } from '../../http/guard.ts'
import { ProblemError } from '../../http/problems.ts'
import { idParams, problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import type { Clock } from '../../lib/clock.ts'
import { listActivity } from './activity.ts'
import { appendAudit } from './append.ts'
import { exportAudit } from './export.ts'
import { listAudit, readFilter } from './list.ts'
import { originOf } from './origin.ts'
import {
  ActivitySchema,
  AuditEntrySchema,
  AuditListSchema,
  AuditQuerySchema,
  auditFilters,
  PagingSchema,
  VerificationRequestSchema,
  VerificationSchema,
} from './schemas.ts'
import { parseHead } from './seal-format.ts'
import type { Sealer } from './sealer.ts'
import { type AuditVerification, verifyAudit } from './verify.ts'

export type AuditDeps = {
  store: Store
  clock: Clock
  cursorKey: Buffer
  auditKey: Buffer
  sealer: Sealer
  /** A later module’s. @throws ProblemError not_found */
  users: { readJson(id: string): Promise<string> }
}

export function auditRoutes(app: App, deps: AuditDeps): void {
  const schemas = [
    AuditEntrySchema,
    AuditListSchema,
    ActivitySchema,
    VerificationRequestSchema,
    VerificationSchema,
  ]
  for (const schema of schemas) app.addSchema(schema)
  const { store, clock, cursorKey, sealer } = deps
  const reading = { db: store.db, cursorKey }
  const verify = oneAtATime((head: string | undefined) =>
    verifyAudit(deps, { heads: knownHeads(sealer, head) }),
  )

  app.route({
    method: 'GET',
    url: '/audit',
    config: { access: { permission: 'audit:read' } },
    schema: {
      operationId: 'listAudit',
      tags: ['audit'],
      summary: 'Read the audit log',
      description: 'Newest first. Every filter narrows.',
      querystring: AuditQuerySchema,
      response: { 200: ref(AuditListSchema) },
    },
    handler(request) {
      const { limit = 20, cursor, ...query } = request.query
      return listAudit(reading, readFilter(query), { limit, cursor })
    },
  })

  app.route({
    method: 'GET',
    url: '/audit/export',
    config: { access: { permission: 'audit:read' }, rateLimit: 'export' },
    schema: {
      operationId: 'exportAudit',
      tags: ['audit'],
      summary: 'Export the audit log',
      description: 'All rows that the filters take, newest first, streamed. The export is itself recorded.',
      querystring: Type.Object(
        {
          ...auditFilters,
          format: Type.Optional(
            Type.Union([Type.Literal('ndjson'), Type.Literal('csv')], {
              default: 'ndjson',
              description: '`ndjson`: one JSON object a line; `csv`: with a header',
            }),
          ),
        },
        { additionalProperties: false },
      ),
      response: {
        200: {
          description: 'One JSON object a line, or CSV with a header',
          content: {
            'application/x-ndjson': { schema: Type.String() },
            'text/csv': { schema: Type.String() },
          },
        },
      },
    },
    async handler(request, reply) {
      const { format = 'ndjson', ...query } = request.query
      const filter = readFilter(query)
      await store.transact(trx =>
        appendAudit(trx, clock.now(), originOf(request), { action: 'audit.exported', details: { format } }),
      )
      return (
        reply
          .type(format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson')
          .header('content-disposition', `attachment; filename="audit.${format}"`)
          .header('cache-control', 'no-store')
          // The declared type is that of the text; Fastify sends streams as they are.
          .send(exportAudit(store.db, filter, format) as unknown as string)
      )
    },
  })

  app.route({
    method: 'POST',
    url: '/audit/verify',
    config: { access: { permission: 'audit:read' }, rateLimit: 'export' },
    schema: {
      operationId: 'verifyAudit',
      tags: ['audit'],
      summary: 'Verify the audit log',
      description:
        'Checks every row against its seal and the chain of seals, and names what was changed, deleted, put in ' +
        'or cut off. Takes about a minute for five million rows; callers that come meanwhile share the answer.',
      body: Type.Union([ref(VerificationRequestSchema), Type.Null()], { description: 'May be left out.' }),
      response: { 200: ref(VerificationSchema) },
    },
    async handler(request) {
      await sealer.seal()
      const result = await verify(request.body?.head)
      await store.transact(trx =>
        appendAudit(trx, clock.now(), originOf(request), {
          action: 'audit.verified',
          outcome: result.ok ? 'success' : 'failure',
          details: { rows: result.rows, seals: result.seals, problems: result.problems.length },
        }),
      )
      return result
    },
  })

  app.route({
    method: 'GET',
    url: '/users/me/activity',
    config: { access: 'self' },
    schema: {
      operationId: 'listMyActivity',
      tags: ['users'],
      summary: 'List what happened to one’s account',
      description: 'Sign-ins, failed ones too, and changes, newest first.',
      querystring: PagingSchema,
      response: { 200: ref(ActivitySchema) },
    },
    handler(request) {
      const { limit = 20, cursor } = request.query
      return listActivity(reading, principalOf(request).userId, { limit, cursor })
    },
  })

  app.route({
    method: 'GET',
    url: '/users/:id/activity',
    config: { access: { permission: 'users:read' } },
    schema: {
      operationId: 'listUserActivity',
      tags: ['administration'],
      summary: 'List what happened to a user’s account',
      description: 'The same as the user sees. Who did it in person is in the audit log.',
      params: idParams('the user'),
      querystring: PagingSchema,
      response: { 200: ref(ActivitySchema), ...problemResponses('not_found') },
    },
    async handler(request) {
      const { id } = request.params
      const { limit = 20, cursor } = request.query
      await deps.users.readJson(id) // 404 where there is no such user
      return listActivity(reading, id, { limit, cursor })
    },
  })
}

/** What this process knows of the chain's end, and what the caller kept. @throws ProblemError validation_failed */
function knownHeads(sealer: Sealer, text: string | undefined) {
  const given = text === undefined ? undefined : parseHead(text)
  if (text !== undefined && !given) {
    throw new ProblemError('validation_failed', {
      errors: [{ path: '/head', code: 'head', message: 'head takes the head of an earlier verification' }],
    })
  }
  return [sealer.knownHead(), given].filter(head => head !== undefined)
}

/** A verification reads the whole log: those who ask for the same one while it runs get its result. */
function oneAtATime(run: (head: string | undefined) => Promise<AuditVerification>) {
  const running = new Map<string | undefined, Promise<AuditVerification>>()
  return (head: string | undefined): Promise<AuditVerification> => {
    const known = running.get(head)
    if (known) return known
    const mine = run(head).finally(() => running.delete(head))
    running.set(head, mine)
    return mine
  }
}
