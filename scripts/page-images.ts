/**
 * Draws the pictures of pages in docs/images, light and dark, wide and narrow, from a service that runs at the
 * address given (`node scripts/page-images.ts http://localhost:8000`). Needs a Chromium.
 */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { launchChromium } from '../server/src/testing/chromium.ts'

const folder = path.join(import.meta.dirname, '../docs/images')
const [site = 'http://localhost:8000'] = process.argv.slice(2)

await mkdir(folder, { recursive: true })
const browser = await launchChromium()
try {
  for (const name of ['sign-in', 'sign-up', 'forgot-password']) {
    await draw(name, `page-${name}`, 1000, 'light')
    await draw(name, `page-${name}-phone-dark`, 390, 'dark')
  }
} finally {
  await browser.close()
}

async function draw(page: string, file: string, width: number, colorScheme: 'light' | 'dark'): Promise<void> {
  const shown = await browser.newPage({ viewport: { width, height: 720 }, colorScheme })
  await shown.goto(`${site}/${page}`, { waitUntil: 'networkidle' })
  await shown.screenshot({ path: path.join(folder, `${file}.png`) })
  await shown.close()
}
