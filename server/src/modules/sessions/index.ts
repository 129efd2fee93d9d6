export type { TokenSettings } from './access-token.ts'
export { type ActivityLog, createActivityLog } from './activity.ts'
export { type Authenticator, createAuthenticator } from './authenticator.ts'
export { BrowserHeaders, type BrowserMode, createBrowserMode } from './browser-mode.ts'
export { describeDevice } from './device.ts'
export { introspectionRoute } from './introspection.ts'
export { sessionJobs } from './jobs.ts'
export { exportDevices, noteDevice } from './known-devices.ts'
export type { SessionState } from './repo.ts'
export { jwksRoute, sessionRoutes } from './routes.ts'
export { RevokedSchema, SessionListSchema, TokensSchema } from './schemas.ts'
export {
  createSessions,
  type EndReason,
  type SessionProof,
  type Sessions,
  type StartedSession,
  type Tokens,
} from './service.ts'
export { createKeyRing, type KeyRing } from './signing-keys.ts'
export { createTokensReply, type ReplyWithTokens } from './tokens-reply.ts'
