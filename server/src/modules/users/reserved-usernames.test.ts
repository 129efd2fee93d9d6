import { describe, expect, test } from 'vitest'
import { startTestApp, useTestApp } from '../../testing/harness.ts'
import { createAdministratorByOperator } from '../auth/index.ts'

const roster = await useTestApp({ config: { reservedUsernames: ['acme', 'press-office'] } })
const admin = await roster.signUpAdmin()
const password = 'SecurePass123'
let counter = 0
const address = (local = 'someone') => `${local}@host${++counter}.example`

const namesAtFault = ({ status, body }: { status: number; body: Record<string, unknown> }) =>
  [status, JSON.stringify(body.errors ?? body.detail ?? body.error)].join(' ')

describe.each([
  ...['null', 'NULL', 'undefined', 'admin', 'Ad.min', 'root', 'no-reply', 'NoReply', 'con', '__proto__'],
  ...['...', '---', '.git', 'name.', '-rf', 'acme', 'A-C-M-E', 'press.office'],
])('the username %s', username => {
  test('is refused by every door', async () => {
    const { id, token } = await roster.signUp()
    const person = { email: address(), password, username }
    const replies = await Promise.all([
      roster.post('/api/v1/auth/register', person),
      roster.post('/auth/register', { ...person, first_name: 'A', last_name: 'B' }),
      roster.post('/api/v1/users', { email: address(), username }, admin),
      roster.put(`/api/v1/users/${id}`, { username }, admin),
      roster.put('/api/v1/auth/profile/username', { username }, { token }),
      roster.put('/auth/profile/username', { username }, { token }),
      roster.patch('/v1/api/users/', { username }, { token }),
    ])
    for (const reply of replies) expect(namesAtFault(reply)).toMatch(/^400 .*username (is reserved|takes 3)/)
    await expect(createAdministratorByOperator(roster.services, person)).rejects.toMatchObject({
      code: 'validation_failed',
      errors: [{ path: '/username', code: 'username' }],
    })
  })
})

test.each(['admin', 'null', 'No.Reply', 'postmaster', 'acme', 'press-office', 'con'])(
  'the address of %s@ gives a username that is none of the reserved',
  async local => {
    const { status, body } = await roster.post('/api/v1/auth/register', { email: address(local), password })
    expect([status, body.username]).toEqual([201, expect.stringMatching(/^[A-Za-z][\w.-]*\d$/)])
  },
)

test('names that only begin like a reserved one are free, and so are those that other operators add', async () => {
  const elsewhere = await startTestApp()
  for (const username of ['administrata', 'nullmann', 'rooty', 'acme2', 'con.rad']) {
    const { status } = await roster.post('/api/v1/auth/register', { email: address(), password, username })
    expect([username, status]).toEqual([username, 201])
  }
  const own = { email: address(), password, username: 'acme' }
  expect((await elsewhere.post('/api/v1/auth/register', own)).status).toBe(201)
  await elsewhere.stop()
})

test('whoever has one from before keeps it, and signs in with it', async () => {
  const user = await roster.signUp()
  await roster.sql(`update users set username = '.Git', username_key = '.git' where id = $1`, [user.id])
  expect((await roster.post('/api/v1/auth/login', { username: '.GIT', password })).status).toBe(200)
  const changed = await roster.put(`/api/v1/users/${user.id}`, { full_name: 'Still Here' }, admin)
  expect([changed.status, changed.body.username]).toEqual([200, '.Git'])
})
