import type { Store, Tx } from '../../db/store.ts'
import type { Outbound } from '../../delivery/index.ts'
import { ProblemError } from '../../http/problems.ts'
import { inBatches, pageByPage } from '../../lib/batches.ts'
import { addTime, type Clock, days, seconds } from '../../lib/clock.ts'
import { nilUuid, uuidv7 } from '../../lib/ids.ts'
import { appendAudit, type Origin } from '../audit/index.ts'
import { appendEvent } from '../events/index.ts'
import { findUserRecord, lockUser } from '../users/index.ts'
import { issueAccessToken, type TokenSettings } from './access-token.ts'
import type { Authenticator } from './authenticator.ts'
import { type Device, describeDevice } from './device.ts'
import { firstRefreshToken, type RefreshToken, readRefreshToken, successorOf } from './refresh-token.ts'
import * as repo from './repo.ts'
import type { KeyRing } from './signing-keys.ts'

/** What a sign-in or refresh hands out, besides the user. */
export type Tokens = {
  access_token: string
  token_type: 'Bearer'
  /** Seconds */
  expires_in: number
  refresh_token: string
  /** Seconds */
  refresh_expires_in: number
  session_id: string
}

export type SessionView = Device & {
  id: string
  ip: string | null
  created_at: string
  last_used_at: string
  expires_at: string
  current: boolean
}

export type EndReason =
  | 'logout'
  | 'logout_all'
  | 'revoked'
  | 'password_changed'
  | 'password_reset'
  | 'email_updated'
  | 'email_update_undone'
  | 'email_verified'
  | 'phone_updated'
  | 'step_up'
  | 'mfa_changed'
  | 'account_deleted'
  | 'deactivated'
  | 'refresh_token_reused'

/** What somebody proved to start a session. */
export type SessionProof = {
  userId: string
  methods: string[]
  assuranceLevel: 'aal1' | 'aal2'
  /** When the second factor was proved, where that was not now. */
  secondFactorAt?: Date | null
}

/** A session that has been written but not yet committed, and the refresh token to hand out once it is. */
export type StartedSession = { id: string; refreshToken: RefreshToken }

export type Sessions = {
  /** Starts a session for somebody who just proved who they are. */
  start(trx: Tx, at: Date, origin: Origin, proof: SessionProof): Promise<StartedSession>
  /** Holds a living session of a user until `trx` ends; undefined where it has ended. Lock the user before. */
  hold(trx: Tx, at: Date, ask: { userId: string; sessionId: string }): Promise<repo.SessionState | undefined>
  /** Notes that a session has just proved a second factor as well. */
  raise(trx: Tx, at: Date, raise: { sessionId: string; methods: readonly string[] }): Promise<void>
  /** Tokens for a started session, after its commit. */
  tokensFor(session: StartedSession): Promise<Tokens & { user_id: string }>
  /**
   * Exchanges a refresh token (RFC 9700, section 4.14).
   * @throws ProblemError invalid_refresh_token, refresh_token_reused
   */
  refresh(text: string, origin: Origin): Promise<Tokens & { user_id: string }>
  /**
   * Ends the session of a refresh token, also of one that was replaced: whoever holds any of its chain may end it.
   * False where it is not that of a living session.
   */
  endByRefreshToken(origin: Origin, text: string, reason: EndReason): Promise<boolean>
  list(userId: string, currentId: string): Promise<SessionView[]>
  /** Ends one session of a user. False where the id is not that of a living one of theirs. */
  end(origin: Origin, userId: string, sessionId: string, reason: EndReason): Promise<boolean>
  /** Ends all sessions of a user, or all but one. Returns how many. */
  endAll(origin: Origin, userId: string, reason: EndReason, except?: string): Promise<number>
  /** The same as part of a change that has locked the user. */
  endAllWithin(
    trx: Tx,
    at: Date,
    origin: Origin,
    end: { userId: string; reason: EndReason; except?: string | undefined },
  ): Promise<number>
  /** Ends one session of a user as part of a change. */
  endOneWithin(
    trx: Tx,
    at: Date,
    origin: Origin,
    end: { userId: string; sessionId: string; reason: EndReason },
  ): Promise<number>
  /** Deletes what ended more than a day ago. */
  cleanUp(): Promise<void>
}

/** For so long after its rotation a refresh token still gets its successor, whatever became of that: two tabs. */
const grace = seconds(10)
/** And for so long while the successor is unused: its reply got lost, and clients wait 30 to 60 seconds for one. */
const lostReplyGrace = seconds(60)

export function createSessions(deps: {
  store: Store
  clock: Clock
  keys: KeyRing
  authenticator: Authenticator
  outbound: Outbound
  tokens: TokenSettings
  refreshKey: Buffer
  refreshDays: number
  /** SESSION_MAX_DAYS */
  maxDays: number
}): Sessions {
  const { store, clock, refreshKey } = deps
  const refreshLifetime = days(deps.refreshDays)
  const maxLifetime = days(deps.maxDays)

  async function start(trx: Tx, at: Date, origin: Origin, proof: SessionProof): Promise<StartedSession> {
    const id = uuidv7(at)
    const refreshToken = firstRefreshToken(refreshKey, id)
    repo.insertSession(trx, {
      id,
      user_id: proof.userId,
      created_at: at,
      last_used_at: at,
      expires_at: addTime(at, Math.min(refreshLifetime, maxLifetime)),
      ip: origin.ip ?? null,
      user_agent: origin.userAgent?.slice(0, 512) ?? null,
      assurance_level: proof.assuranceLevel,
      authentication_methods: proof.methods,
      authenticated_at: at,
      second_factor_at:
        'secondFactorAt' in proof ? proof.secondFactorAt : proof.assuranceLevel === 'aal2' ? at : null,
      refresh_hash: refreshToken.hash,
    })
    return { id, refreshToken }
  }

  async function tokensFor(
    { id, refreshToken }: StartedSession,
    ended: 'invalid_credentials' | 'invalid_refresh_token' = 'invalid_credentials',
  ): Promise<Tokens & { user_id: string }> {
    const principal = await deps.authenticator.loadPrincipal(id)
    if (!principal) throw new ProblemError(ended) // in the moment it began, or was refreshed
    const now = clock.now()
    const refresh_expires_in = Math.floor((principal.expires_at.getTime() - now.getTime()) / 1000)
    return {
      access_token: issueAccessToken(deps.keys, deps.tokens, principal, now),
      token_type: 'Bearer',
      expires_in: Math.min(deps.tokens.lifetime, refresh_expires_in),
      refresh_token: refreshToken.text,
      refresh_expires_in,
      session_id: id,
      user_id: principal.user_id,
    }
  }

  async function refresh(text: string, origin: Origin): Promise<Tokens & { user_id: string }> {
    const token = readRefreshToken(refreshKey, text)
    if (!token) throw new ProblemError('invalid_refresh_token')
    const successor = successorOf(refreshKey, token)
    const at = clock.now()
    const rotated = await repo.rotateRefreshToken(store.db, {
      sessionId: token.sessionId,
      from: token.hash,
      to: successor.hash,
      at,
      expiresAt: addTime(at, refreshLifetime),
      maxLifetime,
      rememberFrom: addTime(at, -grace),
      ip: origin.ip ?? null,
    })
    if (!rotated) await allowRepeat(token, at, origin)
    return tokensFor({ id: token.sessionId, refreshToken: successor }, 'invalid_refresh_token')
  }

  /** A genuine token that is no longer the valid one: harmless just after its rotation, theft later. */
  async function allowRepeat(token: RefreshToken, at: Date, origin: Origin): Promise<void> {
    const state = await repo.findRefreshState(store.db, token.sessionId, at)
    if (!state) throw new ProblemError('invalid_refresh_token')
    if (isHarmless(state, token, at)) return
    await store.transact(async trx => {
      const reused = { userId: state.user_id, only: token.sessionId, reason: 'refresh_token_reused' } as const
      const ended = await endWithin(trx, at, { ...origin, actorType: 'anonymous' }, reused, 'denied')
      if (ended > 0) await tellOfReuse(trx, at, state.user_id)
    })
    throw new ProblemError('refresh_token_reused')
  }

  async function endByRefreshToken(origin: Origin, text: string, reason: EndReason): Promise<boolean> {
    const token = readRefreshToken(refreshKey, text)
    const state = token && (await repo.findRefreshState(store.db, token.sessionId, clock.now()))
    if (!state) return false
    const { user_id: userId } = state
    const holder: Origin = { ...origin, actorType: 'user', actorId: userId, sessionId: token.sessionId }
    return end(holder, userId, token.sessionId, reason)
  }

  async function tellOfReuse(trx: Tx, at: Date, userId: string): Promise<void> {
    const user = await findUserRecord(trx, userId)
    if (!user) return
    await deps.outbound.mail(trx, {
      template: 'refresh_token_reused',
      to: user.email,
      locale: user.locale,
      userId,
      data: { name: user.full_name ?? user.username, at },
    })
  }

  /** Ends sessions with everything that belongs to it: audit, events, and the news to other processes. */
  async function endWithin(
    trx: Tx,
    at: Date,
    origin: Origin,
    end: { userId: string; reason: EndReason; only?: string; except?: string },
    outcome: 'success' | 'denied' = 'success',
  ): Promise<number> {
    const ids = await repo.revokeSessions(trx, { ...end, at })
    for (const id of ids) {
      await appendAudit(trx, at, origin, {
        action: end.reason === 'refresh_token_reused' ? 'session.refresh_token_reused' : 'session.revoked',
        outcome,
        subject: { type: 'user', id: end.userId },
        details: { session_id: id, reason: end.reason },
      })
      await appendEvent(trx, at, {
        type: 'session.revoked',
        userId: end.userId,
        data: { userId: end.userId, sessionId: id, reason: end.reason, revokedAt: at.toISOString() },
      })
      await store.announce(trx, { kind: 'session', id })
    }
    return ids.length
  }

  async function end(origin: Origin, userId: string, sessionId: string, reason: EndReason): Promise<boolean> {
    const ended = await store.transact(trx =>
      endWithin(trx, clock.now(), origin, { userId, only: sessionId, reason }),
    )
    return ended === 1
  }

  return {
    start,
    hold: (trx, at, ask) => repo.holdSession(trx, { ...ask, at }),
    async raise(trx, at, { sessionId, methods }) {
      await repo.raiseSession(trx, { sessionId, methods, at })
      await store.announce(trx, { kind: 'session', id: sessionId })
    },
    tokensFor: session => tokensFor(session),
    refresh,
    async list(userId, currentId) {
      const rows = await repo.listSessions(store.db, userId, clock.now())
      return rows.map(row => toView(row, currentId))
    },
    end,
    endByRefreshToken,
    endAll: (origin, userId, reason, except) =>
      store.transact(async trx => {
        // Whoever starts a session holds the user: one that is just being started ends as well.
        await lockUser(trx, userId)
        return endWithin(trx, clock.now(), origin, {
          userId,
          reason,
          ...(except !== undefined && { except }),
        })
      }),
    endAllWithin: (trx, at, origin, { userId, reason, except }) =>
      endWithin(trx, at, origin, { userId, reason, ...(except !== undefined && { except }) }),
    endOneWithin: (trx, at, origin, { userId, sessionId, reason }) =>
      endWithin(trx, at, origin, { userId, only: sessionId, reason }),
    async cleanUp() {
      const before = addTime(clock.now(), -days(1))
      await inBatches(limit => repo.deleteRevokedSessions(store.db, before, limit))
      const begunBefore = addTime(before, -refreshLifetime)
      await pageByPage(nilUuid, (after, limit) =>
        repo.deleteExpiredSessions(store.db, { after, begunBefore, before, limit }),
      )
    },
  }
}

/** Whether a token that was replaced may be shown again. A successor that is unused is the valid one of now. */
function isHarmless(state: repo.RefreshState, { generation }: RefreshToken, at: Date): boolean {
  const age = state.refresh_generation - generation
  const replacedAt = age >= 1 ? state.refresh_rotations.at(-age) : undefined
  if (replacedAt === undefined) return false
  return at.getTime() - replacedAt.getTime() <= (age === 1 ? lostReplyGrace : grace)
}

function toView(row: repo.SessionRow, currentId: string): SessionView {
  return {
    id: row.id,
    ...describeDevice(row.user_agent),
    ip: row.ip,
    created_at: row.created_at.toISOString(),
    last_used_at: row.last_used_at.toISOString(),
    expires_at: row.expires_at.toISOString(),
    current: row.id === currentId,
  }
}
