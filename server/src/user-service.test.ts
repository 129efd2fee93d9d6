import { describe, expect, test } from 'vitest'
import { useTestApp } from './testing/harness.ts'

/* A user service of accounts, profiles, preferences and premium: its endpoints and the examples of its use. */

const roster = await useTestApp()
const api = '/api/v1'

test('every endpoint of the user service is there', async () => {
  const endpoints = `
    POST /auth/register, POST /auth/login, POST /auth/refresh, POST /auth/logout, POST /auth/logout-all,
    POST /auth/password-reset-request, POST /auth/password-reset-confirm, POST /auth/verify-email-request,
    POST /auth/verify-email, GET /auth/me, POST /auth/change-password, GET /auth/sessions,
    DELETE /auth/sessions/{session_id}, GET /users/me, PUT /users/me, GET /users/me/profile, PUT /users/me/profile,
    GET /users/me/preferences, PUT /users/me/preferences, GET /users/me/stats, DELETE /users/me,
    POST /users/me/upgrade, POST /users/me/downgrade, GET /users/search, GET /users/{id},
    GET /users/{id}/profile, GET /users/{id}/preferences`
  const { body } = await roster.get('/openapi.json')
  for (const endpoint of endpoints.split(',')) {
    const [method = '', path = ''] = endpoint.trim().split(' ')
    expect(body.paths[api + path]?.[method.toLowerCase()], endpoint.trim()).toBeDefined()
  }
  for (const path of ['/', '/health', '/metrics', '/db/status']) {
    expect((await roster.get(path)).status, path).toBe(200)
  }
})

describe('the examples', () => {
  let token = ''

  test('register a user', async () => {
    const { status, body } = await roster.post(`${api}/auth/register`, {
      email: 'user@example.com',
      username: 'testuser',
      full_name: 'Test User',
      password: 'SecurePass123',
      confirm_password: 'SecurePass123',
    })
    expect(status).toBe(201)
    expect(body).toMatchObject({ email: 'user@example.com', username: 'testuser', full_name: 'Test User' })
  })

  test('log in', async () => {
    const { status, body } = await roster.post(`${api}/auth/login`, {
      email: 'user@example.com',
      password: 'SecurePass123',
    })
    expect(status).toBe(200)
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 1800 })
    token = body.access_token
  })

  test('update the profile', async () => {
    const change = {
      full_name: 'Updated Name',
      current_title: 'Software Engineer',
      location: 'San Francisco, CA',
    }
    const { status, body } = await roster.put(`${api}/users/me`, change, { token })
    expect(status).toBe(200)
    expect(body).toMatchObject(change)
  })

  test('set preferences for job matching, become premium, and find and read somebody else', async () => {
    const preferences = {
      'job.types': ['full_time', 'contract'],
      'job.titles': ['Software Engineer'],
      'job.locations': ['San Francisco, CA'],
      'job.remote': 'hybrid',
      'job.salary_min': 120_000,
      'job.salary_max': 180_000,
      'job.salary_currency': 'USD',
      'job.industries': ['Software'],
      'job.experience_level': 'senior',
      'job.company_size': ['51-200'],
      'job.available_from': '2026-03-01',
      'job.open_to_relocation': true,
    }
    const set = await roster.put(`${api}/users/me/preferences`, preferences, { token })
    expect(set.body.values).toEqual(preferences)
    const other = await roster.signUp({ username: 'somebody', full_name: 'Some Body' })
    const url = `${api}/users/${other.id}`
    expect((await roster.get(url, { token })).body.code).toBe('premium_required')
    expect((await roster.post(`${api}/users/me/upgrade`, undefined, { token })).status).toBe(200)
    const found = await roster.get(`${api}/users/search?q=some`, { token })
    expect(found.body.items.map(({ id }: { id: string }) => id)).toEqual([other.id])
    for (const part of ['', '/profile', '/preferences']) {
      expect((await roster.get(url + part, { token })).status).toBe(200)
    }
    expect((await roster.get(`${api}/users/me/stats`, { token })).body.settings_changed).toBe(12)
    expect((await roster.post(`${api}/users/me/downgrade`, undefined, { token })).body.is_premium).toBe(false)
    expect((await roster.delete(`${api}/users/me`, { token })).status).toBe(204)
    expect((await roster.get(`${api}/users/me`, { token })).status).toBe(401)
  })
})
