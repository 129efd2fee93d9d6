import type { Exporter } from '../../db/exporter.ts'
import type { Store } from '../../db/store.ts'
import { principalOf } from '../../http/guard.ts'
import { sendJsonText } from '../../http/json-text.ts'
import { problemResponses, ref } from '../../http/schemas.ts'
import type { App } from '../../http/types.ts'
import type { Clock } from '../../lib/clock.ts'
import { appendAudit, originOf } from '../audit/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { countOwnSettings } from '../settings/index.ts'
import { readOwnStats } from '../users/index.ts'
import { ExportSchema, StatsSchema } from './schemas.ts'

export type AccountDeps = { store: Store; clock: Clock; sessions: Sessions; exporters: readonly Exporter[] }

/** What a user learns of their own account as a whole. */
export function accountRoutes(app: App, deps: AccountDeps): void {
  const { store, clock, sessions } = deps
  app.addSchema(StatsSchema)
  app.addSchema(ExportSchema)

  app.route({
    method: 'GET',
    url: '/users/me/stats',
    config: { access: 'self' },
    schema: {
      operationId: 'getStats',
      tags: ['users'],
      summary: 'Read one’s own statistics',
      description: 'How complete the profile is and what is missing, and figures about the account.',
      response: { 200: ref(StatsSchema), ...problemResponses('not_found') },
    },
    async handler(request) {
      const { userId, sessionId } = principalOf(request)
      const [own, active, settings_changed] = await Promise.all([
        readOwnStats(store.db, userId, clock.now()),
        sessions.list(userId, sessionId),
        countOwnSettings(store.db, userId),
      ])
      return { ...own, active_sessions: active.length, settings_changed }
    },
  })

  app.route({
    method: 'GET',
    url: '/users/me/export',
    config: { access: 'self', rateLimit: 'export' },
    schema: {
      operationId: 'exportOwnData',
      tags: ['users'],
      summary: 'Export one’s own data',
      description: 'Everything held about the signed-in user, as one JSON file. Secrets are not part of it.',
      response: { 200: ref(ExportSchema), ...problemResponses('not_found') },
    },
    async handler(request, reply) {
      const { userId, sessionId } = principalOf(request)
      const parts: Record<string, unknown> = { exported_at: clock.now().toISOString() }
      for (const exporter of deps.exporters)
        Object.assign(parts, await exporter(store.db, userId, clock.now()))
      parts.sessions = await sessions.list(userId, sessionId)
      await store.transact(trx =>
        appendAudit(trx, clock.now(), originOf(request), {
          action: 'user.exported',
          subject: { type: 'user', id: userId },
        }),
      )
      reply.header('content-disposition', 'attachment; filename="my-data.json"')
      return sendJsonText(reply, JSON.stringify(parts, null, 2))
    },
  })
}
