import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { days, hours, minutes } from '../../lib/clock.ts'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { eraseDueUsers } from '../users/index.ts'

const roster = await useTestApp()
const root = await roster.signUpAdmin()
const url = (user: { id: string }, more = '') => `/api/v1/users/${user.id}${more}`

/** Everybody’s tokens outlive the tests’ leaps in time by signing in again. */
async function asRoot(): Promise<{ token: string }> {
  const { body } = await roster.post('/api/v1/auth/login', { email: root.email, password: root.password })
  return { token: body.access_token }
}
const admin = await asRoot()

async function signUpWith(role: string): Promise<SignedUp> {
  const user = await roster.signUp()
  await roster.post(`/api/v1/users/${user.id}/roles`, { role }, admin)
  return user
}
const support = await signUpWith('support')

let roles = 0
async function signUpWithRights(permissions: readonly string[]): Promise<SignedUp> {
  roles += 1
  const role = { name: `test-role-${roles}`, description: 'x', permissions }
  const token = await asRoot()
  const user = await roster.signUp()
  expect((await roster.post('/api/v1/rbac/roles', role, token)).status).toBe(201)
  expect((await roster.post(url(user, '/roles'), { role: role.name }, token)).status).toBe(200)
  return user
}

const login = ({ email, password }: { email: string; password: string }) =>
  roster.post('/api/v1/auth/login', { email, password }).then(({ status }) => status)
const audit = (user: { id: string }, action: string) =>
  roster.sql('select actor_id, outcome from audit_log where subject_id = $1 and action = $2', [
    user.id,
    action,
  ])
const mailTo = async (to: string) => {
  await roster.runJobs()
  const { body } = await roster.get(`/dev/mailbox.json?to=${encodeURIComponent(to)}`)
  return body.items
}
const linkToken = (link: string) => new URL(link).searchParams.get('token') ?? ''

describe('an invitation', () => {
  test('brings a mail whose link sets the first password, and nobody else ever knows one', async () => {
    const invite = { email: 'invited@example.com', full_name: 'Ida Invited', roles: ['auditor'] }
    const { status, body } = await roster.post('/api/v1/users', invite, admin)
    expect({ status, body }).toMatchObject({
      status: 201,
      body: {
        email: 'invited@example.com',
        roles: ['auditor', 'user'],
        email_verified: false,
        is_active: true,
      },
    })
    expect(await login({ ...invite, password: 'Anything123' })).toBe(401)
    const [mail] = await mailTo(invite.email)
    expect(mail).toMatchObject({
      purpose: 'INVITATION',
      link: expect.stringContaining('http://localhost:8000/'),
    })
    const accept = { token: linkToken(mail.link), new_password: 'ChosenByIda123' }
    expect((await roster.post('/api/v1/auth/password-reset-confirm', accept)).status).not.toBe(204)
    const accepted = await roster.post('/api/v1/auth/accept-invitation', accept)
    expect(accepted.status).toBe(204)
    expect(await login({ ...invite, password: accept.new_password })).toBe(200)
    expect((await roster.get(url(body), admin)).body.email_verified).toBe(true)
    expect((await roster.post('/api/v1/auth/accept-invitation', accept)).status).toBe(400)
  })

  test('can bring the password of another system instead, and sends no mail then', async () => {
    const password_hash = '$2b$04$abcdefghijklmnopqrstuu5Jv8nKbZ0sXl0R3n0PzVwX9oVq3v2bK'
    const imported = { email: 'imported@example.com', password_hash, email_verified: true }
    const { status, body } = await roster.post('/api/v1/users', imported, admin)
    expect({ status, verified: body.email_verified }).toEqual({ status: 201, verified: true })
    expect(await mailTo(imported.email)).toEqual([])
    const odd = { email: 'odd@example.com', password_hash: 'md5:abc' }
    expect((await roster.post('/api/v1/users', odd, admin)).body.errors[0].path).toBe('/password_hash')
  })

  test('can’t bring rights that the inviter lacks', async () => {
    await roster.post(
      '/api/v1/rbac/roles',
      { name: 'inviter', description: 'x', permissions: ['users:create'] },
      admin,
    )
    const inviter = await signUpWith('inviter')
    for (const more of [{ role: 'admin' }, { roles: ['support'] }]) {
      const body = { email: 'mighty@example.com', ...more }
      expect((await roster.post('/api/v1/users', body, inviter)).status).toBe(403)
    }
    expect((await roster.post('/api/v1/users', { email: 'plain@example.com' }, inviter)).status).toBe(201)
    expect((await roster.post('/api/v1/users', { email: 'plain@example.com' }, inviter)).body.code).toBe(
      'email_taken',
    )
  })
})

describe('a change by an administrator', () => {
  test('shows in the record, with who made it and when', async () => {
    const user = await roster.signUp()
    roster.clock.advance(1000)
    const changes = { full_name: 'New Name', current_title: 'Engineer', phone_number: '+43123456789' }
    const { body } = await roster.put(url(user), changes, admin)
    expect(body).toMatchObject({
      ...changes,
      phone_verified: false,
      updated_at: roster.clock.now().toISOString(),
      updated_by: root.id,
    })
    roster.clock.advance(1000)
    const again = await roster.request('PATCH', url(user), { ...admin, body: changes })
    expect(again.body).toEqual(body)
    expect((await audit(user, 'user.profile_updated')).length).toBe(1)
  })

  test('of the e-mail address ends the sessions, is unproved, and can be undone from the old address', async () => {
    const user = await roster.signUp()
    const email = `moved-${user.email}`
    const { body } = await roster.put(url(user), { email }, admin)
    expect(body).toMatchObject({ email, email_verified: false })
    expect((await roster.get('/api/v1/users/me', user)).status).toBe(401)
    const [mail] = await mailTo(user.email)
    expect(mail).toMatchObject({ purpose: 'EMAIL_UNDO' })
    const other = await roster.signUp()
    expect((await roster.put(url(other), { email: email.toUpperCase() }, admin)).body.code).toBe(
      'email_taken',
    )
  })

  test('of the username is not bound to 15 days, and the old one is held for its owner', async () => {
    const user = await roster.signUp({ username: 'before.change' })
    expect((await roster.put(url(user), { username: 'after.change' }, admin)).status).toBe(200)
    expect((await roster.put(url(user), { username: 'again.change' }, admin)).status).toBe(200)
    const taker = await roster.signUp()
    expect((await roster.put(url(taker), { username: 'before.change' }, admin)).body.code).toBe(
      'username_taken',
    )
  })

  test.each([
    ['email', { email: 'mine@example.com' }, 'changed_elsewhere'],
    ['email_verified', { email_verified: true }, 'forbidden_field'],
    ['phone_number', { phone_number: '+43123456700' }, 'changed_elsewhere'],
    ['username', { username: 'my.new.name' }, 'changed_elsewhere'],
  ])('of one’s own %s is refused as under /users/me: there it is proved', async (field, body, code) => {
    for (const id of [support.id, support.id.toUpperCase()]) {
      const own = await roster.put(url({ id }), body, support)
      expect(own.body.errors).toMatchObject([{ path: `/${field}`, code }])
    }
    expect((await roster.put(url(support), { location: 'Graz' }, support)).body.location).toBe('Graz')
  })

  test.each(['role', 'roles', 'is_active', 'is_premium', 'subscription', 'password'])(
    'of %s is refused by name, with the route that does it',
    async field => {
      const { status, body } = await roster.put(url(support), { [field]: 'x' }, admin)
      expect({ status, error: body.errors[0] }).toMatchObject({
        status: 400,
        error: { path: `/${field}`, code: 'changed_elsewhere' },
      })
    },
  )

  test.each(['id', 'created_at', '__proto__', 'mfa_enabled', 'deleted_at'])(
    'of %s is refused',
    async field => {
      const { status } = await roster.request('PUT', url(support), {
        token: admin.token,
        headers: { 'content-type': 'application/json' },
        body: JSON.parse(`{"${field}": "x"}`),
      })
      expect(status).toBe(400)
    },
  )
})

describe('an account', () => {
  test('that is deactivated is closed at once, and opens again when restored', async () => {
    const user = await roster.signUp()
    expect((await roster.post(url(user, '/deactivate'), undefined, support)).status).toBe(204)
    expect((await roster.get('/api/v1/users/me', user)).status).toBe(401)
    expect((await roster.post('/api/v1/auth/refresh', { refresh_token: user.refresh })).status).toBe(401)
    expect(await login(user)).toBe(401)
    expect(await audit(user, 'user.deactivated')).toEqual([{ actor_id: support.id, outcome: 'success' }])
    expect((await roster.post(url(user, '/restore'), undefined, support)).status).toBe(204)
    expect(await login(user)).toBe(200)
    expect((await roster.get('/api/v1/users/me', user)).status).toBe(401)
  })

  test('that is deleted can’t sign in, refresh or reset, and a restore brings it back', async () => {
    const user = await roster.signUp()
    expect((await roster.delete(url(user), admin)).status).toBe(204)
    expect(await login(user)).toBe(401)
    expect((await roster.post('/api/v1/auth/refresh', { refresh_token: user.refresh })).status).toBe(401)
    await roster.post('/api/v1/auth/password-reset-request', { email: user.email })
    expect(
      (await mailTo(user.email)).filter(({ purpose }: { purpose: string }) => purpose === 'PASSWORD_RESET'),
    ).toEqual([])
    expect((await roster.post(url(user, '/password-reset'), undefined, admin)).status).toBe(404)
    expect((await roster.delete(url(user), admin)).status).toBe(404)
    expect((await roster.put(url(user), { full_name: 'X' }, admin)).status).toBe(404)
    await roster.post(url(user, '/restore'), undefined, admin)
    expect(await login(user)).toBe(200)
  })

  test('moves updated_at when it is deleted and when it is restored', async () => {
    const user = await roster.signUp()
    const touched = async () => {
      const { body } = await roster.get(url(user), admin)
      return [body.updated_at, body.updated_by]
    }
    for (const change of [
      () => roster.delete(url(user), admin),
      () => roster.post(url(user, '/restore'), undefined, admin),
    ]) {
      roster.clock.advance(1000)
      expect((await change()).status).toBe(204)
      expect(await touched()).toEqual([roster.clock.now().toISOString(), root.id])
    }
  })

  test('that its owner deleted stays closed to them once an administrator deactivates it', async () => {
    const user = await roster.signUp()
    expect((await roster.delete('/api/v1/users/me', user)).status).toBe(204)
    const [mail] = await mailTo(user.email)
    expect((await roster.post(url(user, '/deactivate'), undefined, support)).status).toBe(204)
    expect(await audit(user, 'user.deactivated')).toEqual([{ actor_id: support.id, outcome: 'success' }])
    const own = await roster.post('/api/v1/auth/restore-account', { token: linkToken(mail.link) })
    expect(own.body.code).toBe('invalid_link')
    expect((await roster.post(url(user, '/restore'), undefined, support)).status).toBe(204)
    expect(await login(user)).toBe(200)
  })

  test('shows its sessions, which end one by one or all at once', async () => {
    const user = await roster.signUp()
    await login(user)
    await login(user)
    const { body } = await roster.get(url(user, '/sessions'), support)
    expect(body.items).toHaveLength(3)
    const [first] = body.items
    expect((await roster.delete(url(user, `/sessions/${first.id}`), support)).status).toBe(204)
    expect((await roster.delete(url(user, `/sessions/${first.id}`), support)).status).toBe(404)
    expect((await roster.delete(url(support, `/sessions/${body.items[1].id}`), admin)).status).toBe(404)
    expect((await roster.post(url(user, '/logout'), undefined, support)).body).toEqual({ revoked: 2 })
    expect((await roster.get('/api/v1/users/me', user)).status).toBe(401)
  })

  test('gets a reset mail on request, and an unlock, both recorded', async () => {
    const user = await roster.signUp()
    expect((await roster.post(url(user, '/password-reset'), undefined, support)).status).toBe(204)
    const [mail] = await mailTo(user.email)
    expect(mail.purpose).toBe('PASSWORD_RESET')
    expect(await login(user)).toBe(200)
    expect((await roster.post(url(user, '/unlock'), undefined, support)).status).toBe(204)
    expect(await audit(user, 'user.unlocked')).toHaveLength(1)
    expect(await audit(user, 'password.reset_requested')).toHaveLength(1)
  })

  test('tells its owner what happened to it, without the address of an administrator', async () => {
    const user = await roster.signUp()
    await roster.post('/api/v1/auth/login', { email: user.email, password: 'wrong' })
    await roster.put(url(user), { full_name: 'Changed' }, admin)
    const { body } = await roster.get('/api/v1/users/me/activity?limit=2', user)
    expect(body.items).toMatchObject([
      { action: 'user.profile_updated', by: 'other_user', ip: null, changed_fields: ['full_name'] },
      { action: 'login', outcome: 'failure', by: 'anonymous', ip: '127.0.0.1' },
    ])
    const next = await roster.get(`/api/v1/users/me/activity?limit=2&cursor=${body.next_cursor}`, user)
    expect(next.body.items[0]).toMatchObject({ action: 'login', outcome: 'success', by: 'self' })
    const seen = await roster.get(url(user, '/activity?limit=2'), support)
    expect(seen.body.items).toEqual(body.items)
    for (const path of ['/activity', '/sessions']) {
      expect((await roster.get(url({ id: randomUUID() }, path), support)).body.code).toBe('not_found')
    }
    const stolen = await roster.get(`/api/v1/users/me/activity?limit=2&cursor=${body.next_cursor}`, support)
    expect(stolen.body.errors[0].path).toBe('cursor')
  })
})

describe('nobody acts on somebody who may do more', () => {
  test.each([
    ['PUT', '', { email: 'mine@example.com' }],
    ['PATCH', '', { full_name: 'x' }],
    ['POST', '/deactivate', undefined],
    ['POST', '/restore', undefined],
    ['POST', '/unlock', undefined],
    ['POST', '/mfa-reset', undefined],
    ['POST', '/logout', undefined],
    ['POST', '/password-reset', undefined],
    ['DELETE', `/sessions/${root.session}`, undefined],
  ])('%s /users/{id}%s', async (method, path, body) => {
    const reply = await roster.request(method, url(root, path), { token: support.token, body })
    expect(reply).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    expect((await roster.get('/api/v1/users/me', admin)).status).toBe(200)
  })
})

describe('the last administrator', () => {
  test('can be neither deactivated, deleted nor erased, not even by themselves', async () => {
    for (const [method, path] of [
      ['POST', '/deactivate'],
      ['DELETE', ''],
      ['DELETE', '?erase=true'],
    ] as const) {
      const reply = await roster.request(method, url(root, path), admin)
      expect(reply.body.code, path).toBe('last_administrator')
    }
    expect((await roster.delete('/api/v1/users/me', admin)).body.code).toBe('last_administrator')
  })

  test('is left whatever two do to each other at once, by any route', async () => {
    const other = await roster.signUpAdmin()
    const ways = [
      (by: { token: string }, whom: { id: string }) =>
        roster.post(url(whom, '/deactivate'), undefined, { token: by.token }),
      (by: { token: string }, whom: { id: string }) => roster.delete(url(whom), { token: by.token }),
      (by: { token: string }, whom: { id: string }) =>
        roster.delete(url(whom, '/roles/admin'), { token: by.token }),
      (by: { token: string }) => roster.delete('/api/v1/users/me', { token: by.token }),
    ]
    for (const one of ways) {
      for (const two of ways) {
        const tokens = await Promise.all(
          [root, other].map(user => roster.post('/api/v1/auth/login', namesOf(user))),
        )
        const [a, b] = tokens.map(({ body }) => ({ token: body.access_token }))
        if (!a || !b) throw new Error('two')
        const statuses = (await Promise.all([one(a, other), two(b, root)])).map(({ status }) => status)
        expect(statuses.every(status => status < 500)).toBe(true)
        const left = await roster.sql(
          `select user_id from user_roles join users on id = user_id where role_name = 'admin' and is_active`,
        )
        expect(left.length).toBeGreaterThanOrEqual(1)
        await roster.sql('update users set is_active = true, deleted_at = null where id = any($1)', [
          [root.id, other.id],
        ])
        await roster.sql(
          `insert into user_roles select u, 'admin', now() from unnest($1::uuid[]) u on conflict do nothing`,
          [[root.id, other.id]],
        )
      }
    }
    await roster.sql(`delete from user_roles where user_id = $1`, [other.id])
  })
})

const namesOf = ({ email, password }: SignedUp) => ({ email, password })

describe('erasing', () => {
  const traces = async (values: readonly string[]) => {
    const columns = await roster.sql(
      `select c.table_schema, c.table_name, c.column_name from information_schema.columns c
       join information_schema.tables t using (table_schema, table_name)
       where c.table_schema in ('public', 'graphile_worker') and t.table_type = 'BASE TABLE'`,
    )
    const found: string[] = []
    for (const { table_schema, table_name, column_name } of columns) {
      const place = `"${table_schema}"."${table_name}"`
      const rows = await roster.sql(
        `select 1 from ${place} where exists (
           select from unnest($1::text[]) value where strpos(lower("${column_name}"::text), lower(value)) > 0
             or strpos(lower("${column_name}"::text), encode(convert_to(lower(value), 'UTF8'), 'hex')) > 0) limit 1`,
        [values],
      )
      if (rows.length > 0) found.push(`${table_name}.${column_name}`)
    }
    return found
  }

  test('leaves nothing personal in any table, and an audit log that verifies, also with 10,000 rows', async () => {
    const token = await asRoot()
    const agent = 'Mozilla/5.0 TraceableDevice/7.7'
    const user = await roster.signUp({
      email: 'traceable.person@trace-domain.example',
      username: 'traceable-name',
      full_name: 'Traceable Fullname',
      phone_number: '+43699123987',
    })
    const headers = { 'user-agent': agent }
    const signedIn = await roster.post('/api/v1/auth/login', namesOf(user), { headers })
    const own = { token: signedIn.body.access_token, headers }
    await roster.put('/api/v1/users/me', { location: 'Traceableville', current_title: 'Traceable Boss' }, own)
    await roster.put('/api/v1/users/me/profile', { bio: 'traceable bio', skills: ['traceable-skill'] }, own)
    await roster.post('/api/v1/auth/login', { email: user.email, password: 'wrong' }, { headers })
    await roster.post(url(user, '/password-reset'), undefined, token)
    await roster.put('/api/v1/auth/profile/username', { username: 'traceable-two' }, own)
    await roster.runJobs()
    await roster.sql(
      `with rows as (
         insert into audit_log (id, occurred_at, action, outcome, actor_type, actor_id, subject_type, subject_id, personal_digest)
         select gen_random_uuid(), now(), 'bulk', 'success', 'user', $1::uuid, 'user', $1::text, 'x'
         from generate_series(1, 10000) returning id
       ), personal as (
         insert into audit_personal (audit_id, user_agent) select id, $2 from rows
       ) insert into audit_unsealed select id from rows`,
      [user.id, agent],
    )
    await roster.services.sealer.seal()
    const values = ['traceable', agent, '43699123987']
    expect((await traces(values)).length).toBeGreaterThan(6)

    expect((await roster.delete(url(user, '?erase=true'), token)).status).toBe(204)
    expect(await traces(values)).toEqual([])
    expect((await roster.get(url(user), token)).status).toBe(404)
    expect((await roster.get('/api/v1/users/me', own)).status).toBe(401)
    expect(await audit(user, 'user.erased')).toEqual([{ actor_id: root.id, outcome: 'success' }])
    const events = await roster.sql(`select type, data from events where user_id = $1 order by position`, [
      user.id,
    ])
    expect(events.at(-1)).toMatchObject({ type: 'user.erased', data: { userId: user.id } })
    const verified = await roster.post('/api/v1/audit/verify', {}, token)
    expect(verified.body).toMatchObject({ ok: true, problems: [] })
    expect(verified.body.erased).toBeGreaterThan(10_000)

    const heir = await roster.signUp({ email: user.email, username: 'traceable-name' })
    expect(heir.id).not.toBe(user.id)
    const inherited = await roster.get('/api/v1/users/me/activity', heir)
    expect(inherited.body.items.every((item: { action: string }) => item.action !== 'bulk')).toBe(true)
    expect((await roster.get('/api/v1/users/me', heir)).body).toMatchObject({
      location: null,
      phone_number: null,
    })
  })

  test('needs its own permission and a sign-in from the last ten minutes', async () => {
    const deleter = await signUpWithRights(['users:delete'])
    const user = await roster.signUp()
    const refused = await roster.delete(url(user, '?erase=true'), deleter)
    expect(refused.body).toMatchObject({ code: 'forbidden', detail: expect.stringContaining('users:erase') })
    const token = await asRoot()
    roster.clock.advance(601_000)
    expect((await roster.delete(url(user, '?erase=true'), token)).body.code).toBe('step_up_required')
    expect((await roster.delete(url(user, '?erase=true'), await asRoot())).status).toBe(204)
  })

  test('is not all that needs one: so does deleting others, and oneself, as under /users/me, with a link back', async () => {
    const user = await signUpWithRights(['users:delete'])
    const other = await roster.signUp()
    roster.clock.advance(minutes(11))
    for (const one of [user, other]) {
      expect((await roster.delete(url(one), user)).body.code).toBe('step_up_required')
    }
    const again = await roster.signIn(user)
    expect((await roster.delete(url(other), again)).status).toBe(204)
    expect((await roster.delete(url(user), again)).status).toBe(204)
    const [mail] = await mailTo(user.email)
    expect(mail.purpose).toBe('ACCOUNT_RESTORE')
    const token = linkToken(mail.link)
    expect((await roster.post('/api/v1/auth/restore-account', { token })).status).toBe(204)
  })

  test('comes by itself 30 days after a deletion, and not before, nor after a restore', async () => {
    const token = await asRoot()
    const users = [await roster.signUp(), await roster.signUp()] as const
    for (const user of users) await roster.delete(url(user), token)
    const run = () => eraseDueUsers(roster.services, roster.clock.now(), roster.services.eraseAfterDays)
    roster.clock.advance(days(30) - hours(1))
    await run()
    const there = () =>
      roster
        .sql('select id from users where id = any($1)', [users.map(({ id }) => id)])
        .then(rows => rows.length)
    expect(await there()).toBe(2)
    await roster.post(url(users[1], '/restore'), undefined, await asRoot())
    roster.clock.advance(hours(2))
    await run()
    expect(await there()).toBe(1)
    expect(await login(users[1])).toBe(200)
    const [row] = await audit(users[0], 'user.erased')
    expect(row).toEqual({ actor_id: null, outcome: 'success' })
  })
})
