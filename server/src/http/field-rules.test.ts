import { describe, expect, test } from 'vitest'
import { useTestApp } from '../testing/harness.ts'
import { checkAll } from './field-rules.ts'
import { ProblemError } from './problems.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()
const person = await roster.signUp()

type Case = [method: string, url: string, input: Record<string, unknown>, faults: string[]]

const cases: Case[] = [
  [
    'PUT',
    '/api/v1/users/me/profile',
    { years_of_experience: 'ten', timezone: 'PST', locale: 'xx_', skills: ['a,b'], visibility: 'none' },
    [
      '/locale locale',
      '/skills/0 name',
      '/timezone timezone',
      '/visibility not_allowed',
      '/years_of_experience wrong_type',
    ],
  ],
  [
    'PUT',
    '/api/v1/users/me/profile',
    {
      bio: ' ',
      website_url: 'javascript:1',
      education: [{ institution: '\u3164', start_year: 1200, end_year: 2000 }],
      experience: [{ title: 'Engineer', company: 'Acme', start: '2020-05', end: '2019-01', salary: 1 }],
    },
    [
      '/bio text',
      '/education/0/institution name',
      '/education/0/start_year too_small',
      '/experience/0/end too_small',
      '/experience/0/salary unknown_field',
      '/website_url url',
    ],
  ],
  [
    'PATCH',
    '/api/v1/users/me',
    { full_name: '\u2800', locale: 7, email: 'new@example.com', shoe_size: 42 },
    ['/email changed_elsewhere', '/full_name name', '/locale wrong_type', '/shoe_size unknown_field'],
  ],
  [
    'POST',
    '/api/v1/auth/register',
    { email: 'nobody', username: 'null', confirm_password: 'Other1234', password: 'short', is_active: 'yes' },
    [
      '/confirm_password mismatch',
      '/email email',
      '/is_active wrong_type',
      '/password common',
      '/password no_digit',
      '/password no_upper_case',
      '/password too_short',
      '/username username',
    ],
  ],
  [
    'POST',
    '/api/v1/auth/register',
    { username: '.git', first_name: ' ' },
    ['/email required', '/first_name name', '/password required', '/username username'],
  ],
  [
    'POST',
    '/api/v1/users',
    { email: 'a@b', username: '---', password_hash: 'plain', roles: 'admin' },
    ['/email email', '/password_hash password_hash', '/roles wrong_type', '/username username'],
  ],
  [
    'PUT',
    `/api/v1/users/${person.id}`,
    { email: 'a@b', timezone: 'US/Pacific-New', role: 'admin', first_name: 3 },
    ['/email email', '/first_name wrong_type', '/role changed_elsewhere', '/timezone timezone'],
  ],
]

describe.each(cases)('%s %s', (method, url, input, faults) => {
  test(`of ${JSON.stringify(input)} names all that is wrong, by schema and by rule`, async () => {
    const isOwn = url.includes('/me')
    const { token } = isOwn ? person : admin
    const reply = await roster.request(method, url, {
      body: input,
      ...(!url.includes('register') && { token }),
    })
    const found = reply.body.errors.map(({ path, code }: { path: string; code: string }) => `${path} ${code}`)
    expect([reply.status, found.sort()]).toEqual([400, faults])
    const first = reply.body.errors[0]
    expect(reply.body.detail).toContain(first.message)
  })
})

test('a query names all that is wrong with it', async () => {
  const { body } = await roster.get(
    '/api/v1/users?limit=x&sort=email&q=a&created_after=1969-01-01T00:00:00Z',
    admin,
  )
  expect(body.errors.map(({ path }: { path: string }) => path).sort()).toEqual([
    'created_after',
    'limit',
    'sort',
  ])
})

test('what breaks a rule alone has a detail as well', async () => {
  const replies = await Promise.all([
    roster.put('/api/v1/users/me/profile', { timezone: 'PST' }, person),
    roster.post('/api/v1/auth/login', { password: 'SecurePass123' }),
    roster.post('/api/v1/auth/profile/email/initiate', { new_email: 'x' }, person),
    roster.put('/api/v1/auth/profile/username', { username: '...' }, person),
    roster.get('/api/v1/users?cursor=none', admin),
  ])
  for (const { body } of replies) {
    expect([body.code, body.detail]).toEqual(['validation_failed', expect.stringMatching(/.{10}/)])
  }
})

test('a dialect names them too', async () => {
  const body = { email: 'x', username: 'null', password: 'SecurePass123', first_name: 7, last_name: 'B' }
  const { status, body: refused } = await roster.post('/auth/register', body)
  expect(status).toBe(400)
  for (const field of ['email', 'username', 'first_name']) expect(refused.detail).toContain(field)
})

test('checks that are all run throw what else is wrong at once', () => {
  const fault = (path: string) => () => {
    throw new ProblemError('validation_failed', { errors: [{ path, code: 'x', message: 'is wrong' }] })
  }
  expect(() => checkAll(fault('/a'), () => 1, fault('/b'))).toThrow(
    expect.objectContaining({
      errors: [expect.objectContaining({ path: '/a' }), expect.objectContaining({ path: '/b' })],
    }),
  )
  const other = new ProblemError('not_found')
  expect(() =>
    checkAll(fault('/a'), () => {
      throw other
    }),
  ).toThrow(other)
})
