import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type SignedUp, startTestApp, useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()
const root = await roster.signUpAdmin()
const asRoot = { token: root.token }
const names = (function* () {
  for (let n = 1; ; n += 1) yield `test-role-${n}`
})()
const newName = () => String(names.next().value)

/** Somebody who holds a role of their own with these permissions. */
async function signUpWith(...permissions: string[]): Promise<SignedUp & { role: string }> {
  const role = newName()
  const created = await roster.post(
    '/api/v1/rbac/roles',
    { name: role, description: 'x', permissions },
    asRoot,
  )
  expect(created.status).toBe(201)
  const user = await roster.signUp()
  const granted = await roster.post(`/api/v1/users/${user.id}/roles`, { role }, asRoot)
  expect(granted.body).toEqual({ roles: [role, 'user'].sort() })
  return { ...user, role }
}

const audit = (action: string, subject: string) =>
  roster.sql(
    `select outcome, actor_id, changed_fields, details from audit_log where action = $1 and subject_id = $2
     order by id desc`,
    [action, subject],
  )

describe('roles', () => {
  test('come with the catalogue: admin, user, support and auditor', async () => {
    const { body } = await roster.get('/api/v1/rbac/roles', asRoot)
    expect(body.items.slice(0, 2).map((role: { name: string }) => role.name)).toEqual(['admin', 'user'])
    const found = body.items.map((role: { name: string }) => role.name)
    expect(found).toEqual(expect.arrayContaining(['support', 'auditor']))
    const { body: catalogue } = await roster.get('/api/v1/rbac/permissions', asRoot)
    expect(catalogue.items).toContainEqual({ name: 'users:read', description: 'See every user in full' })
  })

  test('are created, changed and deleted, each with its audit row and event', async () => {
    const role = {
      name: 'editor',
      description: 'Edits',
      permissions: ['users:update', 'users:read', 'users:read'],
    }
    const created = await roster.post('/api/v1/rbac/roles', role, asRoot)
    expect(created).toMatchObject({
      status: 201,
      body: {
        name: 'editor',
        permissions: ['users:read', 'users:update'],
        is_system: false,
        updated_at: null,
      },
    })
    expect((await roster.post('/api/v1/rbac/roles', role, asRoot)).body.code).toBe('role_taken')

    roster.clock.advance(1000)
    const changed = await roster.put(
      '/api/v1/rbac/roles/editor',
      { permissions: ['audit:read', 'users:read'] },
      asRoot,
    )
    expect(changed.body.permissions).toEqual(['users:read', 'audit:read'])
    expect(changed.body.updated_at).toBe(roster.clock.now().toISOString())
    expect(await audit('role.updated', 'editor')).toEqual([
      {
        outcome: 'success',
        actor_id: root.id,
        changed_fields: ['permissions'],
        details: { added: ['audit:read'], removed: ['users:update'] },
      },
    ])

    roster.clock.advance(1000)
    const same = await roster.put('/api/v1/rbac/roles/editor', { description: 'Edits' }, asRoot)
    expect(same.body.updated_at).toBe(changed.body.updated_at)
    expect(await audit('role.updated', 'editor')).toHaveLength(1)

    expect((await roster.delete('/api/v1/rbac/roles/editor', asRoot)).status).toBe(204)
    expect((await roster.get('/api/v1/rbac/roles/editor', asRoot)).status).toBe(404)
    const events = await roster.sql(`select type from events where data->>'role' = 'editor' order by id`)
    expect(events.map(({ type }) => type)).toEqual(['role.created', 'role.updated', 'role.deleted'])
    const { body } = await roster.get('/api/v1/rbac/audit?limit=3', asRoot)
    expect(body.items.map(({ action }: { action: string }) => action)).toEqual([
      'role.deleted',
      'role.updated',
      'role.created',
    ])
  })

  test('take only permissions that exist', async () => {
    const role = { name: 'odd', description: 'x', permissions: ['users:read', 'users:fly'] }
    const { status, body } = await roster.post('/api/v1/rbac/roles', role, asRoot)
    expect({ status, code: body.errors[0].code }).toEqual({ status: 400, code: 'unknown_permission' })
  })

  test.each(['admin', 'user'])('%s can’t be deleted', async name => {
    expect((await roster.delete(`/api/v1/rbac/roles/${name}`, asRoot)).body.code).toBe('system_role')
  })

  test('admin keeps all rights, and user can’t be taken away', async () => {
    const weaker = await roster.put('/api/v1/rbac/roles/admin', { permissions: ['users:read'] }, asRoot)
    expect(weaker.body.code).toBe('system_role')
    const user = await roster.signUp()
    const taken = await roster.delete(`/api/v1/users/${user.id}/roles/user`, asRoot)
    expect(taken.body.code).toBe('system_role')
    const emptied = await roster.put(`/api/v1/users/${user.id}/roles`, { roles: [] }, asRoot)
    expect(emptied.body).toEqual({ roles: ['user'] })
  })

  test('that somebody holds can’t be deleted', async () => {
    const { role, id } = await signUpWith('events:read')
    expect((await roster.delete(`/api/v1/rbac/roles/${role}`, asRoot)).body.code).toBe('role_in_use')
    await roster.delete(`/api/v1/users/${id}/roles/${role}`, asRoot)
    expect((await roster.delete(`/api/v1/rbac/roles/${role}`, asRoot)).status).toBe(204)
  })

  test('list their members page by page', async () => {
    const { role, id } = await signUpWith('events:read')
    const ids = [id]
    for (let n = 0; n < 4; n += 1) {
      const member = await roster.signUp()
      ids.push(member.id)
      await roster.post(`/api/v1/users/${member.id}/roles`, { role }, asRoot)
    }
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const more: string = cursor && `&cursor=${cursor}`
      const { body } = await roster.get(`/api/v1/rbac/roles/${role}/members?limit=2${more}`, asRoot)
      seen.push(...body.items.map((member: { id: string }) => member.id))
      cursor = body.next_cursor
    }
    expect(seen).toEqual(ids)
    const everybody = await roster.get('/api/v1/rbac/roles/user/members?limit=100', asRoot)
    expect(everybody.body.items.length).toBeGreaterThan(5)
    expect((await roster.get('/api/v1/rbac/roles/nobody/members', asRoot)).status).toBe(404)
  })

  test('answer whether a user may do something', async () => {
    const { id, role } = await signUpWith('events:read')
    const ask = (permission: string) =>
      roster.post('/api/v1/rbac/check', { user_id: id, permission }, asRoot).then(({ body }) => body)
    expect(await ask('events:read')).toEqual({ allowed: true, roles: [role] })
    expect(await ask('users:read')).toEqual({ allowed: false, roles: [] })
    await roster.sql('update users set is_active = false where id = $1', [id])
    expect(await ask('events:read')).toEqual({ allowed: false, roles: [] })
    for (const permission of ['users:fly', '*', '__proto__']) {
      expect(await ask(permission)).toMatchObject({
        status: 400,
        errors: [{ path: '/permission', code: 'unknown_permission' }],
      })
    }
  })

  test('show who holds them in person, and that everybody holds user, with users:read only', async () => {
    const { role, id } = await signUpWith('events:read')
    const reader = await signUpWith('roles:read')
    const members = (name: string, as: { token: string }) =>
      roster.get(`/api/v1/rbac/roles/${name}/members`, { token: as.token })
    const { body } = await members(role, reader)
    expect(Object.keys(body.items[0])).toEqual(['id', 'username', 'granted_at', 'granted_by'])
    expect(await members('user', reader)).toMatchObject({
      status: 403,
      body: { code: 'forbidden', detail: expect.stringContaining('users:read') },
    })
    await roster.post(`/api/v1/users/${reader.id}/roles`, { role: 'support' }, asRoot)
    expect((await members(role, reader)).body.items).toMatchObject([
      { id, email: expect.stringContaining('@'), full_name: null, is_active: true },
    ])
    expect((await members('user', reader)).status).toBe(200)
  })
})

describe('nobody gets more than they have', () => {
  test('by making a role that allows more', async () => {
    const maker = await signUpWith('roles:manage', 'users:read')
    const make = (permissions: string[]) =>
      roster.post('/api/v1/rbac/roles', { name: newName(), description: 'x', permissions }, maker)
    expect((await make(['users:read'])).status).toBe(201)
    for (const more of [['*'], ['users:read', 'users:erase']]) {
      expect((await make(more)).status).toBe(403)
    }
  })

  test('by adding to a role, their own or another, or by taking from a mightier one', async () => {
    const maker = await signUpWith('roles:manage', 'users:read')
    const change = (name: string, body: object) => roster.put(`/api/v1/rbac/roles/${name}`, body, maker)
    for (const name of [maker.role, 'user', 'auditor']) {
      expect((await change(name, { permissions: ['users:read', 'users:erase'] })).status).toBe(403)
    }
    for (const body of [{ permissions: [] }, { description: 'x' }, { requires_mfa: false }]) {
      expect((await change('auditor', body)).status).toBe(403)
      expect((await change('admin', body)).status).toBe(403)
    }
    expect((await roster.delete('/api/v1/rbac/roles/support', maker)).status).toBe(403)
  })

  test('by giving a role, to themselves or others, or by taking a mightier one', async () => {
    const giver = await signUpWith('roles:assign', 'users:read')
    const other = await roster.signUp()
    for (const id of [giver.id, other.id]) {
      for (const role of ['admin', 'support', 'auditor']) {
        expect((await roster.post(`/api/v1/users/${id}/roles`, { role }, giver)).status).toBe(403)
        expect((await roster.put(`/api/v1/users/${id}/roles`, { roles: [role] }, giver)).status).toBe(403)
      }
    }
    expect((await roster.delete(`/api/v1/users/${root.id}/roles/admin`, giver)).status).toBe(403)
    expect((await roster.put(`/api/v1/users/${root.id}/roles`, { roles: [] }, giver)).status).toBe(403)
    expect((await roster.get(`/api/v1/users/${root.id}/roles`, giver)).body.roles).toContain('admin')
  })

  test('and nobody who lacks a permission changes what binds everybody', async () => {
    const maker = await signUpWith('roles:manage', 'events:read')
    const change = (name: string, body: object) => roster.put(`/api/v1/rbac/roles/${name}`, body, maker)
    for (const body of [{ requires_mfa: true }, { permissions: ['events:read'] }, { description: 'x' }]) {
      expect(await change('user', body)).toMatchObject({
        status: 403,
        body: { code: 'forbidden', detail: expect.stringContaining('system role user') },
      })
    }
    expect((await change(maker.role, { requires_mfa: true })).body.detail).toContain('requires_mfa')
    expect((await change(maker.role, { description: 'y', requires_mfa: false })).status).toBe(200)
    expect((await roster.get('/api/v1/users/me', asRoot)).status).toBe(200)
    const { body: before } = await roster.get('/api/v1/rbac/roles/user', asRoot)
    const described = await roster.put('/api/v1/rbac/roles/user', { description: 'Everybody' }, asRoot)
    expect(described.status).toBe(200)
    await roster.put('/api/v1/rbac/roles/user', { description: before.description }, asRoot)
  })

  test('nor shuts out somebody mightier by a role that demands a second factor', async () => {
    const giver = await signUpWith('roles:assign')
    const role = newName()
    const demanding = { name: role, description: 'x', permissions: [], requires_mfa: true }
    await roster.post('/api/v1/rbac/roles', demanding, asRoot)
    expect((await roster.post(`/api/v1/users/${root.id}/roles`, { role }, giver)).body.code).toBe('forbidden')
    expect((await roster.get('/api/v1/users', asRoot)).status).toBe(200)
    const other = await roster.signUp()
    expect((await roster.post(`/api/v1/users/${other.id}/roles`, { role }, giver)).status).toBe(200)
    const mightier = await signUpWith('events:read')
    await roster.post(`/api/v1/users/${mightier.id}/roles`, { role }, asRoot)
    const taken = await roster.delete(`/api/v1/users/${mightier.id}/roles/${role}`, giver)
    expect(taken.body.code).toBe('forbidden')
  })
})

describe('a role that does not exist', () => {
  test('is refused under the field that named it', async () => {
    const { id } = await roster.signUp()
    const email = 'nobody@example.com'
    for (const [method, url, body, path] of [
      ['POST', `/users/${id}/roles`, { role: 'nobody' }, '/role'],
      ['PUT', `/users/${id}/roles`, { roles: ['nobody'] }, '/roles'],
      ['POST', '/users', { email, role: 'nobody' }, '/role'],
      ['POST', '/users', { email, role: 'support', roles: ['nobody'] }, '/roles'],
    ] as const) {
      const reply = await roster.request(method, `/api/v1${url}`, { ...asRoot, body })
      expect(reply.body.errors).toMatchObject([{ path, code: 'unknown_role' }])
    }
  })

  test('any more, because it is deleted at the same moment, is refused as well', async () => {
    const { id } = await roster.signUp()
    const seen = new Set<string>()
    for (let round = 0; round < 30; round += 1) {
      const role = newName()
      await roster.post('/api/v1/rbac/roles', { name: role, description: 'x', permissions: [] }, asRoot)
      const replies = await Promise.all([
        roster.post(`/api/v1/users/${id}/roles`, { role }, asRoot),
        roster.post('/api/v1/users', { email: `${role}@example.com`, roles: [role] }, asRoot),
        roster.delete(`/api/v1/rbac/roles/${role}`, asRoot),
      ])
      for (const { status, body } of replies)
        seen.add(`${status} ${body?.errors?.[0].code ?? body?.code ?? ''}`)
    }
    const possible = ['200 ', '201 ', '204 ', '400 unknown_role', '409 role_in_use']
    expect([...seen].filter(outcome => !possible.includes(outcome))).toEqual([])
  })
})

describe('a grant', () => {
  test('shows in the user, moves updated_at, and leaves one audit row and one event', async () => {
    const user = await roster.signUp()
    roster.clock.advance(5000)
    const grant = () => roster.post(`/api/v1/users/${user.id}/roles`, { role: 'support' }, asRoot)
    const replies = await Promise.all(Array.from({ length: 20 }, grant))
    expect(replies.every(({ status }) => status === 200)).toBe(true)
    const me = await roster.get('/api/v1/users/me', user)
    expect(me.body).toMatchObject({
      role: 'user',
      roles: ['support', 'user'],
      updated_at: roster.clock.now().toISOString(),
      updated_by: root.id,
    })
    expect(await audit('role.granted', user.id)).toHaveLength(1)
    const events = await roster.sql(
      `select data from events where type = 'user.roles_updated' and user_id = $1`,
      [user.id],
    )
    expect(events.map(({ data }) => data.roles)).toEqual([['support', 'user']])
  })

  test('and its end reach the very next request, however the id is written', async () => {
    const user = await roster.signUp()
    const roles = `/api/v1/users/${user.id.toUpperCase()}/roles`
    const list = () => roster.get('/api/v1/users', user).then(({ status }) => status)
    const shown = () => roster.get('/api/v1/users/me', user).then(({ body }) => body.roles)
    expect([await list(), await shown()]).toEqual([403, ['user']])
    await roster.post(roles, { role: 'admin' }, asRoot)
    expect([await list(), await shown()]).toEqual([200, ['admin', 'user']])
    await roster.delete(`${roles}/admin`, asRoot)
    expect([await list(), await shown()]).toEqual([403, ['user']])
    expect(await audit('role.revoked', user.id)).toHaveLength(1)
  })

  test('of an unknown user is not found', async () => {
    const nobody = '019c1379-3f00-7000-8000-000000000000'
    for (const method of ['GET', 'PUT', 'POST']) {
      const body = { GET: undefined, PUT: { roles: [] }, POST: { role: 'support' } }[method]
      const { status } = await roster.request(method, `/api/v1/users/${nobody}/roles`, { ...asRoot, body })
      expect(status).toBe(404)
    }
  })
})

describe('a role change reaches its holders', () => {
  test('with the very next request, in another process within a second, also with its listener cut', async () => {
    const holder = await signUpWith('roles:read')
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    const here = () => roster.get('/api/v1/rbac/roles', holder).then(({ status }) => status)
    const there = () => second.get('/api/v1/rbac/roles', holder).then(({ status }) => status)
    const set = (...permissions: string[]) =>
      roster.put(`/api/v1/rbac/roles/${holder.role}`, { permissions }, asRoot)
    expect([await here(), await there()]).toEqual([200, 200])

    await set('users:read')
    expect(await here()).toBe(403)
    await sleep(1000)
    expect(await there()).toBe(403)

    await set('roles:read')
    expect(await here()).toBe(200)
    await sleep(1000)
    expect(await there()).toBe(200)
    await roster.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'roster news' and datname = current_database()`,
    )
    await set('users:read')
    await sleep(1000)
    expect([await here(), await there()]).toEqual([403, 403])

    await roster.delete(`/api/v1/users/${holder.id}/roles/${holder.role}`, asRoot)
    expect((await roster.get('/api/v1/users/me', holder)).body.roles).toEqual(['user'])
    await second.stop()
  })
})

describe('the last administrator', () => {
  test('can’t be demoted, by nobody', async () => {
    const taken = await roster.delete(`/api/v1/users/${root.id}/roles/admin`, asRoot)
    expect(taken).toMatchObject({ status: 409, body: { code: 'last_administrator' } })
    const emptied = await roster.put(`/api/v1/users/${root.id}/roles`, { roles: ['support'] }, asRoot)
    expect(emptied.body.code).toBe('last_administrator')
    expect((await roster.get(`/api/v1/users/${root.id}/roles`, asRoot)).body.roles).toEqual(['admin', 'user'])
  })

  test('is left when two demote each other, 200 times over', async () => {
    const fresh = await startTestApp()
    const two = [await fresh.signUpAdmin(), await fresh.signUpAdmin()] as const
    const outcomes = new Set<string>()
    for (let round = 0; round < 200; round += 1) {
      const demote = (by: SignedUp, whom: SignedUp) =>
        fresh.delete(`/api/v1/users/${whom.id}/roles/admin`, { token: by.token })
      const replies = await Promise.all([demote(two[0], two[1]), demote(two[1], two[0])])
      const statuses = replies.map(({ status }) => status).sort()
      outcomes.add(statuses.join())
      const left = await fresh.sql(`select user_id from user_roles where role_name = 'admin'`)
      expect(left, `round ${round}`).toHaveLength(1)
      const winner = two.find(({ id }) => id === left[0].user_id) ?? two[0]
      const loser = two.find(({ id }) => id !== winner.id) ?? two[1]
      const back = await fresh.post(
        `/api/v1/users/${loser.id}/roles`,
        { role: 'admin' },
        { token: winner.token },
      )
      expect(back.status).toBe(200)
    }
    // The loser is either too late (409), or no administrator any more when it is their turn (403).
    expect([...outcomes].every(outcome => ['200,403', '200,409'].includes(outcome))).toBe(true)
    await fresh.stop()
  })
})
