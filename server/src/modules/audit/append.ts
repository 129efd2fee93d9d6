import { randomBytes } from 'node:crypto'
import type { Tx } from '../../db/store.ts'
import { uuidv7 } from '../../lib/ids.ts'
import { insertAuditEntry } from './repo.ts'

/** Who does something, and from where: what every audit row records of its maker. */
export type Origin = {
  /** `operator`: somebody at the machine's command line; `system`: the service itself. */
  actorType: 'user' | 'anonymous' | 'operator' | 'system'
  actorId?: string | undefined
  sessionId?: string | undefined
  requestId?: string | undefined
  ip?: string | undefined
  userAgent?: string | undefined
}

export type AuditEntry = {
  /** `resource.verb`, e.g. `session.created`. */
  action: string
  /** `failure`: it was tried and did not work; `denied`: it was not allowed. Default `success`. */
  outcome?: 'success' | 'failure' | 'denied'
  subject?: { type: string; id: string }
  /** Names only. Values go into `details`, and only where they are harmless to everybody who reads the log. */
  changedFields?: readonly string[]
  /** Never a secret, never personal data: this part stays when a person is erased. */
  details?: Readonly<Record<string, unknown>>
}

/** Records an act in the transaction that does it, so that neither exists without the other. */
export async function appendAudit(trx: Tx, at: Date, origin: Origin, entry: AuditEntry): Promise<void> {
  const { ip, userAgent } = origin
  const personal = ip === undefined && userAgent === undefined ? undefined : { ip, userAgent }
  insertAuditEntry(
    trx,
    {
      id: uuidv7(at),
      occurred_at: at,
      action: entry.action,
      outcome: entry.outcome ?? 'success',
      actor_type: origin.actorType,
      actor_id: origin.actorId ?? null,
      subject_type: entry.subject?.type ?? null,
      subject_id: entry.subject?.id ?? null,
      session_id: origin.sessionId ?? null,
      request_id: origin.requestId ?? null,
      changed_fields: [...(entry.changedFields ?? [])],
      details: JSON.stringify(entry.details ?? {}),
    },
    personal && {
      ip: ip ?? null,
      user_agent: userAgent?.slice(0, 512).toWellFormed() ?? null,
      salt: randomBytes(16),
    },
  )
}
