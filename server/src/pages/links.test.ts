import { describe, expect, test } from 'vitest'
import { setupCode } from '../modules/auth/index.ts'
import { type Reply, useTestApp } from '../testing/harness.ts'
import { lastSent, tokenOf } from '../testing/outbox.ts'
import { registerPasskey, signInWithPasskey } from '../testing/software-authenticator.ts'

const roster = await useTestApp({ config: { brandName: '<b>Brand & Co</b>' } })

const auth = '/api/v1/auth'
const newPassword = 'BrandNewPass456'

async function submit(path: string, fields: Record<string, string>, cookie = ''): Promise<Reply> {
  const reply = await roster.app.inject({
    method: 'POST',
    url: path,
    headers: { 'content-type': 'application/x-www-form-urlencoded', cookie },
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
    expect([done.status, done.headers.location]).toEqual([303, `${path}/done`])
    const said = await roster.get(`${path}/done`)
    expect([said.status, said.text.includes('<form')]).toEqual([200, false])
    expect((await login(user.email, password)).status).toBe(200)
    const again = await submit(path, { token: tokenOf(link), ...fields })
    expect([again.status, again.text.includes('does not work')]).toEqual([400, true])
    expect((await roster.get(pathOf(link))).status).toBe(400)
  })

  test('says to the browser that used its link that it is done, and to no other', async () => {
    const { link } = await prepare()
    const form = { form: 'sixteen_letters_', token: tokenOf(link), ...fields }
    const both = await Promise.all([submit(path, form), submit(path, form)])
    expect(both.map(({ headers }) => headers.location)).toEqual([`${path}/done`, `${path}/done`])
    const [cookie = ''] = [both[1]?.headers['set-cookie']].flat().map(value => String(value).split(';')[0])
    expect(cookie).toMatch(/^roster_used_link=/)
    const back = await roster.get(pathOf(link), { headers: { cookie } })
    expect([back.status, back.headers.location]).toEqual([303, `${path}/done`])
    const other = await prepare()
    await submit(path, { token: tokenOf(other.link), ...fields })
    expect((await roster.get(pathOf(other.link), { headers: { cookie } })).status).toBe(400)
  })

  test('runs no script of its own, is framed by nobody, stored nowhere, and sends its address to nobody', async () => {
    const { link } = await prepare()
    const { headers, text } = await roster.get(pathOf(link))
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'same-origin',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
    })
    expect(headers['content-security-policy']).toMatch(
      /default-src 'none'.*form-action 'self'.*frame-ancestors 'none'/,
    )
    expect(text).not.toMatch(
      /<script(?! src="\/pages\/[\w-]+\/script\.js" integrity=)|style=|\son[a-z]+=|https?:/i,
    )
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
    expect(reply.text).toContain('Use 8 characters or more.')
    expect(reply.text).toContain('<form')
    expect(reply.text).not.toContain('short"')
    const done = await submit('/reset-password', { token: tokenOf(link), new_password: newPassword })
    expect(done.status).toBe(303)
  })

  test('takes form bodies alone, of 32 KiB at most; the API takes none', async () => {
    const json = await roster.post('/reset-password', { token: 'x', new_password: newPassword })
    expect([json.status, json.headers['content-type']]).toEqual([415, 'text/html; charset=utf-8'])
    expect((await submit('/reset-password', { token: 'x'.repeat(40_000) })).status).toBe(413)
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
    expect([done.status, done.headers.location]).toEqual([303, '/setup/done?email=admin%40example.com'])
    expect((await login('admin@example.com', 'AdminPass123')).body.user.role).toBe('admin')
    const again = await submit('/setup', { code, email: 'b@example.com', password: 'AdminPass123' })
    expect(again.status).toBe(409)
    for (const url of ['/setup', `/setup?code=${code}`]) {
      const { status, text } = await roster.get(url)
      expect([status, text.includes('<form'), text.includes('Set-up is over')]).toEqual([409, false, true])
    }
  })
})

test('the pages of a mail speak the language that the browser asks for, or the one that the link names', async () => {
  const { link } = await unverifiedUser()
  const german = await roster.get(pathOf(link), {
    headers: { 'accept-language': 'fr, de-AT;q=0.8, en;q=0.5' },
  })
  expect(german.headers['content-language']).toBe('de-AT')
  expect(german.text).toContain('Bestätige deine E-Mail-Adresse')
  const named = await roster.get(`${pathOf(link)}&ui_locales=de`, { headers: { 'accept-language': 'en' } })
  expect(named.text).toContain('<html lang="de" dir="ltr">')
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
  expect(done.headers.location).toBe('/verify-email/done?handed-over=1')
  const said = await roster.get(String(done.headers.location))
  expect(said.text).toContain('A mail to choose a password is on its way.')
  await lastSent(roster, user.email, 'password_reset')
})

describe('a page to prove an address whose account has second factors', () => {
  async function enrolled() {
    const user = await roster.signUp()
    const { link } = await lastSent(roster, user.email, 'verify_email')
    const headers = { 'x-roster-client': 'browser', origin: 'http://localhost:8000' }
    const { email, password } = user
    const signedIn = await roster.post(`${auth}/login`, { email, password }, { headers })
    const cookies = [signedIn.headers['set-cookie']].flat().map(value => String(value).split(';')[0])
    const key = await registerPasskey(roster, { token: signedIn.body.access_token })
    return { link, key, cookie: cookies.join('; ') }
  }

  test('says that they go, and takes them, where nobody is signed in', async () => {
    const { link, key } = await enrolled()
    expect((await roster.get(pathOf(link))).text).toContain('so they are removed')
    expect((await submit('/verify-email', { token: tokenOf(link) })).status).toBe(303)
    expect((await signInWithPasskey(roster, key, true)).status).toBe(401)
  })

  test('leaves them to a browser that is signed in to that account', async () => {
    const { link, key, cookie } = await enrolled()
    expect((await roster.get(pathOf(link), { headers: { cookie } })).text).not.toContain('are removed')
    expect((await submit('/verify-email', { token: tokenOf(link) }, cookie)).status).toBe(303)
    expect((await signInWithPasskey(roster, key, true)).body).toHaveProperty('access_token')
  })

  test('takes them where the browser is signed in to another account, or its cookie is made up', async () => {
    const other = await enrolled()
    for (const cookie of [other.cookie, `roster_session=${crypto.randomUUID()}.${'A'.repeat(43)}`]) {
      const { link, key } = await enrolled()
      expect((await roster.get(pathOf(link), { headers: { cookie } })).text).toContain('so they are removed')
      await submit('/verify-email', { token: tokenOf(link) }, cookie)
      expect((await signInWithPasskey(roster, key, true)).status).toBe(401)
    }
  })
})

test('a page that restores an account which nobody had proved says that it is handed over', async () => {
  const { user, link: own } = await deletedUser()
  await roster.post(`${auth}/password-reset-request`, { email: user.email })
  await roster.runJobs()
  const { restore_link: asked } = await lastSent(roster, user.email, 'account_deleted')
  expect((await roster.get(pathOf(own))).text).toContain('as it was')
  expect((await roster.get(pathOf(asked))).text).toContain('by a second mail')
  const done = await submit('/restore-account', { token: tokenOf(asked) })
  expect(done.headers.location).toBe('/restore-account/done?handed-over=1')
  const said = await roster.get(String(done.headers.location))
  expect(said.text).toContain('A mail to choose a password is on its way.')
  expect((await login(user.email, user.password)).status).toBe(401)
})

describe('the page behind a mail speaks as the mail does', () => {
  const inGerman = async (locale: string, more = '', language = 'en-GB, fr;q=0.5') => {
    const { user, link } = await resettingUser()
    await roster.sql('update users set locale = $2 where id = $1', [user.id, locale])
    const url = `${pathOf(link)}${more}`
    return { link, page: await roster.get(url, { headers: { 'accept-language': language } }) }
  }

  test.each(['de', 'de-AT', 'de-CH'])(
    'for somebody whose locale is %s, whatever the browser asks for',
    async locale => {
      const { link, page } = await inGerman(locale)
      expect(page.headers['content-language']).toBe(locale)
      expect(page.text).toContain(`<html lang="${locale}"`)
      const again = await submit('/reset-password', { token: tokenOf(link), new_password: 'short' })
      expect([again.status, again.headers['content-language']]).toEqual([400, locale])
      expect(again.text).not.toContain('Use 8 characters')
      const cookie = String([page.headers['set-cookie']].flat()[0]).split(';')[0] ?? ''
      const done = await submit(
        '/reset-password',
        { token: tokenOf(link), new_password: newPassword },
        cookie,
      )
      const said = await roster.get(String(done.headers.location), { headers: { cookie } })
      expect(said.headers['content-language']).toBe(locale)
    },
  )

  test('for an English one in a German browser', async () => {
    const { page } = await inGerman('en-US', '', 'de')
    expect(page.headers['content-language']).toBe('en-US')
  })

  test('unless the address asks for another', async () => {
    const { page } = await inGerman('de', '&ui_locales=en')
    expect(page.headers['content-language']).toBe('en')
  })
})
