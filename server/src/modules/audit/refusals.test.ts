import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { minutes } from '../../lib/clock.ts'
import { type SignedUp, startTestApp, useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()
const root = await roster.signUpAdmin()

async function signUpSupport(): Promise<SignedUp> {
  const user = await roster.signUp()
  const granted = await roster.post(`/api/v1/users/${user.id}/roles`, { role: 'support' }, root)
  expect(granted.status).toBe(200)
  return user
}

/** What was denied to somebody, oldest first; written after the reply. */
const denied = (actor: { id: string }, from = roster) =>
  from.sql(
    `select action, subject_type, subject_id, session_id, details->>'route' as route, details->>'reason' as reason
     from audit_log where outcome = 'denied' and actor_id = $1 order by id`,
    [actor.id],
  )

describe('what a signed-in caller is refused', () => {
  test('leaves a row each: who, what, to whom and why', async () => {
    const support = await signUpSupport()
    const user = await roster.signUp()
    const one = `/api/v1/users/${root.id}`
    const refused = [
      ['PUT', one, { full_name: 'X' }, `PUT /api/v1/users/{id}`, 'user', root.id],
      ['POST', `${one}/deactivate`, undefined, 'POST /api/v1/users/{id}/deactivate', 'user', root.id],
      [
        'DELETE',
        `/api/v1/users/${user.id.toUpperCase()}`,
        undefined,
        'DELETE /api/v1/users/{id}',
        'user',
        user.id,
      ],
      ['POST', '/api/v1/users', { email: 'x@example.com' }, 'POST /api/v1/users', null, null],
      [
        'DELETE',
        '/api/v1/rbac/roles/support',
        undefined,
        'DELETE /api/v1/rbac/roles/{name}',
        'role',
        'support',
      ],
      ['GET', '/api/v1/users/me%20/roles', undefined, 'GET /api/v1/users/{id}/roles', null, null],
    ] as const
    for (const [method, url, body] of refused) {
      expect((await roster.request(method, url, { token: support.token, body })).body.code).toBe('forbidden')
    }
    await expect.poll(() => denied(support)).toHaveLength(refused.length)
    const rows = refused.map(([, , , route, subject_type, subject_id]) => ({
      action: 'access.denied',
      subject_type,
      subject_id,
      session_id: support.session,
      route,
      reason: 'forbidden',
    }))
    // Each is written for itself, so two that follow on one another may change places.
    const written: unknown[] = await denied(support)
    expect(written).toHaveLength(rows.length)
    expect(written).toEqual(expect.arrayContaining(rows))
  })

  test('names the reason: a field, a step-up, the last administrator, a system role', async () => {
    const support = await signUpSupport()
    const user = await roster.signUp()
    await roster.put('/api/v1/users/me', { role: 'admin' }, support)
    await roster.delete('/api/v1/rbac/roles/user', root)
    await roster.delete(`/api/v1/users/${root.id}/roles/admin`, root)
    roster.clock.advance(minutes(11))
    await roster.post(`/api/v1/users/${user.id}/mfa-reset`, undefined, support)
    const reasons = async (actor: { id: string }) => (await denied(actor)).map(({ reason }) => reason).sort()
    await expect.poll(() => reasons(support)).toEqual(['forbidden_field', 'step_up_required'])
    await expect.poll(() => reasons(root)).toEqual(['last_administrator', 'system_role'])
  })

  test('makes no more than a row a minute of one route and reason, however often and at whom', async () => {
    const user = await roster.signUp()
    const attack = () =>
      Promise.all(
        Array.from({ length: 50 }, () => roster.get(`/api/v1/users/${randomUUID()}/sessions`, user)),
      )
    expect((await attack()).every(({ status }) => status === 403)).toBe(true)
    await expect.poll(() => denied(user)).toHaveLength(1)
    roster.clock.advance(minutes(1))
    await attack()
    await expect.poll(() => denied(user)).toHaveLength(2)
  })

  test('leaves nothing where nobody was signed in, nor of what is simply wrong', async () => {
    const before = await roster.sql(`select id from audit_log where outcome = 'denied'`)
    await roster.get('/api/v1/users')
    await roster.get('/api/v1/users', { token: 'nonsense' })
    await roster.put(`/api/v1/users/${root.id}`, { nonsense: 1 }, root)
    await roster.get(`/api/v1/users/${randomUUID()}`, root)
    expect(await roster.sql(`select id from audit_log where outcome = 'denied'`)).toEqual(before)
  })
})

test('a row that can’t be written yet holds up no reply, and a clean stop waits for it', async () => {
  const own = await startTestApp()
  const user = await own.signUp()
  const release = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  const blocked = own.services.store.pool.connect().then(async client => {
    await client.query('begin; lock table audit_log in exclusive mode')
    held.resolve()
    await release.promise
    await client.query('commit')
    client.release()
  })
  await held.promise
  expect((await own.get('/api/v1/users', user)).status).toBe(403)
  expect(await denied(user, own)).toEqual([])
  const closed = own.app.close()
  release.resolve()
  await Promise.all([blocked, closed])
  expect(await denied(user, own)).toHaveLength(1)
  await own.stop()
})
