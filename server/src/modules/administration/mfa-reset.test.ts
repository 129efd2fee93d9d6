import { expect, test } from 'vitest'
import { minutes } from '../../lib/clock.ts'
import { useTestApp } from '../../testing/harness.ts'
import { lastSent } from '../../testing/outbox.ts'
import { enrolTotp, recoveryCodes } from '../../testing/second-factors.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()

const audit = (user: { id: string }, action: string) =>
  roster.sql('select actor_id from audit_log where subject_id = $1 and action = $2', [user.id, action])

test('an administrator takes second factors from whoever lost them, after a step-up, and tells them', async () => {
  const user = await roster.signUp()
  await enrolTotp(roster, user)
  await recoveryCodes(roster, user)
  const helper = await roster.signUp()
  await roster.post(`/api/v1/users/${helper.id}/roles`, { role: 'support' }, admin)
  const reset = (token: string) => roster.post(`/api/v1/users/${user.id}/mfa-reset`, undefined, { token })
  expect(await reset(user.token)).toMatchObject({ status: 403, body: { code: 'forbidden' } })
  roster.clock.advance(minutes(11))
  const { password } = helper
  expect((await reset(helper.token)).body.code).toBe('step_up_required')
  const stepped = await roster.post('/api/v1/auth/step-up', { password }, { token: helper.token })
  const { access_token } = stepped.body
  // Ten at once: taken away once.
  const replies = await Promise.all(Array.from({ length: 10 }, () => reset(access_token)))
  expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 204))
  expect(await audit(user, 'mfa.removed')).toHaveLength(1)

  expect((await roster.get('/api/v1/users/me', user)).status).toBe(401)
  const again = await roster.signIn(user)
  expect((await roster.get('/api/v1/auth/mfa', again)).body).toMatchObject({
    mfa_enabled: false,
    methods: [],
  })
  expect(await lastSent(roster, user.email, 'mfa_changed')).toMatchObject({ what: 'all_removed' })
  const [row] = await audit(user, 'mfa.removed')
  expect(row.actor_id).toBe(helper.id)

  // With nothing to take away nothing happens.
  expect((await reset(access_token)).status).toBe(204)
  expect((await roster.get('/api/v1/users/me', again)).status).toBe(200)
  expect(await audit(user, 'mfa.removed')).toHaveLength(1)
})
