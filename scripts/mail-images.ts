/**
 * Draws the pictures of mails in docs/images: three mails, each as wide as a desktop and a phone, light and one
 * dark. Needs a Chromium: `CHROMIUM=/path/to/chromium` where it is not /usr/bin/chromium.
 */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { Browser } from 'playwright-core'
import { createMailRenderer } from '../server/src/delivery/mail/render.ts'
import type { MailData } from '../server/src/delivery/templates.ts'
import { launchChromium } from '../server/src/testing/chromium.ts'

const folder = path.join(import.meta.dirname, '../docs/images')
const site = 'https://accounts.example.com'
const token = 'kq3Xv9TtVnA2sJm0cQeY1w'

const mails = {
  verify_email: { name: 'Ada Lovelace', code: '482913', link: `${site}/verify-email?token=${token}` },
  new_device: {
    name: 'Ada Lovelace',
    device: 'Firefox on Linux',
    ip: '203.0.113.7',
    at: '2026-01-31T10:00:00.000Z',
  },
  email_changed: {
    name: 'Ada Lovelace',
    new_email_masked: 'a•••@example.org',
    undo_link: `${site}/undo-email-change?token=${token}`,
  },
} satisfies Partial<MailData>

const renderer = createMailRenderer({
  brand: { name: 'Example', logoUrl: undefined, color: '#2f6feb', site },
  templatesDir: undefined,
  onFailure(template, error) {
    throw new Error(`${template} failed`, { cause: error })
  },
})

await mkdir(folder, { recursive: true })
const browser = await launchChromium()
try {
  for (const template of ['verify_email', 'new_device', 'email_changed'] as const) {
    const locale = template === 'new_device' ? 'de-AT' : 'en-GB'
    const { html } = await renderer.render(template, mails[template], { locale, timezone: 'Europe/Vienna' })
    await draw(browser, html, `mail-${template}-desktop`, { width: 820, height: 500 }, 'light')
    await draw(browser, html, `mail-${template}-phone`, { width: 375, height: 500 }, 'light')
    if (template === 'verify_email') {
      await draw(browser, html, `mail-${template}-phone-dark`, { width: 375, height: 500 }, 'dark')
    }
  }
} finally {
  await browser.close()
}

async function draw(
  { newPage }: Pick<Browser, 'newPage'>,
  html: string,
  name: string,
  viewport: { width: number; height: number },
  colorScheme: 'light' | 'dark',
): Promise<void> {
  const page = await newPage.call(browser, { viewport, colorScheme, deviceScaleFactor: 1 })
  await page.setContent(html)
  await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true })
  await page.close()
}
