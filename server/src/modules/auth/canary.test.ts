import { expect, test } from 'vitest'
import { startTestApp } from '../../testing/harness.ts'
import { createTestLog } from '../../testing/http-server.ts'
import { lastSent, tokenOf } from '../../testing/outbox.ts'

const auth = '/api/v1/auth'

/** Every value of every row of every table, as text. */
async function everythingStored(sql: (text: string) => Promise<{ text: string }[]>): Promise<string> {
  const tables = await sql(
    `select format('%I.%I', table_schema, table_name) as text from information_schema.tables
     where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`,
  )
  const texts: string[] = []
  for (const { text: table } of tables) {
    const rows = await sql(`select t::text as text from ${table} t`)
    texts.push(...rows.map(({ text }) => text))
  }
  return texts.join('\n')
}

test('passwords, codes and link tokens of every flow are found in no table, log or metric', async () => {
  const log = createTestLog('trace')
  const roster = await startTestApp({ log: log.log })
  const secrets: string[] = ['CanaryFirst1', 'CanarySecond2', 'CanaryThird3', 'CanaryFourth4', 'CanaryWrong5']
  const keep = (secret: string | undefined): string => {
    secrets.push(secret ?? 'missing')
    return secret ?? ''
  }
  const user = await roster.signUp({ password: 'CanaryFirst1' })
  const token = { token: user.token }
  keep(user.token)
  keep(user.refresh)

  const verify = await lastSent(roster, user.email, 'verify_email')
  await roster.post(`${auth}/verify-email`, { code: '999999x' }, token)
  await roster.post(`${auth}/verify-email`, { code: keep(verify.code) }, token)
  await roster.get(`/verify-email?token=${keep(tokenOf(verify.link))}`)
  await roster.post(`${auth}/step-up`, { password: 'CanaryWrong5' }, token)

  await roster.post(`${auth}/profile/email/initiate`, { new_email: 'canary@example.com' }, token)
  const { code } = await lastSent(roster, 'canary@example.com', 'email_change_code')
  const done = { new_email: 'canary@example.com', otp: keep(code) }
  expect((await roster.post(`${auth}/profile/email/complete`, done, token)).status).toBe(200)
  const undo = keep(tokenOf((await lastSent(roster, user.email, 'email_changed')).undo_link))
  await roster.get(`/undo-email-change?token=${undo}`)
  await roster.post(`${auth}/profile/email/undo`, { token: undo, new_password: 'CanarySecond2' })

  await roster.post(`${auth}/password-reset-request`, { email: user.email })
  await roster.runJobs()
  const reset = keep(tokenOf((await lastSent(roster, user.email, 'password_reset')).link))
  await roster.post(`${auth}/password-reset-confirm`, { token: reset, new_password: 'weak' })
  await roster.post(`${auth}/password-reset-confirm`, { token: reset, new_password: 'CanaryThird3' })
  await roster.post(`${auth}/password-reset-confirm`, { token: reset, new_password: 'CanaryFourth4' })

  const again = await roster.signIn({ ...user, password: 'CanaryThird3' })
  const change = { current_password: 'CanaryThird3', new_password: 'CanaryFourth4' }
  await roster.post(`${auth}/change-password`, change, { token: again.token })
  await roster.delete('/api/v1/users/me', { token: again.token })
  const restore = keep(tokenOf((await lastSent(roster, user.email, 'account_deleted')).restore_link))
  const restored = await roster.post(`${auth}/restore-account`, { token: restore })
  expect(restored.status).toBe(204)

  // Six digits appear in ids and times by chance; as a word of their own they would be the code.
  const holds = (text: string, secret: string) =>
    secret.length > 6 ? text.includes(secret) : new RegExp(`(?<![\\w.])${secret}(?![\\w])`).test(text)
  const places = {
    database: await everythingStored(roster.sql),
    log: log.text(),
    metrics: await roster.resources.metrics.registry.metrics(),
  }
  expect(places.database).toContain(user.id)
  expect(secrets).not.toContain('missing')
  for (const [place, text] of Object.entries(places)) {
    expect({ place, found: secrets.filter(secret => holds(text, secret)) }).toEqual({ place, found: [] })
  }
  await roster.stop()
})
