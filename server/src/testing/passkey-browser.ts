import fs from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { Browser, CDPSession, Page } from 'playwright-core'
import { launchChromium } from './chromium.ts'

/** A page in a real Chromium, with authenticators that exist in it alone. */
export type PasskeyBrowser = {
  /** Of the page that the service is told about, and of another one. */
  origin: string
  otherOrigin: string
  /** Plugs in an authenticator, the only one from then on: one that verifies its person, or a plain security key. */
  plugIn(kind: { verifiesUser: boolean }): Promise<VirtualAuthenticator>
  /** Makes a passkey, as the page of a service would. @throws what the browser throws */
  register(options: unknown, origin?: string): Promise<unknown>
  /** Signs a challenge. */
  sign(options: unknown, origin?: string): Promise<unknown>
  stop(): Promise<void>
}

export type VirtualAuthenticator = ReturnType<typeof authenticatorOf>

export async function startPasskeyBrowser(): Promise<PasskeyBrowser> {
  const servers = await Promise.all([servePage(), servePage()])
  const [origin = '', otherOrigin = ''] = servers.map(originOf)
  const browser = await launchChromium()
  const page = await browser.newPage()
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable', { enableUI: false })
  let pluggedIn: string | undefined

  async function ask(call: string, options: unknown, at: string): Promise<unknown> {
    if (page.url() !== `${at}/`) await page.goto(`${at}/`)
    return page.evaluate(`SimpleWebAuthnBrowser.${call}({ optionsJSON: ${JSON.stringify(options)} })`)
  }

  return {
    origin,
    otherOrigin,
    async plugIn({ verifiesUser }) {
      if (pluggedIn)
        await devtools.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: pluggedIn })
      const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
        options: {
          protocol: 'ctap2',
          transport: verifiesUser ? 'internal' : 'usb',
          hasResidentKey: verifiesUser,
          hasUserVerification: verifiesUser,
          isUserVerified: verifiesUser,
          automaticPresenceSimulation: true,
        },
      })
      pluggedIn = authenticatorId
      return authenticatorOf(devtools, authenticatorId)
    },
    register: (options, at = origin) => ask('startRegistration', options, at),
    sign: (options, at = origin) => ask('startAuthentication', options, at),
    async stop() {
      await closeAll(browser, page, servers)
    },
  }
}

function authenticatorOf(devtools: CDPSession, authenticatorId: string) {
  const credentials = async () =>
    (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials
  return {
    /** What is in it, private keys and all. */
    credentials,
    /** Puts a credential in place of those that it has. */
    async replace(credential: Awaited<ReturnType<typeof credentials>>[number]): Promise<void> {
      await devtools.send('WebAuthn.clearCredentials', { authenticatorId })
      await devtools.send('WebAuthn.addCredential', { authenticatorId, credential })
    },
  }
}

async function closeAll(browser: Browser, page: Page, servers: readonly Server[]): Promise<void> {
  await page.close()
  await browser.close()
  for (const server of servers) {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
}

/** A page with the browser's half of SimpleWebAuthn, on a port of its own. */
async function servePage(): Promise<Server> {
  const library = createRequire(import.meta.url).resolve('@simplewebauthn/browser')
  const script = fs.readFileSync(
    `${library.replace(/@simplewebauthn\/browser\/.*/, '')}@simplewebauthn/browser/dist/bundle/index.umd.min.js`,
  )
  const server = createServer((request, response) => {
    const isScript = request.url === '/script.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(
      isScript ? script : '<!doctype html><title>Passkeys</title><script src="/script.js"></script>',
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return server
}

/** `localhost`, since an IP address can’t be an RP id. A server that listens has an address with a port. */
const originOf = (server: Server): string => `http://localhost:${(server.address() as AddressInfo).port}`
