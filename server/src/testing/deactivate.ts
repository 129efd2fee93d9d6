import { appendAudit } from '../modules/audit/index.ts'
import type { TestApp } from './harness.ts'

/** Deactivates a user as administrators do: the record, the sessions and the news in one transaction. */
export async function deactivate({ services, clock }: TestApp, userId: string): Promise<void> {
  const { store, sessions } = services
  const origin = { actorType: 'operator' } as const
  await store.transact(async trx => {
    await trx.updateTable('users').set({ is_active: false }).where('id', '=', userId).execute()
    await appendAudit(trx, clock.now(), origin, {
      action: 'user.deactivated',
      subject: { type: 'user', id: userId },
    })
    await sessions.endAllWithin(trx, clock.now(), origin, { userId, reason: 'revoked' })
    await store.announce(trx, { kind: 'user', id: userId })
  })
}
