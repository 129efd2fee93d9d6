import { describe, expect, test } from 'vitest'
import { useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()

describe('registration', () => {
  test('answers with the user, without timestamps that have not happened', async () => {
    const { status, body } = await roster.post('/api/v1/auth/register', {
      email: 'User@Example.com',
      username: 'testuser',
      full_name: 'Test User',
      password: 'SecurePass123',
      confirm_password: 'SecurePass123',
    })
    expect(body).toMatchObject({
      email: 'User@Example.com',
      username: 'testuser',
      full_name: 'Test User',
      role: 'user',
      roles: ['user'],
      is_active: true,
      created_at: '2026-01-31T10:00:00.000Z',
      updated_at: null,
      last_login_at: null,
    })
    expect(status).toBe(201)
  })

  test('login hands out tokens that open /auth/me', async () => {
    const { status, body } = await roster.post('/api/v1/auth/login', { email: 'user@example.com', password: 'SecurePass123' })
    expect(status).toBe(200)
    const me = await roster.get('/api/v1/auth/me', { token: body.access_token })
    expect(me.body).toEqual(body.user)
    const again = await roster.post('/api/v1/auth/refresh', { refresh_token: body.refresh_token })
    expect(again.status).toBe(200)
    const list = await roster.get('/api/v1/auth/sessions', { token: again.body.access_token })
    expect(list.body.items).toHaveLength(1)
    expect((await roster.post('/api/v1/auth/logout', undefined, { token: body.access_token })).status).toBe(204)
    expect((await roster.get('/api/v1/auth/me', { token: body.access_token })).status).toBe(401)
  })
})
