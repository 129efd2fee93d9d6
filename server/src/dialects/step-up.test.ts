import { expect, test } from 'vitest'
import { hours } from '../lib/clock.ts'
import { useTestApp } from '../testing/harness.ts'
import { enrolTotp } from '../testing/second-factors.ts'

const roster = await useTestApp()
const { body: document } = await roster.get('/openapi.json')

type Operation = { tags: string[]; security?: object[] }

/** Every route of a dialect that takes a token alone. */
const routes = Object.entries<Record<string, Operation>>(document.paths).flatMap(([url, item]) =>
  Object.entries(item)
    .filter(
      ([, { tags, security = [] }]) => tags.some(tag => tag.endsWith('dialect')) && security.length === 1,
    )
    .map(([method]) => `${method.toUpperCase()} ${url}`),
)

type Call = [route: string, body?: object]

const username = { username: 'another_name' }
const proof = { otp: '123456' }

/** What each of them does, there and under /api/v1. */
const twins: Readonly<Record<string, { own: Call; other: Call }>> = {
  'GET /v1/api/users/': { own: ['GET /v1/api/users/'], other: ['GET /api/v1/users/me'] },
  'PATCH /v1/api/users/': {
    own: ['PATCH /v1/api/users/', { first_name: 'Ada' }],
    other: ['PATCH /api/v1/users/me', { first_name: 'Ada' }],
  },
  'DELETE /v1/api/users/': { own: ['DELETE /v1/api/users/'], other: ['DELETE /api/v1/users/me'] },
  'GET /v1/api/users/admin-only': {
    own: ['GET /v1/api/users/admin-only'],
    other: ['GET /api/v1/rbac/roles'],
  },
  'PUT /auth/profile/username': {
    own: ['PUT /auth/profile/username', username],
    other: ['PUT /api/v1/auth/profile/username', username],
  },
  'POST /auth/profile/email/initiate': {
    own: ['POST /auth/profile/email/initiate', { newEmail: 'new@example.com' }],
    other: ['POST /api/v1/auth/profile/email/initiate', { new_email: 'new@example.com' }],
  },
  'POST /auth/profile/email/complete': {
    own: ['POST /auth/profile/email/complete', { newEmail: 'new@example.com', ...proof }],
    other: ['POST /api/v1/auth/profile/email/complete', { new_email: 'new@example.com', ...proof }],
  },
}

/** Signed in an hour ago. */
async function stale(): Promise<string> {
  const { refresh } = await roster.signUp()
  roster.clock.advance(hours(1))
  return (await roster.post('/api/v1/auth/refresh', { refresh_token: refresh })).body.access_token
}

/** Has proved the password just now, and the second factor an hour ago. */
async function half(): Promise<string> {
  const { token, refresh, password } = await roster.signUp()
  await enrolTotp(roster, { token })
  roster.clock.advance(hours(1))
  const { body } = await roster.post('/api/v1/auth/refresh', { refresh_token: refresh })
  const stepped = await roster.post('/api/v1/auth/step-up', { password }, { token: body.access_token })
  return stepped.body.access_token
}

/** Whether a call is refused for want of a recent proof. */
async function wantsProof([route, body]: Call, token: string): Promise<boolean> {
  const [method = '', url = ''] = route.split(' ')
  const { status, text } = await roster.request(method, url, { token, ...(body && { body }) })
  return status === 403 && /Recent authentication required|second factor from the last/.test(text)
}

test('every route of a dialect has a twin', () => {
  expect(Object.keys(twins).sort()).toEqual(routes.sort())
})

test.each(Object.keys(twins))('%s wants a recent proof where its twin does', async route => {
  const twin = twins[route]
  if (!twin) throw new Error('no twin')
  for (const session of [stale, half])
    expect(await wantsProof(twin.own, await session())).toBe(await wantsProof(twin.other, await session()))
})

test('deleting an account wants one', async () => {
  expect(await wantsProof(['DELETE /v1/api/users/'], await stale())).toBe(true)
})
