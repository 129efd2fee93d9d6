import { describe, expect, test } from 'vitest'
import { type SignedUp, useTestApp } from '../testing/harness.ts'
import { createVisitor as createPageVisitor } from '../testing/page-visitor.ts'
import { enrolTotp } from '../testing/second-factors.ts'

const roster = await useTestApp()
const createVisitor = () => createPageVisitor(roster)

const password = ({ password }: SignedUp) => password

test('a sign-in leads to the path of ours that was asked for, and nowhere else', async () => {
  const user = await roster.signUp()
  for (const [next, place] of [
    ['/account?tab=2', '/account?tab=2'],
    ['//other.example', '/account'],
    ['/\\other.example', '/account'],
    ['https://other.example', '/account'],
    ['javascript:alert(1)', '/account'],
    ['/\t/other.example', '/account'],
  ] as const) {
    const visitor = createVisitor()
    const flow = await visitor.begin(user.email, next)
    const done = await visitor.post('/sign-in/password', { flow, password: password(user) })
    expect([done.status, done.location]).toEqual([303, place])
    expect((await visitor.get('/account')).text).toContain(user.email)
  }
})

test('the pages say the same of a name with an account and of one without', async () => {
  const user = await roster.signUp()
  const replies = await Promise.all(
    [user.email, 'nobody@example.com'].map(async name => {
      const visitor = createVisitor()
      const flow = await visitor.begin(name)
      const page = await visitor.get(`/sign-in/password?flow=${flow}`)
      const wrong = await visitor.post('/sign-in/password', { flow, password: 'WrongPass123' })
      const plain = (text: string) =>
        text.replaceAll(name, 'NAME').replaceAll(encodeURIComponent(name), 'NAME').replaceAll(flow, 'FLOW')
      const bare = (text: string) => plain(text).replaceAll(/name="form" value="[^"]*"/g, '')
      return [page.status, bare(page.text), wrong.status, bare(wrong.text)]
    }),
  )
  expect(replies[0]).toEqual(replies[1])
  expect(replies[0]?.[2]).toBe(401)
})

test('a form of another site signs nobody in and nobody out', async () => {
  const user = await roster.signUp()
  const visitor = createVisitor()
  const flow = await visitor.begin(user.email)
  const fields = { flow, password: password(user) }
  for (const origin of ['https://other.example', 'null', 'http://localhost.other.example'])
    expect((await visitor.post('/sign-in/password', fields, origin)).status).toBe(403)
  await visitor.post('/sign-in/password', fields)
  expect((await visitor.post('/sign-out', {}, 'https://other.example')).status).toBe(403)
  expect((await visitor.get('/account')).status).toBe(200)
  await visitor.get('/sign-out')
  expect((await visitor.get('/account')).status).toBe(200)
  expect((await visitor.post('/sign-out', {})).location).toBe('/signed-out')
  expect((await visitor.get('/account')).location).toMatch(/^\/sign-in\?next=/)
})

test('signing in again ends the session that the browser had', async () => {
  const [first, second] = [await roster.signUp(), await roster.signUp()]
  const visitor = createVisitor()
  for (const user of [first, second]) {
    const flow = await visitor.begin(user.email)
    await visitor.post('/sign-in/password', { flow, password: password(user) })
  }
  const { body } = await roster.get('/api/v1/auth/sessions', { token: first.token })
  expect(body.sessions ?? body.items).toHaveLength(1)
  expect((await visitor.get('/account')).text).toContain(second.email)
})

test('a page that was open for too long says so, and two tabs don’t disturb each other', async () => {
  const [first, second] = [await roster.signUp(), await roster.signUp()]
  const visitor = createVisitor()
  const [one, two] = [await visitor.begin(first.email), await visitor.begin(second.email)]
  expect((await visitor.get(`/sign-in/password?flow=${one}`)).text).toContain(first.email)
  expect((await visitor.get(`/sign-in/password?flow=${two}`)).text).toContain(second.email)
  await visitor.post('/sign-in/password', { flow: one, password: password(first) })
  const old = await visitor.post('/sign-in/password', { flow: one, password: password(first) })
  expect([old.status, old.text.includes('This page is too old')]).toEqual([410, true])
})

test('signing out ends the session of a browser that has the refresh token alone', async () => {
  const user = await roster.signUp()
  const visitor = createVisitor()
  const flow = await visitor.begin(user.email)
  await visitor.post('/sign-in/password', { flow, password: password(user) })
  visitor.jar.delete('roster_session')
  expect((await visitor.get('/sign-out')).text).toContain('<form')
  await visitor.post('/sign-out', {})
  const { body } = await roster.get('/api/v1/auth/sessions', { token: user.token })
  expect(body.sessions ?? body.items).toHaveLength(1)
  expect(visitor.jar.has('roster_refresh')).toBe(false)
  const [entry] = await roster.sql(
    `select actor_type, actor_id from audit_log where subject_id = $1 and action = 'session.revoked'`,
    [user.id],
  )
  expect(entry).toEqual({ actor_type: 'user', actor_id: user.id })
})

test('a sign-in that is begun again and again leaves a browser few cookies, and the last ones good', async () => {
  const visitor = createVisitor()
  const flows: string[] = []
  for (let n = 0; n < 20; n += 1) flows.push(await visitor.begin(`person${n}@example.com`))
  expect([...visitor.jar.keys()].filter(name => name.startsWith('roster_flow_'))).toHaveLength(5)
  for (const flow of flows.slice(-5))
    expect((await visitor.get(`/sign-in/password?flow=${flow}`)).status).toBe(200)
})

test('what came of a form is for the browser that posted it, whoever else posts the same', async () => {
  const user = await roster.signUp()
  const visitor = createVisitor()
  const flow = await visitor.begin(user.email)
  const form = { form: 'sixteen_letters_', flow, password: password(user) }
  expect((await visitor.post('/sign-in/password', form)).location).toBe('/account')
  const stranger = createVisitor()
  const reply = await stranger.post('/sign-in/password', form)
  expect([reply.status, stranger.jar.size]).toEqual([410, 0])
})

describe('a second factor', () => {
  test('is asked for before anybody is signed in, and counted as everywhere', async () => {
    const user = await roster.signUp()
    const app = await enrolTotp(roster, user)
    const visitor = createVisitor()
    const flow = await visitor.begin(user.email)
    const due = await visitor.post('/sign-in/password', { flow, password: password(user) })
    expect(due.location).toBe(`/sign-in/second-factor?flow=${flow}`)
    expect((await visitor.get('/account')).status).toBe(303)
    const wrong = await visitor.post('/sign-in/second-factor', { flow, method: 'totp', code: '000000' })
    expect(wrong.status).toBe(401)
    const code = app.code(roster.clock.now())
    const form = { form: 'sixteen_letters_', flow, method: 'totp', code }
    // A double click: both get what came of the first.
    const both = await Promise.all([
      visitor.post('/sign-in/second-factor', form),
      visitor.post('/sign-in/second-factor', form),
    ])
    expect(both.map(({ location }) => location)).toEqual(['/account', '/account'])
    expect((await visitor.get('/account')).text).toContain(user.email)
  })
})
