import { describe, expect, test } from 'vitest'
import { closeChromiumAfterwards, hasBrowser, openPage, plugInAuthenticator } from '../testing/chromium.ts'
import { usePageService } from '../testing/page-service.ts'

if (!hasBrowser) console.warn('SKIPPED: pages in a browser, since there is no Chromium')

describe.runIf(hasBrowser)('the pages, in Chromium', async () => {
  const service = await usePageService()
  closeChromiumAfterwards()

  test('somebody registers, signs out, signs in, keeps a passkey and signs in with that', async () => {
    const page = await openPage()
    const broken: string[] = []
    page.on('pageerror', error => void broken.push(error.message))
    page.on('request', request => {
      if (!request.url().startsWith(service.at('/')) && !request.url().startsWith('data:'))
        broken.push(request.url())
    })
    await plugInAuthenticator(page)
    await page.goto(service.at('/'))
    expect(new URL(page.url()).pathname).toBe('/sign-in')

    await page.getByRole('link', { name: 'Create one' }).click()
    await page.getByLabel('Full name').fill('Ada Lovelace')
    await page.getByLabel('E-mail address').fill('ada@example.com')
    await page.getByLabel('Password', { exact: true }).fill('Analytical')
    await page.getByRole('button', { name: 'Create account' }).click()
    await expect.poll(() => page.getByText('Add a digit.').isVisible()).toBe(true)
    expect(await page.getByLabel('E-mail address').inputValue()).toBe('ada@example.com')
    expect(await page.getByLabel('Password', { exact: true }).inputValue()).toBe('')
    await page.getByLabel('Password', { exact: true }).fill('Analytical1843')
    await page.getByRole('button', { name: 'Create account' }).click()
    await page.getByRole('heading', { name: 'Check your mail' }).waitFor()
    await page.getByRole('link', { name: 'Later' }).click()
    await page.getByText('As Ada Lovelace.').waitFor()

    await page.getByRole('link', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('link', { name: 'Sign in' }).click()
    await page.getByLabel('E-mail, username or phone number').fill('ada@example.com')
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByLabel('Password', { exact: true }).fill('wrong')
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByText('That is not right.').waitFor()
    await page.getByLabel('Password', { exact: true }).fill('Analytical1843')
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('heading', { name: 'Sign in faster next time' }).waitFor()
    expect(broken).toEqual([])
  })
})
