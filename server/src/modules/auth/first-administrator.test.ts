import { describe, expect, test } from 'vitest'
import { startTestApp, useTestApp } from '../../testing/harness.ts'
import { roster as commandLine } from '../../testing/roster.ts'
import { setupCode } from './index.ts'

const admin = { email: 'boss@example.com', password: 'AdminPass123' }

describe('the first administrator', () => {
  test('there is none, and no account at all, in a new database', async () => {
    const roster = await useTestApp()
    expect(await roster.sql('select * from users')).toEqual([])
    expect(await roster.sql('select * from user_roles')).toEqual([])
  })

  test('is made once by the code, which every process and every start shows until then', async () => {
    const roster = await useTestApp()
    const code = await setupCode(roster.services)
    const second = await startTestApp({ databaseUrl: roster.databaseUrl })
    expect(code).toMatch(/^[\w-]{24}$/)
    expect(await setupCode(second.services)).toBe(code)
    await second.stop()

    const made = await roster.post('/api/v1/auth/setup', {
      code,
      ...admin,
      username: 'boss',
      full_name: 'The Boss',
    })
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({
      username: 'boss',
      role: 'admin',
      roles: ['admin', 'user'],
      email_verified: true,
    })
    const { token } = await roster.signIn({ ...admin, id: made.body.id })
    expect((await roster.get('/api/v1/users/me', { token })).body.role).toBe('admin')

    expect(await setupCode(roster.services)).toBeUndefined()
    const again = await roster.post('/api/v1/auth/setup', { code, ...admin, email: 'second@example.com' })
    expect([again.status, again.body.code]).toEqual([409, 'setup_unavailable'])
    const audit =
      await roster.sql(`select action, actor_type from audit_log where subject_id = '${made.body.id}'
      and action <> 'login' order by id`)
    expect(audit).toEqual([
      { action: 'user.registered', actor_type: 'anonymous' },
      { action: 'role.granted', actor_type: 'anonymous' },
    ])
    const events = await roster.sql(
      `select type from events where user_id = '${made.body.id}' order by id limit 2`,
    )
    expect(events).toEqual([{ type: 'user.registered' }, { type: 'user.roles_updated' }])
  })

  test('is one, when 20 use the code at the same moment', async () => {
    const roster = await useTestApp()
    const code = await setupCode(roster.services)
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        roster.post('/api/v1/auth/setup', { code, ...admin, email: `boss${n}@example.com` }),
      ),
    )
    expect(replies.map(({ status }) => status).sort()).toEqual([201, ...Array(19).fill(409)])
    expect(await roster.sql('select user_id from user_roles')).toHaveLength(1)
    expect(await roster.sql('select id from users')).toHaveLength(1)
    expect(await roster.sql('select nonce from setup_codes')).toEqual([])
  })

  test('is not made by a guess, which is audited and leaves the code as it is', async () => {
    const roster = await useTestApp()
    const code = await setupCode(roster.services)
    for (const guess of [
      '',
      'AAAAAAAAAAAAAAAAAAAAAAAA',
      code?.toLowerCase(),
      `${code}A`,
      code?.slice(0, -1),
    ]) {
      const reply = await roster.post('/api/v1/auth/setup', { code: guess, ...admin })
      expect([reply.status, reply.body.code]).toEqual([403, 'invalid_setup_code'])
    }
    expect(await roster.sql('select * from users')).toEqual([])
    const audit = await roster.sql('select action, outcome, actor_type from audit_log')
    expect(audit.filter(({ outcome }) => outcome === 'denied')).toEqual(
      Array(5).fill({ action: 'administrator.set_up', outcome: 'denied', actor_type: 'anonymous' }),
    )
    expect(await setupCode(roster.services)).toBe(code)
  })

  test('whose password or address can’t be taken leaves the code as it is', async () => {
    const roster = await useTestApp()
    const user = await roster.signUp()
    const code = await setupCode(roster.services)
    const weak = await roster.post('/api/v1/auth/setup', { code, ...admin, password: 'weak' })
    expect(weak.status).toBe(400)
    const taken = await roster.post('/api/v1/auth/setup', { code, ...admin, email: user.email })
    expect([taken.status, taken.body.code]).toEqual([409, 'email_taken'])
    expect((await roster.post('/api/v1/auth/setup', { code, ...admin })).status).toBe(201)
  })

  test('can’t be made without a code before one was shown', async () => {
    const roster = await useTestApp()
    const reply = await roster.post('/api/v1/auth/setup', { code: '', ...admin })
    expect([reply.status, reply.body.code]).toEqual([403, 'invalid_setup_code'])
  })

  test('is made from a shell as well, which ends the code', async () => {
    const roster = await useTestApp()
    const code = await setupCode(roster.services)
    const ran = await commandLine(['admin', 'create', '--email', admin.email, '--password-stdin'], {
      input: `${admin.password}\n`,
      env: { DATABASE_URL: roster.databaseUrl, ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') },
    })
    expect([ran.code, ran.err]).toEqual([0, ''])
    const reply = await roster.post('/api/v1/auth/setup', { code, ...admin, email: 'second@example.com' })
    expect([reply.status, reply.body.code]).toEqual([409, 'setup_unavailable'])
    expect(await roster.sql('select nonce from setup_codes')).toEqual([])
    const me = await roster.signIn({ ...admin, id: '' })
    expect((await roster.get('/api/v1/users/me', { token: me.token })).body.roles).toEqual(['admin', 'user'])
    const [audit] = await roster.sql(`select actor_type from audit_log where action = 'role.granted'`)
    expect(audit).toEqual({ actor_type: 'operator' })
  })

  test('the database alone does not give the code away', async () => {
    const roster = await useTestApp()
    const code = await setupCode(roster.services)
    const [{ nonce }] = await roster.sql('select nonce from setup_codes')
    const stranger = { ...roster.services, setupKey: Buffer.alloc(32, 8) }
    expect(await setupCode(stranger)).not.toBe(code)
    expect(nonce.toString('base64url')).not.toContain(code)
  })
})
