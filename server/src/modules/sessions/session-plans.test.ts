import { expect, test } from 'vitest'
import { useTestApp } from '../../testing/harness.ts'
import { planOf, statementsOf } from '../../testing/plans.ts'
import { findPrincipal, findRefreshState, raiseSession, rotateRefreshToken } from './repo.ts'

const roster = await useTestApp()

test('a session is found by its id in a database without statistics too', async () => {
  const { session: id } = await roster.signUp()
  const at = roster.clock.now()
  const hash = Buffer.alloc(32)
  const rotation = {
    sessionId: id,
    from: hash,
    to: hash,
    at,
    expiresAt: at,
    maxLifetime: 86_400_000,
    rememberFrom: at,
    ip: null,
  }
  const statements = await statementsOf(roster, async db => {
    await findPrincipal(db, id, at, null)
    await findRefreshState(db, id, at)
    await rotateRefreshToken(db, rotation)
    await db.transaction().execute(trx => raiseSession(trx, { sessionId: id, methods: ['otp'], at }))
  })
  const plans = await Promise.all(
    statements.filter(({ sql }) => sql.includes('sessions')).map(statement => planOf(roster, statement)),
  )
  expect(plans).toHaveLength(4)
  for (const plan of plans) expect(plan).toMatch(/Index Scan using sessions_pkey .*\n +Index Cond: \(id = /)
})
