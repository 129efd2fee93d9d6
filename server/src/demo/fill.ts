import type { Tx } from '../db/store.ts'
import { addTime, days, hours } from '../lib/clock.ts'
import { randomToken } from '../lib/secrets.ts'
import { adminRole, grantRole } from '../modules/access/index.ts'
import { appendAudit } from '../modules/audit/index.ts'
import { countUsers, deleteDemoUsers, insertDemoUser, refreshStatistics } from '../modules/users/index.ts'
import type { Services } from '../services.ts'
import { type DemoPerson, demoPeople } from './people.ts'

/** The password of every demo user but the administrator. They exist only where somebody asked for them. */
export const demoPassword = 'DemoPass123'

const size = 300

/** Who has a role besides everybody’s own, of each 60. */
const demoRoles: Readonly<Record<number, string>> = { 6: 'support', 14: 'auditor', 27: 'support' }

/**
 * Fills an empty database with users to look at; a database that has users is left as it is.
 * @returns how many were made
 */
export async function fillWithDemo(services: Services, say: (line: string) => void): Promise<number> {
  const { store, clock, hasher } = services
  if ((await countUsers(store.db)) > 0) {
    say('There are users already: no demo users were added.')
    return 0
  }
  const passwordHash = await hasher.hash(demoPassword)
  const adminPassword = randomToken(12)
  const adminHash = await hasher.hash(adminPassword)
  const now = clock.now()
  await store.transact(async trx => {
    for (const [n, person] of demoPeople(size).entries()) {
      const isAdmin = n === 0
      const id = await insert(trx, now, person, isAdmin ? adminHash : passwordHash)
      const role = isAdmin ? adminRole : demoRoles[n % 60]
      if (role !== undefined && person.state === 'active')
        await grantRole(trx, now, { actorType: 'operator' }, { userId: id, role })
    }
    await appendAudit(
      trx,
      now,
      { actorType: 'operator' },
      { action: 'demo.filled', details: { users: size } },
    )
  })
  // What lists and searches estimate is of the empty table until somebody counts.
  await refreshStatistics(store.db)
  say(`Made ${size} demo users, e.g. demo001@example.com with password ${demoPassword}.`)
  say('Demo administrator: demo000@example.com')
  say(`Demo administrator password: ${adminPassword}`)
  say('`npm run roster -- demo remove` removes them.')
  return size
}

/** Removes what {@link fillWithDemo} made, and nothing else. Returns how many users went. */
export function removeDemoUsers({ store, clock }: Services): Promise<number> {
  return store.transact(async trx => {
    const at = clock.now()
    const ids = await deleteDemoUsers(trx, at)
    if (ids.length > 0) {
      const entry = { action: 'demo.removed', details: { users: ids.length } }
      await appendAudit(trx, at, { actorType: 'operator' }, entry)
    }
    for (const id of ids) await store.announce(trx, { kind: 'user', id })
    return ids.length
  })
}

function insert(trx: Tx, now: Date, person: DemoPerson, passwordHash: string): Promise<string> {
  const created = addTime(now, -days(person.registered) - hours(person.registered % 24))
  const { registered, lastLogin, logins, emailVerified, state, premium, ...fields } = person
  return insertDemoUser(trx, now, {
    ...fields,
    passwordHash,
    created_at: created,
    email_verified_at: emailVerified ? addTime(created, hours(1)) : null,
    is_active: state === 'active',
    deleted_at: state === 'deleted' ? addTime(now, -days(Math.min(registered, 9) / 2)) : null,
    subscription_tier: premium ? 'premium' : 'free',
    subscription_since: premium ? addTime(created, days(registered / 2)) : null,
    last_login_at:
      lastLogin === null ? null : addTime(now, -days(lastLogin) - hours(lastLogin === 0 ? 0 : 3)),
    login_count: logins,
  })
}
