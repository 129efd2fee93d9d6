import { generateSync } from 'otplib'
import { describe, expect, test } from 'vitest'
import { minutes } from '../lib/clock.ts'
import { useTestApp } from '../testing/harness.ts'
import { lastSent } from '../testing/outbox.ts'
import { createVisitor } from '../testing/page-visitor.ts'
import { softwareAuthenticator } from '../testing/software-authenticator.ts'

const roster = await useTestApp({ config: { environment: 'production' } })

/** An administrator, whose role demands a second factor, in a browser: signed in, and able to do nothing but enrol. */
async function enrolling() {
  const admin = await roster.signUpAdmin()
  const visitor = createVisitor(roster)
  const flow = await visitor.begin(admin.email, '/account?then')
  const { location } = await visitor.post('/sign-in/password', { flow, password: admin.password })
  expect(location).toBe('/sign-in/enrol?next=%2Faccount%3Fthen')
  return { admin, visitor }
}

const field = (text: string, name: string) =>
  new RegExp(`name="${name}" value="([^"]*)"`).exec(text)?.[1]?.replaceAll('&amp;', '&') ?? ''

describe('who must have a second factor', () => {
  test('enrols an app, keeps recovery codes, and goes on to where they wanted', async () => {
    const { admin, visitor } = await enrolling()
    const choices = await visitor.get('/sign-in/enrol?next=%2Faccount%3Fthen')
    for (const method of ['totp', 'passkey', 'sms', 'email'])
      expect(choices.text).toContain(`/sign-in/enrol/${method}`)
    // Opening the page makes no secret: only its form does.
    expect((await visitor.get('/sign-in/enrol/totp')).location).toBe('/sign-in/enrol')
    const begun = await visitor.post('/sign-in/enrol/totp', { step: 'begin', next: '/account?then' })
    const url = field(begun.text, 'url')
    expect(begun.text).toContain('data:image/svg+xml;base64,')
    const wrong = await visitor.post('/sign-in/enrol/totp', { url, code: '000000', next: '/account?then' })
    expect([wrong.status, field(wrong.text, 'url')]).toEqual([400, url])
    const secret = new URL(url).searchParams.get('secret') ?? ''
    const epoch = Math.floor(roster.clock.now().getTime() / 1000)
    const code = generateSync({ secret, epoch })
    const done = await visitor.post('/sign-in/enrol/totp', { url, code, next: '/account?then' })
    expect(done.location).toBe('/sign-in/enrol/recovery-codes?next=%2Faccount%3Fthen')
    expect((await visitor.get(done.location)).text).not.toContain('class="codes"')
    const codes = await visitor.post('/sign-in/enrol/recovery-codes', { next: '/account?then' })
    expect(codes.text.match(/<li>[\w-]{19}<\/li>/g)).toHaveLength(10)
    expect(codes.text).toContain('href="/account?then"')
    expect((await visitor.get('/account')).text).toContain(admin.email)
  })

  test('enrols codes by mail and by text message', async () => {
    const { admin, visitor } = await enrolling()
    const sent = await visitor.post('/sign-in/enrol/email', {})
    expect(sent.text).toContain(admin.email)
    const { code = '' } = await lastSent(roster, admin.email, 'mfa_code')
    const form = { step: 'confirm', target: admin.email, code }
    expect((await visitor.post('/sign-in/enrol/email', { ...form, code: 'x' })).status).toBe(400)
    expect((await visitor.post('/sign-in/enrol/email', form)).location).toBe('/sign-in/enrol/recovery-codes')
    const page = await visitor.get('/sign-in/enrol/sms')
    expect(page.text).toContain('name="phone_number"')
    const bad = await visitor.post('/sign-in/enrol/sms', { phone_number: '12' })
    expect([bad.status, bad.text.includes('value="12"')]).toEqual([400, true])
  })

  test('enrols a passkey', async () => {
    const { visitor } = await enrolling()
    const page = await visitor.get('/sign-in/enrol/passkey')
    const options = JSON.parse(
      (/data-options="([^"]*)"/.exec(page.text)?.[1] ?? '')
        .replaceAll('&quot;', '"')
        .replaceAll('&amp;', '&'),
    )
    for (const credential of ['', 'x', '{}', '{"id": 1}'])
      expect((await visitor.post('/sign-in/enrol/passkey', { credential })).status).toBe(400)
    const credential = JSON.stringify(softwareAuthenticator().register(options))
    const done = await visitor.post('/sign-in/enrol/passkey', { credential })
    expect(done.location).toBe('/sign-in/enrol/recovery-codes')
  })
})

test('nobody enrols anything in a browser that was left open: they prove who they are first', async () => {
  const user = await roster.signUp()
  const visitor = createVisitor(roster)
  const flow = await visitor.begin(user.email)
  await visitor.post('/sign-in/password', { flow, password: user.password })
  expect((await visitor.get('/sign-in/passkey')).status).toBe(200)
  roster.clock.advance(minutes(10) + 1)
  const again = `/sign-in?prompt=login&login_hint=${encodeURIComponent(user.email)}`
  for (const path of ['/passkey', '/enrol/sms', '/enrol/email', '/enrol/passkey', '/enrol/recovery-codes'])
    expect((await visitor.get(`/sign-in${path}`)).location).toBe(
      `${again}&next=${encodeURIComponent(`/sign-in${path}`)}`,
    )
  for (const path of ['/passkey', '/enrol/totp', '/enrol/sms', '/enrol/email', '/enrol/recovery-codes'])
    expect((await visitor.post(`/sign-in${path}`, { step: 'begin' })).location).toBe(again)
  expect(await roster.sql('select 1 from second_factors where user_id = $1', [user.id])).toEqual([])
})

test('who has recovery codes keeps them, and who enrols is named in the log', async () => {
  const { admin, visitor } = await enrolling()
  await visitor.post('/sign-in/enrol/email', {})
  const { code = '' } = await lastSent(roster, admin.email, 'mfa_code')
  await visitor.post('/sign-in/enrol/email', { step: 'confirm', target: admin.email, code })
  expect((await visitor.get('/sign-in/enrol/recovery-codes')).status).toBe(200)
  await visitor.post('/sign-in/enrol/recovery-codes', {})
  expect((await visitor.get('/sign-in/enrol/recovery-codes?next=%2Faccount')).location).toBe('/account')
  const entries = await roster.sql(
    `select action, actor_type, actor_id from audit_log
     where subject_id = $1 and action in ('mfa.enrolled', 'mfa.recovery_codes_created')
     order by action`,
    [admin.id],
  )
  expect(entries).toEqual(
    ['mfa.enrolled', 'mfa.recovery_codes_created'].map(action => ({
      action,
      actor_type: 'user',
      actor_id: admin.id,
    })),
  )
})

test('nobody who is not signed in enrols anything', async () => {
  const visitor = createVisitor(roster)
  for (const path of ['', '/sms', '/email', '/passkey', '/recovery-codes'])
    expect((await visitor.get(`/sign-in/enrol${path}`)).location).toMatch(/^\/sign-in\?next=/)
  for (const path of ['/totp', '/sms', '/email', '/passkey', '/recovery-codes'])
    expect((await visitor.post(`/sign-in/enrol${path}`, { step: 'begin' })).location).toBe('/sign-in')
})

describe('each second factor', () => {
  test('by mail is sent by a form alone, and other ways are offered', async () => {
    const { admin, visitor } = await enrolling()
    await visitor.post('/sign-in/enrol/email', {})
    const first = await lastSent(roster, admin.email, 'mfa_code')
    await visitor.post('/sign-in/enrol/email', {
      step: 'confirm',
      target: admin.email,
      code: first.code ?? '',
    })
    const codes = await visitor.post('/sign-in/enrol/recovery-codes', {})
    const [, recovery = ''] = /<li>([\w-]{19})<\/li>/.exec(codes.text) ?? []

    const other = createVisitor(roster)
    const flow = await other.begin(admin.email)
    const due = await other.post('/sign-in/password', { flow, password: admin.password })
    const page = await other.get(due.location)
    expect(page.text).toContain('We can send a code to your e-mail address.')
    expect(page.text).toContain('method=recovery_code')
    const sent = await other.post('/sign-in/second-factor/send', { flow, method: 'email' })
    expect((await other.get(sent.location)).text).toContain('Enter the code that we sent by e-mail.')
    expect((await other.post('/sign-in/second-factor', { flow, method: 'email', code: ' ' })).status).toBe(
      400,
    )
    const { code = '' } = await lastSent(roster, admin.email, 'mfa_code')
    const done = await other.post('/sign-in/second-factor', { flow, method: 'email', code })
    expect(done.location).toBe('/account')

    const third = createVisitor(roster)
    const again = await third.begin(admin.email)
    await third.post('/sign-in/password', { flow: again, password: admin.password })
    const form = { flow: again, method: 'recovery_code', code: recovery }
    expect((await third.post('/sign-in/second-factor', form)).location).toBe('/account')
  })

  test('is gone with its sign-in', async () => {
    const visitor = createVisitor(roster)
    for (const path of ['/sign-in/second-factor', '/sign-in/second-factor/send'])
      expect((await visitor.post(path, { flow: 'twelve_chars', method: 'email' })).status).toBe(410)
    expect((await visitor.get('/sign-in/second-factor?flow=twelve_chars')).status).toBe(410)
  })
})

test('a passkey that is none signs nobody in, and says so on the sign-in page', async () => {
  const visitor = createVisitor(roster)
  for (const credential of ['', '{}', 'nonsense']) {
    const reply = await visitor.post('/sign-in/with-passkey', { credential })
    expect([reply.status, reply.text.includes('That passkey was not accepted')]).toEqual([401, true])
  }
})
