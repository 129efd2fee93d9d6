import { describe, expect, test } from 'vitest'
import { type Reply, useTestApp } from '../../../testing/harness.ts'
import { lastSent, tokenOf } from '../../../testing/outbox.ts'
import { setupCode } from '../index.ts'

const roster = await useTestApp({ config: { brandName: '<b>Brand & Co</b>' } })

const auth = '/api/v1/auth'
const newPassword = 'BrandNewPass456'

async function submit(path: string, fields: Record<string, string>): Promise<Reply> {
  const reply = await roster.app.inject({
    method: 'POST',
    url: path,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: new URLSearchParams(fields).toString(),
  })
  return { status: reply.statusCode, headers: reply.headers, body: undefined, text: reply.body }
}

const login = (email: string, password: string) => roster.post(`${auth}/login`, { email, password })

/** The path and query of a link: what a browser would ask this service for. */
const pathOf = (link: string | undefined): string => {
  const { pathname, search } = new URL(link ?? '')
  return pathname + search
}

async function deletedUser() {
  const user = await roster.signUp()
  await roster.delete('/api/v1/users/me', { token: user.token })
  return { user, link: (await lastSent(roster, user.email, 'account_deleted')).restore_link }
}

async function movedUser() {
  const user = await roster.signUp()
  const new_email = `moved-${user.email}`
  await roster.post(`${auth}/profile/email/initiate`, { new_email }, { token: user.token })
  const { code } = await lastSent(roster, new_email, 'email_change_code')
  await roster.post(`${auth}/profile/email/complete`, { new_email, otp: code }, { token: user.token })
  return { user, link: (await lastSent(roster, user.email, 'email_changed')).undo_link }
}

async function resettingUser() {
  const user = await roster.signUp()
  await roster.post(`${auth}/password-reset-request`, { email: user.email })
  await roster.runJobs()
  return { user, link: (await lastSent(roster, user.email, 'password_reset')).link }
}

async function unverifiedUser() {
  const user = await roster.signUp()
  return { user, link: (await lastSent(roster, user.email, 'verify_email')).link }
}

async function invitedUser() {
  const user = await roster.signUp()
  const { store, verification } = roster.services
  const { url } = await store.transact(trx =>
    verification.issueLink(trx, roster.clock.now(), {
      purpose: 'INVITATION',
      userId: user.id,
      target: user.email,
    }),
  )
  return { user, link: url }
}

describe.each([
  ['/verify-email', unverifiedUser, {}, 'SecurePass123'],
  ['/reset-password', resettingUser, { new_password: newPassword }, newPassword],
  ['/undo-email-change', movedUser, { new_password: newPassword }, newPassword],
  ['/restore-account', deletedUser, {}, 'SecurePass123'],
  ['/accept-invitation', invitedUser, { new_password: newPassword }, newPassword],
] as const)('the page %s', (path, prepare, fields, password) => {
  test('opened any number of times uses nothing up; its form does, once', async () => {
    const { user, link } = await prepare()
    expect(pathOf(link)).toMatch(new RegExp(`^${path}\\?token=`))
    for (let n = 0; n < 5; n += 1) {
      const { status, text } = await roster.get(pathOf(link))
      expect(status).toBe(200)
      expect(text).toContain(`<form method="post" action="${path}">`)
      expect(text).toContain(`name="token" value="${tokenOf(link)}"`)
    }
    expect((await roster.request('HEAD', pathOf(link))).status).toBe(200)
    const done = await submit(path, { token: tokenOf(link), ...fields })
    expect([done.status, done.text.includes('<form')]).toEqual([200, false])
    expect((await login(user.email, password)).status).toBe(200)
    const again = await submit(path, { token: tokenOf(link), ...fields })
    expect([again.status, again.text.includes('does not work')]).toEqual([400, true])
    expect((await roster.get(pathOf(link))).status).toBe(400)
  })

  test('is script-free, framed by nobody, stored nowhere, and sends its address to nobody', async () => {
    const { link } = await prepare()
    const { headers, text } = await roster.get(pathOf(link))
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
    })
    expect(headers['content-security-policy']).toMatch(
      /default-src 'none'.*form-action 'self'.*frame-ancestors 'none'/,
    )
    expect(text).not.toMatch(/<script|<style|style=|\son[a-z]+=|https?:/i)
    expect(text).toContain('&lt;b&gt;Brand &amp; Co&lt;/b&gt;')
  })

  test('gives no form to a link that is worth nothing, whatever stands in it', async () => {
    for (const query of [
      '',
      '?token=',
      '?token=x',
      '?token="><script>alert(1)</script>',
      '?token=a&token=b',
      `?token=${'x'.repeat(4000)}`,
    ]) {
      const { status, text } = await roster.get(path + query)
      expect([status, text.includes('<form'), text.includes('<script')]).toEqual([400, false, false])
    }
  })
})

describe('a form', () => {
  test('with a password against the policy comes again with the reasons, and without the password', async () => {
    const { link } = await resettingUser()
    const reply = await submit('/reset-password', { token: tokenOf(link), new_password: 'short' })
    expect(reply.status).toBe(400)
    expect(reply.text).toContain('Takes at least 8 characters')
    expect(reply.text).toContain('<form')
    expect(reply.text).not.toContain('short"')
    const done = await submit('/reset-password', { token: tokenOf(link), new_password: newPassword })
    expect(done.status).toBe(200)
  })

  test('takes form bodies alone, of 16 KiB at most; the API takes none', async () => {
    const json = await roster.post('/reset-password', { token: 'x', new_password: newPassword })
    expect([json.status, json.headers['content-type']]).toEqual([415, 'text/html; charset=utf-8'])
    expect((await submit('/reset-password', { token: 'x'.repeat(20_000) })).status).toBe(413)
    expect((await submit('/reset-password', { token: '\0' })).status).toBe(400)
    expect(
      (await submit(`${auth}/password-reset-confirm`, { token: 'x', new_password: newPassword })).status,
    ).toBe(415)
  })
})

describe('the page of the first administrator', () => {
  test('creates one with the code, shows what is wrong, and is over then', async () => {
    const code = (await setupCode(roster.services)) ?? ''
    const page = await roster.get(`/setup?code=${code}`)
    expect([page.status, page.text.includes(`name="code" value="${code}"`)]).toEqual([200, true])
    const wrong = await submit('/setup', {
      code: 'guess',
      email: 'admin@example.com',
      password: 'AdminPass123',
    })
    expect([wrong.status, wrong.text.includes('value="admin@example.com"')]).toEqual([403, true])
    expect(wrong.text).not.toContain('AdminPass123')
    const weak = await submit('/setup', { code, email: 'not an address', password: 'AdminPass123' })
    expect(weak.status).toBe(400)
    const done = await submit('/setup', { code, email: 'admin@example.com', password: 'AdminPass123' })
    expect(done.status).toBe(200)
    expect((await login('admin@example.com', 'AdminPass123')).body.user.role).toBe('admin')
    const again = await submit('/setup', { code, email: 'b@example.com', password: 'AdminPass123' })
    expect(again.status).toBe(409)
  })
})

test('the style sheet is a file of this service, without anything from elsewhere', async () => {
  const { status, headers, text } = await roster.get('/pages/page.css')
  expect([status, headers['content-type']]).toEqual([200, 'text/css; charset=utf-8'])
  expect(text).toContain('prefers-color-scheme: dark')
  expect(text).not.toContain('url(')
})

test('a page to prove an address says what will become of a password that the reader may not have set', async () => {
  const user = await roster.signUp()
  const { link: own } = await lastSent(roster, user.email, 'verify_email')
  await roster.post(`${auth}/verify-email-request`, { email: user.email })
  await roster.runJobs()
  const { link: asked } = await lastSent(roster, user.email, 'verify_email')
  expect((await roster.get(pathOf(own))).text).not.toContain('every device is signed out')
  expect((await roster.get(pathOf(asked))).text).toContain('every device is signed out')
  const done = await submit('/verify-email', { token: tokenOf(asked) })
  expect(done.text).toContain('A mail to choose a password is on its way.')
  await lastSent(roster, user.email, 'password_reset')
})
