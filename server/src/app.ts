import cookie from '@fastify/cookie'
import type { Config } from './config.ts'
import { migrationStatus } from './db/migrate.ts'
import { deliveryRoutes, messageRoutes } from './delivery/index.ts'
import { profileUpdateDialect } from './dialects/profile-update.ts'
import { userTemplateDialect } from './dialects/user-template.ts'
import { addGuard } from './http/guard.ts'
import { createProblemReport } from './http/problem-report.ts'
import type { OnUndeclared } from './http/responses.ts'
import { createServer } from './http/server.ts'
import type { App } from './http/types.ts'
import { accessRoutes } from './modules/access/index.ts'
import { accountRoutes } from './modules/account/index.ts'
import { administrationRoutes } from './modules/administration/index.ts'
import { auditRoutes, recordRefusals } from './modules/audit/index.ts'
import { authRoutes } from './modules/auth/index.ts'
import { feedRoutes, webhookRoutes } from './modules/events/index.ts'
import {
  createBrowserMode,
  createTokensReply,
  introspectionRoute,
  jwksRoute,
  sessionRoutes,
} from './modules/sessions/index.ts'
import { settingRoutes } from './modules/settings/index.ts'
import { type Phase, type Probe, systemRoutes } from './modules/system/index.ts'
import { profileRoutes, subscriptionRoutes, usernameRoute, userRoutes } from './modules/users/index.ts'
import { pageRoutes } from './pages/index.ts'
import { createSharedRateLimitStore } from './redis/rate-limit-store.ts'
import type { Resources, Services } from './services.ts'
import { version } from './version.ts'

export type AppDeps = Resources & {
  services: Services
  phase: () => Phase
  /** What the service can do without, by what proves that it answers. */
  helpers?: Readonly<Record<string, Probe>>
  /** For a test: compiles every schema at the start. */
  eagerSchemas?: boolean
  /** For tests: makes undeclared replies fail, and tells of each. */
  onUndeclaredResponse?: OnUndeclared
}

/** Every plugin and module of the HTTP service, in order. */
export async function buildApp(deps: AppDeps): Promise<App> {
  const { config, clock, log, metrics, services, store } = deps
  const app = createServer({
    config,
    clock,
    log,
    metrics,
    version,
    ...(deps.redis && { rateLimitStore: createSharedRateLimitStore(deps.redis) }),
    ...(deps.eagerSchemas && { eagerSchemas: true }),
    ...(deps.onUndeclaredResponse && { onUndeclaredResponse: deps.onUndeclaredResponse }),
  })
  await app.register(cookie, { hook: false })
  addGuard(app, services.authenticator.authenticate, clock)
  recordRefusals(app, services)

  const browserMode = createBrowserMode(app, { ...config, pageSessionKey: services.pageSessionKey })
  const replyWithTokens = createTokensReply({ users: services.users, browserMode })
  systemRoutes(app, {
    config,
    clock,
    pool: store.pool,
    metrics,
    version,
    phase: deps.phase,
    migrations: () => migrationStatus(store.pool),
    ...(deps.helpers && { helpers: deps.helpers }),
  })
  if (config.role === 'worker') return app
  jwksRoute(app, '/.well-known/jwks.json', 'jwks', services.keys)
  const settings = accountSettings(config)
  await app.register(
    async (api: App) => {
      auditRoutes(api, services)
      feedRoutes(api, { store, ...services.events, authenticate: services.authenticator.authenticate })
      webhookRoutes(api, services.events)
      accessRoutes(api, services)
      userRoutes(api, services)
      profileRoutes(api, services)
      subscriptionRoutes(api, { ...services, subscriptions: config.subscriptions })
      settingRoutes(api, services)
      accountRoutes(api, services)
      sessionRoutes(api, { ...services, browserMode, replyWithTokens })
      await introspectionRoute(api, services)
      usernameRoute(api, services)
      messageRoutes(api, { ...services, optOuts: services.delivery.optOuts })
      authRoutes(api, { ...services, ...settings, browserMode, replyWithTokens })
      administrationRoutes(api, services)
    },
    { prefix: '/api/v1' },
  )
  await deliveryRoutes(app, { config, store, delivery: services.delivery })
  await pageRoutes(app, config, {
    ...services,
    ...settings,
    browserMode,
    reportProblem: createProblemReport({ metrics, log }),
  })
  await profileUpdateDialect(app, { ...services, ...settings })
  await userTemplateDialect(app, { ...services, ...settings })
  return app
}

const accountSettings = ({
  registration,
  registrationPrivacy,
  requireVerifiedEmail,
  eraseAfterDays,
  brandName,
}: Config) => ({
  registration,
  registrationPrivacy,
  requireVerifiedEmail,
  eraseAfterDays,
  brandName,
})
