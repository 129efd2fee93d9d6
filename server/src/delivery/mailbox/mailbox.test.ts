import { describe, expect, onTestFinished, test } from 'vitest'
import { startTestApp, useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()
const { outbound } = roster.services

async function keep(): Promise<void> {
  await roster.resources.store.transact(async trx => {
    await outbound.mail(trx, {
      template: 'verify_email',
      to: 'Ada@example.com',
      locale: 'de',
      data: {
        name: '<script>alert(1)</script>',
        code: '482913',
        link: 'http://localhost:8000/v?token=a&b="',
      },
    })
    roster.clock.advance(1)
    await outbound.mail(trx, {
      template: 'username_changed',
      to: 'bob@example.com',
      data: { new_username: '<img src=x>' },
    })
    roster.clock.advance(1)
    await outbound.sms(trx, { template: 'phone_code', to: '+12025550123', data: { code: '118822' } })
  })
}

await keep()

describe('as JSON', () => {
  test('it has every message in full, newest first', async () => {
    const { status, body } = await roster.get('/dev/mailbox.json')
    expect(status).toBe(200)
    expect(body.items.map(({ to }: { to: string }) => to)).toEqual([
      '+12025550123',
      'bob@example.com',
      'Ada@example.com',
    ])
    expect(body.items[0]).toEqual({
      id: expect.any(String),
      channel: 'sms',
      to: '+12025550123',
      subject: null,
      text: '118822 confirms your phone number for Roster. It works for 10 minutes.',
      html: null,
      purpose: 'PHONE_VERIFICATION',
      code: '118822',
      link: null,
      created_at: expect.stringMatching(/^2026-01-31T10:00:00\.\d{3}Z$/),
    })
    expect(body.items[1]).toMatchObject({ purpose: 'USERNAME_CHANGED', code: null, link: null })
    expect(body.items[2]).toMatchObject({
      channel: 'email',
      subject: 'Bestätigen Sie Ihre E-Mail-Adresse für Roster',
      purpose: 'EMAIL_VERIFICATION',
      code: '482913',
      link: 'http://localhost:8000/v?token=a&b="',
    })
  })

  test('one recipient is picked out, in any case', async () => {
    const { body } = await roster.get('/dev/mailbox.json?to=ada@EXAMPLE.com')
    expect(body.items.map(({ code }: { code: string }) => code)).toEqual(['482913'])
    expect((await roster.get('/dev/mailbox.json?to=%2B12025550123')).body.items).toHaveLength(1)
    expect((await roster.get('/dev/mailbox.json?to=nobody@example.com')).body.items).toEqual([])
  })

  test('an unknown parameter is refused', async () => {
    expect(await roster.get('/dev/mailbox.json?too=x')).toMatchObject({ status: 400 })
  })

  test('a message of which the key is lost is left out, and the others are there', async () => {
    await roster.sql(
      `update messages set content = set_byte(content, 40, 1) where recipient = 'bob@example.com'`,
    )
    const { body } = await roster.get('/dev/mailbox.json')
    expect(body.items).toHaveLength(2)
  })
})

describe('as a page', () => {
  test('the list runs no script, loads itself anew, and shows what people wrote as text', async () => {
    const { status, text, headers } = await roster.get('/dev/mailbox')
    expect(status).toBe(200)
    expect(headers['content-type']).toContain('text/html')
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    expect(headers['referrer-policy']).toBe('no-referrer')
    expect(text).toContain('http-equiv="refresh"')
    expect(text).toContain('name="viewport"')
    expect(text).toContain('482913')
    expect(text).not.toMatch(/<script|style="|onerror|<img/i)
    expect((await roster.get('/dev/mailbox.css')).text).toContain('prefers-color-scheme: dark')
  })

  test.each(['"><script>x</script>', '{{ 7 }}', 'bob@example.com'])(
    'the recipient %s comes back as text alone',
    async to => {
      const { text } = await roster.get(`/dev/mailbox?to=${encodeURIComponent(to)}`)
      expect(text).not.toContain('<script')
      expect(text).toContain('value="')
    },
  )

  test('a message is shown with its code, its link and its text, and the mail in a frame that can do nothing', async () => {
    const { body } = await roster.get('/dev/mailbox.json?to=ada@example.com')
    const [{ id }] = body.items
    const page = await roster.get(`/dev/mailbox/${id}`)
    expect(page.headers['content-security-policy']).toContain("frame-src 'self'")
    expect(page.text).toContain('482913')
    expect(page.text).toContain('href="http://localhost:8000/v?token=a&amp;b=&quot;"')
    expect(page.text).toContain(`<iframe src="/dev/mailbox/${id}/html"`)
    expect(page.text).not.toContain('<script')

    const framed = await roster.get(`/dev/mailbox/${id}/html`)
    expect(framed.headers['content-security-policy']).toMatch(
      /default-src 'none'.*frame-ancestors 'self'; sandbox/,
    )
    expect(framed.text).not.toContain('<script')
  })

  test.each(['nonsense', '019c1a2b-3c4d-7e5f-8a6b-9c0d1e2f3a4b', '..%2f..%2fetc'])(
    'there is no message %s',
    async id => {
      expect((await roster.get(`/dev/mailbox/${id}`)).status).toBeGreaterThanOrEqual(400)
      expect((await roster.get(`/dev/mailbox/${id}`)).status).toBeLessThan(500)
    },
  )

  test('a text message has no page of its own inside', async () => {
    const { body } = await roster.get('/dev/mailbox.json?to=%2B12025550123')
    const [{ id }] = body.items
    expect((await roster.get(`/dev/mailbox/${id}`)).text).not.toContain('<iframe')
    expect((await roster.get(`/dev/mailbox/${id}/html`)).status).toBe(404)
  })
})

describe('to pages from elsewhere', () => {
  const paths = ['/dev/mailbox', '/dev/mailbox.json', '/dev/mailbox.css', '/dev/mailbox/nothing']

  test.each([
    'evil.example',
    'localhost.evil.example',
    '192.168.1.7:8000',
    'a@localhost.example',
    'localhost:x',
    '?',
  ])('that lead a name of theirs here it answers nothing: Host %j', async host => {
    for (const url of paths) {
      const reply = await roster.app.inject({ url, headers: { host } })
      expect([reply.statusCode, reply.body.includes('482913')]).toEqual([403, false])
    }
  })

  test.each(['localhost', 'LOCALHOST:8000', '127.0.0.1:8000', '[::1]:8000', 'roster.localhost:81'])(
    'it is none under Host %j',
    async host => {
      expect((await roster.app.inject({ url: '/dev/mailbox.json', headers: { host } })).statusCode).toBe(200)
    },
  )

  test('CORS lets none of them read it, though in development it lets them read the rest', async () => {
    const allowedFor = async (url: string, method: 'GET' | 'OPTIONS', origin: string) => {
      const headers = { origin, 'access-control-request-method': 'GET' }
      return (await roster.app.inject({ method, url, headers })).headers['access-control-allow-origin']
    }
    for (const origin of ['https://evil.example', 'http://localhost:3000', 'http://localhost:8000'])
      for (const method of ['GET', 'OPTIONS'] as const) {
        for (const url of paths) expect(await allowedFor(url, method, origin)).toBeUndefined()
        expect(await allowedFor('/health', method, origin)).toBe(origin)
      }
  })
})

test.each([
  [
    'with a provider that sends',
    { emailProvider: 'smtp', smtpUrl: 'smtp://127.0.0.1:1', smsProvider: 'none' },
  ],
  ['in production, whatever the provider', { environment: 'production' }],
] as const)('there is no mailbox %s', async (_when, config) => {
  const other = await startTestApp({ config })
  onTestFinished(() => other.stop())
  for (const path of ['', '.json', '.css', '/019c1a2b-3c4d-7e5f-8a6b-9c0d1e2f3a4b']) {
    expect(await other.get(`/dev/mailbox${path}`)).toMatchObject({ status: 404 })
  }
})
