import { describe, expect, test } from 'vitest'
import { useTestApp } from '../../testing/harness.ts'
import { beginSignIn, enrolTotp } from '../../testing/second-factors.ts'
import { offerPasskey, registerPasskey, softwareAuthenticator } from '../../testing/software-authenticator.ts'

const roster = await useTestApp()

describe('the name of a passkey', () => {
  const bad = ['   ', '\u200b', 'a\u202eb', 'tab\tstop\u0007', `a${'😀'.repeat(100)}`]

  test.each(bad)('is not %j, neither at first nor later', async name => {
    const user = await roster.signUp()
    const refused = await offerPasskey(roster, user, softwareAuthenticator(), name)
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ path: '/name' }] } })
    const { body } = await offerPasskey(roster, user, softwareAuthenticator())
    const renamed = await roster.patch(`/api/v1/auth/passkeys/${body.id}`, { name }, { token: user.token })
    expect(renamed).toMatchObject({ status: 400, body: { errors: [{ path: '/name' }] } })
  })

  test.each([`a${'😀'.repeat(99)}`, '👩‍💻 desk', 'می‌خواهم'])('may be %j, and is kept whole', async name => {
    const user = await roster.signUp()
    const { body } = await offerPasskey(roster, user, softwareAuthenticator(), name)
    expect(body.name).toBe(name)
    const renamed = await roster.patch(`/api/v1/auth/passkeys/${body.id}`, { name }, { token: user.token })
    expect(renamed.body.name).toBe(name)
  })

  test('is that of the device where none is given', async () => {
    const user = await roster.signUp()
    const { body } = await offerPasskey(roster, user, softwareAuthenticator())
    expect(body.name).not.toBe('')
  })

  test('leaves an audit row where it changes, without the name', async () => {
    const user = await roster.signUp()
    const { body } = await offerPasskey(roster, user, softwareAuthenticator())
    await roster.patch(`/api/v1/auth/passkeys/${body.id}`, { name: 'Desk' }, { token: user.token })
    const rows = await roster.sql(
      `select changed_fields, details from audit_log where action = 'passkey.renamed' and subject_id = $1`,
      [user.id],
    )
    expect(rows).toEqual([{ changed_fields: ['name'], details: { passkey_id: body.id } }])
  })
})

test('nobody has more than 20 passkeys, however many were begun at once', async () => {
  const user = await roster.signUp()
  for (let n = 0; n < 18; n++) await registerPasskey(roster, user)
  const replies = await Promise.all(
    Array.from({ length: 5 }, () => offerPasskey(roster, user, softwareAuthenticator())),
  )
  expect(replies.map(({ status }) => status).sort()).toEqual([201, 201, 409, 409, 409])
  expect((await roster.get('/api/v1/auth/passkeys', { token: user.token })).body.items).toHaveLength(20)
})

test('a challenge is for what is enrolled, whatever the method', async () => {
  const user = await roster.signUp()
  await enrolTotp(roster, user)
  const mfa_token = await beginSignIn(roster, user)
  const challenges = (method: string) => [
    roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method }),
    roster.post('/api/v1/auth/step-up/challenge', { method }, { token: user.token }),
  ]
  for (const method of ['passkey', 'recovery_code', 'sms', 'email'])
    for (const reply of await Promise.all(challenges(method)))
      expect([method, reply.status, reply.body.code]).toEqual([method, 409, 'mfa_not_enrolled'])
  for (const reply of await Promise.all(challenges('totp')))
    expect([reply.status, reply.body]).toEqual([200, { method: 'totp' }])
})
