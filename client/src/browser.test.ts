import { createServer } from 'node:http'
import path from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { rolldown } from 'rolldown'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { hasBrowser, launchChromium } from '../../server/src/testing/chromium.ts'
import { startTestApp, useTestApp } from '../../server/src/testing/harness.ts'
import { listen } from '../../server/src/testing/http-server.ts'
import type { Roster } from './index.ts'

declare const roster: Roster

/* In a real browser: the page of testing/page.ts, of another origin than the service, in browser mode. */

const password = 'SecurePass123'

async function servePage(): Promise<{ origin: string; close(): void }> {
  const input = path.join(import.meta.dirname, 'testing/page.ts')
  const bundle = await rolldown({ input, platform: 'browser', logLevel: 'silent' })
  const { output } = await bundle.generate({ minify: true })
  await bundle.close()
  const script = output[0].code.replaceAll('</script', '<\\/script')
  const html =
    "<!doctype html><script>window.process={env:{NODE_ENV:'production'}}</script>" +
    `<body><script type="module">${script}</script>`
  const server = createServer((_request, reply) =>
    reply.writeHead(200, { 'content-type': 'text/html' }).end(html),
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const at = server.address()
  const port = typeof at === 'object' ? at?.port : undefined
  return { origin: `http://localhost:${port}`, close: () => void server.close() }
}

describe.skipIf(!hasBrowser)('in a browser', async () => {
  const service = await useTestApp()
  let address: string
  let browser: Browser
  let context: BrowserContext
  let page: Awaited<ReturnType<typeof servePage>>
  /** Requests by path. */
  let sent: string[] = []

  beforeAll(async () => {
    service.clock.set(new Date())
    page = await servePage()
    const api = `http://localhost:${await listen(service.app)}`
    address = `${page.origin}/?service=${encodeURIComponent(api)}`
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    page.close()
  })
  afterEach(() => context.close())

  async function openTabs(count: number): Promise<Page[]> {
    context = await browser.newContext()
    sent = []
    context.on('request', request => {
      if (request.method() !== 'OPTIONS') sent.push(new URL(request.url()).pathname)
    })
    const tabs: Page[] = []
    for (let n = 0; n < count; n += 1) {
      const tab = await context.newPage()
      await tab.goto(address)
      tabs.push(tab)
    }
    return tabs
  }

  const signIn = (tab: Page, email: string) =>
    tab.evaluate(input => roster.signIn(input).then(({ status }) => status), { email, password })

  const refreshes = () => sent.filter(each => each === '/api/v1/auth/refresh').length
  const shown = (tab: Page, id: string, text: string) =>
    expect.poll(() => tab.locator(`[id="${id}"]`).textContent()).toBe(text)

  test('ten tabs with fifty calls over a dead token refresh it once, and none fails', async () => {
    const tabs = await openTabs(10)
    const { email, id } = await service.signUp()
    expect(await signIn(tabs[0] as Page, email)).toBe('signed_in')
    for (const tab of tabs) await shown(tab, 'name', email)
    service.clock.advance(3_600_000)
    sent = []
    const replies = await Promise.all(
      tabs.map(tab =>
        tab.evaluate(() =>
          Promise.all(Array.from({ length: 5 }, () => roster.get('/api/v1/auth/me').then(me => me.id))),
        ),
      ),
    )
    expect(replies.flat()).toEqual(Array(50).fill(id))
    expect(refreshes()).toBe(1)
  })

  test('who signs out in one tab is signed out in all, and after a reload', async () => {
    const tabs = await openTabs(3)
    const [first, second] = tabs as [Page, Page]
    const { email } = await service.signUp()
    await signIn(first, email)
    for (const tab of tabs) await shown(tab, 'status', 'signed_in')
    await second.reload()
    await shown(second, 'name', email)
    await second.evaluate(() => roster.signOut())
    for (const tab of tabs) await shown(tab, 'out', 'Sign in')
    await first.reload()
    await shown(first, 'status', 'signed_out')
  })

  test('no script sees the refresh token', async () => {
    const [tab] = (await openTabs(1)) as [Page]
    const { email } = await service.signUp()
    await signIn(tab, email)
    const seen = await tab.evaluate(
      '[document.cookie, JSON.stringify(localStorage), JSON.stringify(roster.session)].join()',
    )
    expect(seen).not.toMatch(/rrt_|refreshToken/)
  })

  test('a form is drawn from the definitions, saves, and says what was not taken', async () => {
    const admin = await service.signUpAdmin()
    const definition = {
      key: 'ui.rows',
      scope: 'preference',
      category: 'ui',
      setting_type: 'integer',
      description: 'Rows on a page',
      default_value: 20,
      validation_rules: { min: 5, max: 100 },
    }
    const made = await service.post('/api/v1/settings/definitions', definition, { token: admin.token })
    expect(made.status).toBe(201)
    const [tab] = (await openTabs(1)) as [Page]
    const { email } = await service.signUp()
    await signIn(tab, email)
    const input = tab.locator('[id="ui.rows"]')
    expect(await input.getAttribute('type')).toBe('number')
    expect(await tab.locator('label', { hasText: 'Rows on a page' }).count()).toBe(1)
    const change = (value: number) =>
      tab.evaluate(
        value =>
          roster.put('/api/v1/users/me/preferences', { body: { 'ui.rows': value } }).then(
            () => 'saved',
            error => error.code,
          ),
        value,
      )
    expect(await change(50)).toBe('saved')
    expect(await change(1)).toBe('settings_invalid')
    await tab.reload()
    await shown(tab, 'ui.rows.value', '50')
    await input.fill('1')
    await input.blur()
    await expect.poll(() => tab.locator('[id="ui.rows.error"]').textContent()).not.toBe('')
    await shown(tab, 'ui.rows.value', '50')
  })
})

test.skipIf(!hasBrowser)('a passkey is made, and signs its person in without a name', async () => {
  const page = await servePage()
  const service = await startTestApp({ config: { publicUrl: page.origin } })
  const browser = await launchChromium()
  try {
    service.clock.set(new Date())
    const api = `http://localhost:${await listen(service.app)}`
    const tab = await browser.newPage()
    const devtools = await tab.context().newCDPSession(tab)
    await devtools.send('WebAuthn.enable')
    await devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    })
    await tab.goto(`${page.origin}/?service=${encodeURIComponent(api)}`)
    const { email, id } = await service.signUp()
    await service.sql('update users set email_verified_at = now() where id = $1', [id])
    await tab.evaluate(input => roster.signIn(input), { email, password })
    const made = await tab.evaluate(() =>
      roster.guarded(() => roster.addPasskey('Laptop')).then(outcome => outcome.status),
    )
    expect(made).toBe('done')
    await tab.evaluate(() => roster.signOut())
    const arrival = await tab.evaluate(() =>
      roster.signInWithPasskey().then(signIn => [signIn.status, roster.session?.user.id]),
    )
    expect(arrival).toEqual(['signed_in', id])
  } finally {
    await browser.close()
    await service.stop()
    page.close()
  }
})
