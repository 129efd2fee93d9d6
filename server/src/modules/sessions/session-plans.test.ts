import { type CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import { expect, test } from 'vitest'
import type { Database } from '../../db/tables.ts'
import { useTestApp } from '../../testing/harness.ts'
import { findPrincipal, findRefreshState, raiseSession, rotateRefreshToken } from './repo.ts'

const roster = await useTestApp()

test('a session is found by its id in a database without statistics too', async () => {
  const sent: CompiledQuery[] = []
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool: roster.resources.store.pool }),
    log: ({ query }) => void sent.push(query),
  })
  const { session: id } = await roster.signUp()
  const at = roster.clock.now()
  const hash = Buffer.alloc(32)
  await findPrincipal(db, id, at, null)
  await findRefreshState(db, id, at)
  const rotation = { sessionId: id, from: hash, to: hash, at, expiresAt: at, rememberFrom: at, ip: null }
  await rotateRefreshToken(db, rotation)
  await db.transaction().execute(trx => raiseSession(trx, { sessionId: id, methods: ['otp'], at }))
  const plans = await Promise.all(sent.filter(({ sql }) => sql.includes('sessions')).map(planOf))
  expect(plans).toHaveLength(4)
  for (const plan of plans) expect(plan).toMatch(/Index Scan using sessions_pkey .*\n +Index Cond: \(id = /)
})

async function planOf({ sql, parameters }: CompiledQuery): Promise<string> {
  const rows = await roster.sql(`explain (costs off) ${sql}`, [...parameters])
  return rows.map(row => row['QUERY PLAN']).join('\n')
}
