import { AxeBuilder } from '@axe-core/playwright'
import { describe, expect, test } from 'vitest'
import { closeChromiumAfterwards, hasBrowser, openPage } from '../testing/chromium.ts'
import { usePageService } from '../testing/page-service.ts'

/** Pages that anybody can open, by address. */
const open = [
  '/sign-in',
  '/sign-in/password?flow=gone-for-now',
  '/sign-up',
  '/check-mail?email=ada%40example.com',
  '/check-mail?email=ada%40example.com&again=1',
  '/address-confirmed',
  '/forgot-password',
  '/forgot-password?sent=ada%40example.com',
  '/signed-out',
]

const looks = [
  ['light', 1440],
  ['dark', 1440],
  ['light', 390],
  ['dark', 390],
] as const

describe.runIf(hasBrowser)('how pages look', async () => {
  const service = await usePageService({
    config: {
      termsUrl: 'https://example.com/terms',
      privacyUrl: 'https://example.com/privacy',
      supportEmail: 'help@example.com',
    },
  })
  closeChromiumAfterwards()

  test.each(open)(
    '%s is one light reply, with no fault that axe finds in light or dark, wide or narrow',
    async path => {
      const page = await openPage()
      const sizes: number[] = []
      const others: string[] = []
      page.on('response', async response => {
        if (response.url().startsWith('data:')) return
        if (!response.url().startsWith(service.at('/'))) others.push(response.url())
        sizes.push((await response.body()).byteLength)
      })
      await page.goto(service.at(path), { waitUntil: 'networkidle' })
      expect(others).toEqual([])
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(30 * 1024)
      for (const [colorScheme, width] of looks) {
        // Without motion: a colour on its way to another is no fault.
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        await page.setViewportSize({ width, height: 800 })
        const { violations } = await new AxeBuilder({ page }).analyze()
        expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([])
        // Nothing is wider than the window, so nobody scrolls sideways.
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
      }
      await page.context().close()
    },
  )
})
