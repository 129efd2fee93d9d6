import type { News } from '../../db/news.ts'
import type { Store } from '../../db/store.ts'
import type { Principal } from '../../http/principal.ts'
import { ProblemError } from '../../http/problems.ts'
import type { Clock } from '../../lib/clock.ts'
import { loadingCache } from '../../lib/loading-cache.ts'
import { defaultRole, expandPermissions } from '../access/index.ts'
import { type TokenSettings, type VerifiedToken, verifyAccessToken } from './access-token.ts'
import type { ActivityLog, ActivitySlot } from './activity.ts'
import { findPrincipal, type PrincipalRow } from './repo.ts'
import type { KeyRing } from './signing-keys.ts'

export type Authenticator = {
  /**
   * Who an access token acts as: at once where the token and its session are known, else after asking the
   * database.
   * @throws ProblemError invalid_token, also when the session, its user or its signing key is gone
   */
  authenticate(token: string): Principal | Promise<Principal>
  /** Who a living session acts as, for our own pages, which know it without a token; undefined where it has ended. */
  authenticateSession(sessionId: string): Promise<Principal | undefined>
  /** Whose token it is, whether their session lives or not; undefined where it was not issued here, or has expired. */
  ownerOf(token: string): Promise<string | undefined>
  /** What the database says of a session now. */
  loadPrincipal(sessionId: string): Promise<PrincipalRow | undefined>
}

/** A session that this process believes in, until it hears otherwise. */
type LiveSession = { principal: Principal; believed: boolean; loadedAt: number; activity: ActivitySlot }

type KnownToken = VerifiedToken & { token: string; session: LiveSession }

const tokensKept = 20_000
/** 240 bits of a signature. */
const keyLength = 40
const sessionsKept = 50_000
/** Milliseconds; only a bound on what a forgotten announcement could do. */
const lifetime = 30_000

/**
 * Authentication without a query per request. A token is verified once; then a map leads from it to its
 * session, and a session is believed until an announcement (logout, deactivation, role change …) says
 * otherwise, its token expires, or news stops coming through: then every request asks the database.
 */
export function createAuthenticator(deps: {
  store: Store
  news: News
  keys: KeyRing
  clock: Clock
  tokens: TokenSettings
  activity: ActivityLog
  /** A role that demands no second factor here, whatever it says. */
  mfaExemptRole?: string | undefined
}): Authenticator {
  const { store, news, clock, activity } = deps
  const tokens = createTokenMap()
  const sessionsOf = new Map<string, Set<string>>()
  const sessions = loadingCache<LiveSession>({
    max: sessionsKept,
    ttl: lifetime,
    load: loadSession,
    onKeep({ principal: { userId, sessionId } }) {
      const ofUser = sessionsOf.get(userId)
      if (ofUser) ofUser.add(sessionId)
      else sessionsOf.set(userId, new Set([sessionId]))
    },
    onDrop(session) {
      session.believed = false
      const { userId, sessionId } = session.principal
      const ofUser = sessionsOf.get(userId)
      ofUser?.delete(sessionId)
      if (ofUser?.size === 0) sessionsOf.delete(userId)
    },
  })

  const loadPrincipal = (sessionId: string) =>
    findPrincipal(store.db, sessionId, clock.now(), deps.mfaExemptRole ?? null)

  async function loadSession(sessionId: string): Promise<LiveSession | undefined> {
    const row = await loadPrincipal(sessionId)
    if (!row) return undefined
    return {
      principal: toPrincipal(row),
      believed: true,
      loadedAt: performance.now(),
      activity: activity.slot(row.user_id, sessionId),
    }
  }

  function forgetEverything() {
    sessions.clear()
    tokens.clear()
  }

  news.subscribe({
    heard(announcement) {
      if (announcement.kind === 'session') sessions.drop(announcement.id)
      else if (announcement.kind === 'user') {
        for (const id of [...(sessionsOf.get(announcement.id) ?? [])]) sessions.drop(id)
        sessions.dropLoads() // whose they are is not known yet
      } else if (announcement.kind === 'access' || announcement.kind === 'keys') forgetEverything()
    },
    missed: forgetEverything,
  })

  async function authenticateSlowly(token: string): Promise<Principal> {
    const trusting = news.isCurrent(performance.now())
    const verified =
      (trusting ? tokens.get(token) : undefined) ??
      (await verifyAccessToken(deps.keys, deps.tokens, token, clock.now(), { askForKey: !trusting }))
    if (!verified || verified.expiresAt <= clock.now().getTime()) throw new ProblemError('invalid_token')
    const session = await (trusting ? sessions.get(verified.sessionId) : loadSession(verified.sessionId))
    if (session?.principal.userId !== verified.userId) throw new ProblemError('invalid_token')
    // A session that was dropped while it loaded is not kept: no announcement would ever reach it.
    if (trusting && sessions.peek(verified.sessionId) === session) tokens.set({ ...verified, token, session })
    activity.seen(session.activity, clock.now().getTime())
    return session.principal
  }

  return {
    loadPrincipal,
    async ownerOf(token) {
      const askForKey = !news.isCurrent(performance.now())
      const verified = await verifyAccessToken(deps.keys, deps.tokens, token, clock.now(), { askForKey })
      return verified && verified.expiresAt > clock.now().getTime() ? verified.userId : undefined
    },
    async authenticateSession(sessionId) {
      const trusting = news.isCurrent(performance.now())
      const session = await (trusting ? sessions.get(sessionId) : loadSession(sessionId))
      if (session) activity.seen(session.activity, clock.now().getTime())
      return session?.principal
    },
    authenticate(token) {
      const known = tokens.get(token)
      if (known === undefined) return authenticateSlowly(token)
      const { session } = known
      const now = clock.now().getTime()
      const ticks = performance.now()
      if (
        !session.believed ||
        known.expiresAt <= now ||
        ticks - session.loadedAt > lifetime ||
        !news.isCurrent(ticks)
      ) {
        return authenticateSlowly(token)
      }
      activity.seen(session.activity, now)
      return session.principal
    },
  }
}

/**
 * Tokens by the end of their signature: hashing all of a token's 600 characters would cost more than the rest
 * of the look-up, and comparing them costs next to nothing. Where it is full the oldest goes.
 */
function createTokenMap() {
  const tokens = new Map<string, KnownToken>()
  return {
    get(token: string): KnownToken | undefined {
      const known = tokens.get(token.slice(-keyLength))
      return known?.token === token ? known : undefined
    },
    set(known: KnownToken): void {
      tokens.set(known.token.slice(-keyLength), known)
      if (tokens.size <= tokensKept) return
      for (const oldest of tokens.keys()) {
        tokens.delete(oldest)
        break
      }
    },
    clear: () => tokens.clear(),
  }
}

function toPrincipal(row: PrincipalRow): Principal {
  return {
    userId: row.user_id,
    sessionId: row.session_id,
    roles: [...row.granted_roles, defaultRole].sort(),
    permissions: expandPermissions(row.permissions),
    assuranceLevel: row.assurance_level,
    authenticatedAt: row.authenticated_at,
    secondFactorAt: row.second_factor_at,
    mfaEnabled: row.mfa_enabled,
    enrolmentDue: row.enrolment_due,
  }
}
