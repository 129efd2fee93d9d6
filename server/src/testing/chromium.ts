import fs from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll } from 'vitest'

const program = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** Where there is no Chromium these tests skip, and the run fails with CI=true (see scripts/test-servers.ts). */
export const hasBrowser = fs.existsSync(program)

/** A Chromium that asks nobody outside for anything. */
export const launchChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: program,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })

let shared: Promise<Browser> | undefined

/** A page of a browser that knows nobody yet. The browser is shared by a file's tests, and closed after them. */
export async function openPage(options: BrowserContextOptions = {}): Promise<Page> {
  shared ??= launchChromium()
  const browser = await shared
  const context = await browser.newContext({ locale: 'en-GB', ...options })
  context.setDefaultTimeout(120_000)
  return context.newPage()
}

/** For a file whose tests open pages. */
export function closeChromiumAfterwards(): void {
  afterAll(async () => {
    const browser = await shared
    shared = undefined
    await browser?.close()
  })
}

/** Gives a page an authenticator that verifies its person and does as it is asked. Returns its id. */
export async function plugInAuthenticator(page: Page): Promise<string> {
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable', { enableUI: false })
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  return authenticatorId
}
