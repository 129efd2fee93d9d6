import { expect, test } from 'vitest'
import { useTestApp } from '../testing/harness.ts'
import { createTestLog, createTestServer, sendRaw } from '../testing/http-server.ts'
import type { App } from './types.ts'

const roster = await useTestApp()

async function counted(code: string): Promise<number> {
  const line = new RegExp(`^problems_total\\{code="${code}"\\} (\\d+)$`, 'm')
  return Number(line.exec(await roster.resources.metrics.text())?.[1] ?? 0)
}

test.each([
  ['of the API', 'POST', '/api/v1/auth/register', 400, 'validation_failed'],
  ['of the user template dialect', 'POST', '/auth/register', 400, 'validation_failed'],
  ['of the profile update dialect', 'PUT', '/auth/profile/username', 401, 'unauthorized'],
  ['of a page', 'GET', '/reset-password?token=x', 400, 'invalid_link'],
  ['of a form that comes again', 'POST', '/setup', 403, 'invalid_setup_code'],
  ['for an unknown path', 'GET', '/nowhere', 404, 'not_found'],
  ['for an unknown path of a dialect', 'GET', '/v1/api/users/nowhere', 404, 'not_found'],
  ['for another method', 'DELETE', '/api/v1/auth/register', 405, 'method_not_allowed'],
  ['for a path that is none', 'GET', '/%zz', 400, 'bad_request'],
])('an error reply %s is counted once, by its code', async (_name, method, url, status, code) => {
  const before = await counted(code)
  const isForm = url === '/setup'
  const reply = await roster.app.inject({
    method: method as 'GET' | 'POST' | 'PUT' | 'DELETE', // from the table above
    url,
    ...(method === 'POST' && {
      headers: { 'content-type': isForm ? 'application/x-www-form-urlencoded' : 'application/json' },
      payload: isForm ? 'code=x&email=a@example.com&password=AdminPass123' : '{}',
    }),
  })
  expect(reply.statusCode).toBe(status)
  expect(await counted(code)).toBe(before + 1)
})

test('so is the reply to what is no request at all', async () => {
  const before = await counted('bad_request')
  expect(await sendRaw(roster.app, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
  expect(await counted('bad_request')).toBe(before + 1)
})

test('a failure of the service is logged the same way, whatever form its reply has', async () => {
  const { log, lines } = createTestLog()
  const app = createTestServer({ log })
  await app.register(async (dialect: App) => {
    dialect.setErrorHandler((_error, _request, reply) => reply.code(500).send({ detail: 'no' }))
    dialect.get('/fail', { schema: { hide: true }, config: { access: 'public' } }, async () => {
      throw new Error('secret cause')
    })
  })
  const { body } = await app.inject({ url: '/fail', headers: { 'x-request-id': 'r1' } })
  expect(body).toBe('{"detail":"no"}')
  expect(lines()).toContainEqual(
    expect.objectContaining({
      level: 'error',
      msg: 'internal_error',
      request_id: 'r1',
      method: 'GET',
      route: '/fail',
      err: expect.objectContaining({ message: 'secret cause' }),
    }),
  )
})
