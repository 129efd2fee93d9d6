import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { useTestApp } from '../../testing/harness.ts'
import { lastSent } from '../../testing/outbox.ts'
import { appendAudit } from '../audit/index.ts'
import { notePasskeyUse } from './passkey-use.ts'

/* What is asked for by or about somebody who goes at the same moment. Rows are taken away behind the caches' backs. */

const roster = await useTestApp()
const { store } = roster.resources
const origin = { actorType: 'anonymous', ip: '198.51.100.7', userAgent: 'Tester/1' } as const

test.each([
  ['/auth/profile/email/initiate', { new_email: 'new@example.com' }],
  ['/auth/profile/phone/initiate', { phone_number: '+436601234567' }],
  ['/auth/passkeys/register/options', undefined],
])('%s tells somebody who was erased that their token is worth nothing', async (path, body) => {
  const user = await roster.signUp()
  expect((await roster.get('/api/v1/auth/me', { token: user.token })).status).toBe(200)
  await roster.sql('delete from users where id = $1', [user.id])
  const reply = await roster.post(`/api/v1${path}`, body, { token: user.token })
  expect(reply).toMatchObject({ status: 401, body: { code: 'invalid_token' } })
})

test('a passkey that was removed meanwhile raises no alarm', async () => {
  const { id } = await roster.signUp()
  const used = {
    userId: id,
    passkeyId: randomUUID(),
    counter: 5,
    isSynced: false,
    userVerified: true,
    isDoubted: false,
  }
  const { passkeys } = roster.services
  const noted = await store.transact(trx =>
    notePasskeyUse({ passkeys }, trx, roster.clock.now(), origin, used),
  )
  expect(noted).toBe(false)
  expect(await roster.sql(`select from audit_log where action = 'passkey.clone_suspected'`)).toEqual([])
})

test('the log keeps no address of somebody who was erased before the row, and is whole', async () => {
  const [{ id }, gone] = [await roster.signUp(), randomUUID()]
  for (const subject of [id, gone]) {
    const entry = { action: 'login', outcome: 'failure', subject: { type: 'user', id: subject } } as const
    await store.transact(trx => appendAudit(trx, roster.clock.now(), origin, entry))
  }
  const rows = await roster.sql(
    `select l.subject_id from audit_log l join audit_personal p on p.audit_id = l.id where host(p.ip) = $1`,
    [origin.ip],
  )
  expect(rows).toEqual([{ subject_id: id }])
  const admin = await roster.signUpAdmin()
  expect((await roster.post('/api/v1/audit/verify', undefined, admin)).body).toMatchObject({ ok: true })
})

test('a session that ended for another one is not signed out of unnoticed', async () => {
  const user = await roster.signUp()
  expect((await roster.get('/api/v1/auth/me', { token: user.token })).status).toBe(200)
  await roster.sql(`update sessions set revoked_at = now(), revoked_reason = 'step_up' where id = $1`, [
    user.session,
  ])
  const reply = await roster.post('/api/v1/auth/logout', undefined, { token: user.token })
  expect(reply).toMatchObject({ status: 401, body: { code: 'invalid_token' } })
})

test('asking for another verification mail beside a change of the address makes nobody wait for the other', async () => {
  for (let n = 0; n < 12; n++) {
    const user = await roster.signUp()
    const new_email = `changed${n}@example.com`
    const { token } = user
    await roster.post('/api/v1/auth/profile/email/initiate', { new_email }, { token })
    const { code: otp } = await lastSent(roster, new_email, 'email_change_code')
    const replies = await Promise.all([
      roster.post('/api/v1/auth/profile/email/complete', { new_email, otp }, { token }),
      roster.post('/api/v1/auth/verify-email-request', {}, { token }),
    ])
    expect(replies.map(({ status }) => status)).toEqual([200, 202])
  }
})
