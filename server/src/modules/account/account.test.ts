import { describe, expect, test } from 'vitest'
import { startTestApp, useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()

describe('statistics', () => {
  test('count what happened, and say what a profile lacks', async () => {
    const { token, email, password } = await roster.signUp({ full_name: 'Ada Example' })
    await roster.post('/api/v1/auth/login', { email, password })
    await roster.put('/api/v1/users/me/settings', { 'ui.theme': 'dark', 'ui.density': 'compact' }, { token })
    await roster.put('/api/v1/users/me/preferences', { 'job.remote': 'remote' }, { token })
    const { status, body } = await roster.get('/api/v1/users/me/stats', { token })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      account_age_days: 0,
      logins: 2,
      active_sessions: 2,
      settings_changed: 3,
      last_login_at: roster.clock.now().toISOString(),
    })
    expect(body.profile_completeness.percent).toBe(8)
    expect(body.profile_completeness.missing).toEqual([
      'email_verified',
      'avatar_url',
      'current_title',
      'location',
      'headline',
      'bio',
      'skills',
      'languages',
      'experience',
      'education',
      'links',
    ])
  })

  test('reach 100 percent with a full profile', async () => {
    const { id, token } = await roster.signUp({ full_name: 'Ada Example' })
    await roster.sql('update users set email_verified_at = now() where id = $1', [id])
    await roster.put('/api/v1/users/me', { current_title: 'Engineer', location: 'Vienna' }, { token })
    const profile = {
      avatar_url: 'https://example.com/a.png',
      headline: 'x',
      bio: 'x',
      skills: ['x'],
      languages: ['x'],
      experience: [{ title: 'x', company: 'y' }],
      education: [{ institution: 'x' }],
      github_url: 'https://github.com/x',
    }
    await roster.put('/api/v1/users/me/profile', profile, { token })
    const { body } = await roster.get('/api/v1/users/me/stats', { token })
    expect(body.profile_completeness).toEqual({ percent: 100, missing: [] })
  })
})

describe('the export of one’s own data', () => {
  test('is limited with the other exports', async () => {
    const limited = await startTestApp({ config: { rateLimits: { export: { max: 1, windowMs: 60_000 } } } })
    const person = await limited.signUp()
    expect((await limited.get('/api/v1/users/me/export', person)).status).toBe(200)
    expect(await limited.get('/api/v1/users/me/export', person)).toMatchObject({
      status: 429,
      body: { code: 'rate_limited' },
    })
    await limited.stop()
  })

  /** Tables about users that the file leaves out, each with the reason. */
  const leftOut: Readonly<Record<string, string>> = {
    user_credentials: 'hashes are secrets',
    user_activity: 'part of the record',
    user_roles: 'part of the record',
    user_search: 'folded copies of record and profile',
    verifications: 'hashes of codes and links',
    sign_ins: 'hashes of tokens of sign-ins under way',
    recovery_codes: 'hashes of codes',
    passkey_challenges: 'minutes old, of sign-ins under way',
    second_factors: 'secrets; mfa_enabled and the activity tell of them',
    passkeys: 'credentials; the activity tells of them',
    webhook_deliveries: 'the way of events, which are in the file',
  }

  test('is one file with everything, and leaves a trace', async () => {
    const { id, email, token } = await roster.signUp({ full_name: 'Ada Example' })
    await roster.put('/api/v1/users/me/settings', { 'ui.theme': 'dark' }, { token })
    await roster.put('/api/v1/users/me/profile', { bio: 'Writes services.' }, { token })
    const { status, headers, body } = await roster.get('/api/v1/users/me/export', { token })
    expect(status).toBe(200)
    expect(headers['content-disposition']).toContain('attachment')
    expect(headers['cache-control']).toContain('no-store')
    expect(body).toMatchObject({
      user: { id, email },
      profile: { bio: 'Writes services.' },
      settings: { values: { 'ui.theme': 'dark' }, version: 1 },
    })
    expect(body.sessions).toHaveLength(1)
    expect(body.devices).toHaveLength(1)
    expect(body.activity.map(({ action }: { action: string }) => action)).toContain('user.profile_updated')
    expect(body.events.map(({ type }: { type: string }) => type)).toContain('user.registered')
    expect(body.messages).toEqual(
      expect.arrayContaining([expect.objectContaining({ recipient: email, template: 'verify_email' })]),
    )
    const audit = await roster.sql(
      `select from audit_log where subject_id = $1 and action = 'user.exported'`,
      [id],
    )
    expect(audit).toHaveLength(1)
  })

  test('holds no secret', async () => {
    const { id, token, password, refresh } = await roster.signUp()
    const { text } = await roster.get('/api/v1/users/me/export', { token })
    const [credential] = await roster.sql('select password_hash from user_credentials where user_id = $1', [
      id,
    ])
    const [session] = await roster.sql('select refresh_hash from sessions where user_id = $1', [id])
    const secrets = [password, token, refresh, credential.password_hash, session.refresh_hash.toString('hex')]
    for (const secret of secrets) expect(text).not.toContain(secret)
    expect(text).not.toMatch(/argon2|password_hash|refresh_hash|sealed/)
  })

  test('leaves out no table about users without a reason', async () => {
    const exported = [
      'user_profiles',
      'user_settings',
      'sessions',
      'known_devices',
      'messages',
      'events',
      'name_holds',
    ]
    const tables = await roster.sql(
      `select distinct table_name from information_schema.columns
       where table_schema = 'public' and column_name = 'user_id'
         and table_name in (select tablename from pg_tables where schemaname = 'public')`,
    )
    const known = new Set([...exported, ...Object.keys(leftOut)])
    expect(tables.map(({ table_name }) => table_name).filter(name => !known.has(name))).toEqual([])
  })
})
