import type { Logger } from 'pino'
import type { Config } from './config.ts'
import type { Exporter } from './db/exporter.ts'
import type { News } from './db/news.ts'
import type { Store } from './db/store.ts'
import {
  createDelivery,
  type Delivery,
  eraseMessages,
  exportMessages,
  type Outbound,
} from './delivery/index.ts'
import type { Vault } from './encryption/index.ts'
import type { PasswordHasher } from './hashing/pool.ts'
import type { Metrics } from './http/metrics.ts'
import type { Clock } from './lib/clock.ts'
import { deriveKey } from './lib/secrets.ts'
import { adminRole } from './modules/access/index.ts'
import type { AdministrationDeps } from './modules/administration/index.ts'
import {
  type AuditDeps,
  createActivityExporter,
  createSealer,
  eraseFromAudit,
} from './modules/audit/index.ts'
import {
  type AdministratorDeps,
  type ContactCounter,
  createEmailChangeCounter,
} from './modules/auth/index.ts'
import { createEvents, type Events, eraseFromEvents, exportEvents } from './modules/events/index.ts'
import {
  createFactors,
  createPasskeys,
  exportFactors,
  type Factors,
  type Passkeys,
} from './modules/factors/index.ts'
import { createLockout, type Lockout } from './modules/lockout/index.ts'
import {
  type ActivityLog,
  type Authenticator,
  createActivityLog,
  createAuthenticator,
  createKeyRing,
  createSessions,
  exportDevices,
  type KeyRing,
  type Sessions,
} from './modules/sessions/index.ts'
import {
  createSettings,
  eraseFromSettings,
  exportSettings,
  type Settings,
  wantsMail,
} from './modules/settings/index.ts'
import {
  createNobodysHashes,
  createReservedUsernames,
  createUsernameCounter,
  createUserReader,
  exportUser,
  type NobodysHashes,
  type UsernameCounter,
  type UserReader,
} from './modules/users/index.ts'
import { createCodeCounter, createVerification, type Verification } from './modules/verification/index.ts'
import type { RedisClient } from './redis/client.ts'
import { createSharedUsers } from './redis/shared-users.ts'
import { version } from './version.ts'
import { type Dependencies, loopLog } from './watch/index.ts'

/** What main.ts opens once per process. */
export type Resources = {
  config: Config
  clock: Clock
  log: Logger
  store: Store
  news: News
  hasher: PasswordHasher
  metrics: Metrics
  vault: Vault
  dependencies: Dependencies
  redis?: RedisClient
}

/** What the modules offer each other and the routes. */
export type Services = AdministratorDeps &
  AuditDeps &
  AdministrationDeps & {
    keys: KeyRing
    users: UserReader
    nobodysHashes: NobodysHashes
    settings: Settings
    exporters: readonly Exporter[]
    activity: ActivityLog
    /** ERASE_AFTER_DAYS */
    eraseAfterDays: number
    authenticator: Authenticator
    sessions: Sessions
    verification: Verification
    /** Seals registrations that wait in the job queue. */
    registrationKey: Buffer
    /** Proves the cookie by which our own pages know a session. */
    pageSessionKey: Buffer
    countEmailChange: ContactCounter
    countUsernameChange: UsernameCounter
    delivery: Delivery
    events: Events
    outbound: Outbound
    vault: Vault
    factors: Factors
    passkeys: Passkeys
    lockout: Lockout
    requireVerifiedEmail: boolean
  }

export function createServices(resources: Resources): Services {
  const { config, clock, log, store, news, hasher, metrics, vault, dependencies, redis } = resources
  // Every key is derived from the root, which stays when ENCRYPTION_KEY changes.
  const { root } = vault
  const tokens = {
    issuer: config.publicUrl,
    audience: config.publicUrl,
    lifetime: config.accessTokenMinutes * 60,
  }
  const users = createUserReader({ store, news, clock, shared: redis && createSharedUsers(redis) })
  const keys = createKeyRing({
    store,
    news,
    clock,
    vault,
    algorithm: config.jwtAlgorithm,
    secret: config.jwtSecretKey,
    tokenLifetime: tokens.lifetime * 1000,
  })
  const activity = createActivityLog({
    store,
    written: users.forget,
    ...loopLog(log, 'writing down who is active'),
  })
  const authenticator = createAuthenticator({
    store,
    news,
    keys,
    clock,
    tokens,
    activity,
    mfaExemptRole: config.environment === 'development' ? adminRole : undefined,
  })
  const delivery = createDelivery({ config, vault, clock, log, store, metrics, wantsMail })
  const sessions = createSessions({
    store,
    clock,
    keys,
    authenticator,
    outbound: delivery.outbound,
    tokens,
    refreshKey: deriveKey(root, 'refresh tokens'),
    refreshDays: config.refreshTokenDays,
    maxDays: config.sessionMaxDays,
  })
  const verification = createVerification({
    store,
    clock,
    key: deriveKey(root, 'one-time codes'),
    quota: { hourly: config.otpHourlyLimit, daily: config.otpDailyLimit },
    publicUrl: config.publicUrl,
    count: createCodeCounter(metrics.registry),
  })
  const lockout = createLockout({
    store,
    clock,
    key: deriveKey(root, 'failed attempts'),
    addressLimit: config.environment === 'development' ? 1000 : 100,
  })
  const factors = createFactors({
    store,
    vault,
    verification,
    outbound: delivery.outbound,
    issuer: config.brandName,
  })
  const passkeys = createPasskeys({ store, clock, ...config, rpName: config.brandName })
  const auditKey = deriveKey(root, 'audit seals')
  return {
    store,
    clock,
    hasher,
    passwordPolicy: config.passwordPolicy,
    isReservedUsername: createReservedUsernames(config.reservedUsernames),
    setupKey: deriveKey(root, 'set-up code'),
    cursorKey: deriveKey(root, 'cursors'),
    auditKey,
    erasers: [eraseFromAudit, eraseFromEvents, eraseMessages, eraseFromSettings],
    exporters: [
      exportUser,
      exportSettings,
      exportDevices,
      exportFactors,
      createActivityExporter(deriveKey(root, 'cursors')),
      exportMessages,
      exportEvents,
    ],
    unlockers: [(trx, _at, user) => lockout.unlock(trx, user.id)],
    eraseAfterDays: config.eraseAfterDays,
    sealer: createSealer({ store, clock, auditKey, dataDir: config.dataDir, log }),
    keys,
    users,
    nobodysHashes: createNobodysHashes({ store, news, key: deriveKey(root, "nobody's hashes") }),
    settings: createSettings({ store, news, clock }),
    activity,
    authenticator,
    sessions,
    verification,
    registrationKey: deriveKey(root, 'private registrations'),
    pageSessionKey: deriveKey(root, 'page sessions'),
    countEmailChange: createEmailChangeCounter(metrics.registry),
    countUsernameChange: createUsernameCounter(metrics.registry),
    delivery,
    events: createEvents({
      config,
      vault,
      store,
      clock,
      log,
      registry: metrics.registry,
      dependencies,
      version,
    }),
    outbound: delivery.outbound,
    vault,
    factors,
    passkeys,
    lockout,
    requireVerifiedEmail: config.requireVerifiedEmail,
  }
}
