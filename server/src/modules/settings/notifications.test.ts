import { expect, test } from 'vitest'
import { useTestApp } from '../../testing/harness.ts'
import { wantsMail } from './effects.ts'

const roster = await useTestApp()
const settings = '/api/v1/users/me/settings'

test('mails about harmless changes obey notifications.*, and security notices can’t be switched off', async () => {
  const { id, token } = await roster.signUp()
  const { db } = roster.resources.store
  const wants = (kind: string) => wantsMail(db, id, kind)
  expect(await wants('username_changed')).toBe(true)
  await roster.put(settings, { 'notifications.account_changes': false }, { token })
  expect(await wants('username_changed')).toBe(false)
  await roster.put(
    settings,
    { 'notifications.account_changes': null, 'notifications.email': false },
    { token },
  )
  expect(await wants('username_changed')).toBe(false)
  for (const kind of [
    'password_changed',
    'email_changed',
    'new_device',
    'refresh_token_reused',
    'verify_email',
    'mfa_changed',
  ]) {
    expect(await wants(kind)).toBe(true)
  }
})

test('an administrator’s default decides for those who set nothing', async () => {
  const { token } = await roster.signUpAdmin()
  const { id } = await roster.signUp()
  await roster.put(
    '/api/v1/settings/definitions/notifications.account_changes',
    { default_value: false },
    { token },
  )
  expect(await wantsMail(roster.resources.store.db, id, 'username_changed')).toBe(false)
})

test('a username change is told by mail to those who want that', async () => {
  const mailsAfterRename = async (values: Record<string, unknown>, username: string) => {
    const { id, token } = await roster.signUp()
    await roster.put(settings, values, { token })
    const { status } = await roster.put('/api/v1/auth/profile/username', { username }, { token })
    expect(status).toBe(200)
    return roster.sql(`select from messages where user_id = $1 and template = 'username_changed'`, [id])
  }
  const on = { 'notifications.account_changes': true }
  expect(await mailsAfterRename(on, 'wants.mail')).toHaveLength(1)
  expect(await mailsAfterRename({ 'notifications.account_changes': false }, 'wants.none')).toHaveLength(0)
})

test('a key that was removed when that was possible does not keep mails from going out', async () => {
  const { id } = await roster.signUp()
  await roster.sql(
    `update setting_definitions set default_value = 'false', removed_at = now()
     where key = 'notifications.account_changes'`,
  )
  expect(await wantsMail(roster.resources.store.db, id, 'username_changed')).toBe(true)
})
