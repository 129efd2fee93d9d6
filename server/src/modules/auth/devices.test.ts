import { describe, expect, test } from 'vitest'
import { days } from '../../lib/clock.ts'
import { useTestApp } from '../../testing/harness.ts'
import { lastSent, sentTo } from '../../testing/outbox.ts'

const roster = await useTestApp()

const firefox = (version: number) =>
  `Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:${version}.0) Gecko/20100101 Firefox/${version}.0`
const iphone =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'

async function person(): Promise<{ email: string; id: string }> {
  const email = `device${Math.random().toString(36).slice(2)}@example.com`
  const { body } = await roster.post('/api/v1/auth/register', { email, password: 'SecurePass123' })
  return { email, id: body.id }
}

const login = (email: string, headers: Record<string, string>) =>
  roster.post('/api/v1/auth/login', { email, password: 'SecurePass123' }, { headers })

const loginFrom = (from: string, email: string, agent: string) =>
  roster.post(
    '/api/v1/auth/login',
    { email, password: 'SecurePass123' },
    { from, headers: { 'user-agent': agent } },
  )

const notices = async (email: string) =>
  (await sentTo(roster, email)).filter(({ template }) => template === 'new_device')

describe('a sign-in', () => {
  test('is told of when it comes from a new device, and not the first time ever', async () => {
    const { email } = await person()
    await login(email, { 'user-agent': firefox(127) })
    expect(await notices(email)).toEqual([])
    await login(email, { 'user-agent': iphone })
    expect(await lastSent(roster, email, 'new_device')).toMatchObject({
      device: 'Safari on iPhone',
      ip: '127.0.0.1',
      at: '2026-01-31T10:00:00.000Z',
    })
    await login(email, { 'user-agent': iphone })
    expect(await notices(email)).toHaveLength(1)
  })

  test('from a known browser after an update is none from a new device', async () => {
    const { email } = await person()
    for (const version of [127, 128, 140]) await login(email, { 'user-agent': firefox(version) })
    expect(await notices(email)).toEqual([])
  })

  test('20 times at once from a new device is told of once', async () => {
    const { email } = await person()
    await login(email, { 'user-agent': firefox(127) })
    await Promise.all(Array.from({ length: 20 }, () => login(email, { 'user-agent': 'curl/8.5.0' })))
    expect(await notices(email)).toHaveLength(1)
  })

  test('that fails makes no device known', async () => {
    const { email, id } = await person()
    await login(email, { 'user-agent': firefox(127) })
    const wrong = { email, password: 'WrongPass123' }
    await roster.post('/api/v1/auth/login', wrong, { headers: { 'user-agent': iphone } })
    expect(await roster.sql('select 1 from known_devices where user_id = $1', [id])).toHaveLength(1)
  })

  test('in browser mode is known by its own cookie: another browser of the same kind is a new device', async () => {
    const { email } = await person()
    const browser = {
      'user-agent': firefox(127),
      'x-roster-client': 'browser',
      origin: 'http://localhost:8000',
    }
    const first = await login(email, browser)
    const cookies = [first.headers['set-cookie']].flat().map(String)
    const device = cookies.find(cookie => cookie.startsWith('roster_device=')) ?? ''
    expect(device).toMatch(/^roster_device=[\w-]{22}; Max-Age=34560000; Path=\/; HttpOnly; SameSite=Strict$/)
    await login(email, { ...browser, cookie: device.split(';')[0] ?? '' })
    expect(await notices(email)).toEqual([])
    await login(email, browser)
    expect(await notices(email)).toHaveLength(1)
    await login(email, { ...browser, cookie: 'roster_device=chosen-by-somebody' })
    expect(await notices(email)).toHaveLength(2)
  })

  test('from a device that was away for 400 days is told of again', async () => {
    const { email } = await person()
    await login(email, { 'user-agent': firefox(127) })
    await login(email, { 'user-agent': iphone })
    roster.clock.advance(days(401))
    await login(email, { 'user-agent': firefox(127) })
    expect(await notices(email)).toHaveLength(2)
    await login(email, { 'user-agent': iphone })
    expect(await notices(email)).toHaveLength(3)
  })

  test('with a hostile user agent names it as plain text', async () => {
    const { email } = await person()
    await login(email, { 'user-agent': firefox(127) })
    await login(email, { 'user-agent': '<script>alert(1)</script>{{ 7 | times: 7 }}\tX'.repeat(40) })
    const { device } = await lastSent(roster, email, 'new_device')
    expect(device?.length).toBeLessThan(60)
  })
})

test('a password change is told by mail', async () => {
  const user = await roster.signUp()
  const change = { current_password: user.password, new_password: 'EvenMoreSecure456' }
  await roster.post('/api/v1/auth/change-password', change, { token: user.token })
  expect(await lastSent(roster, user.email, 'password_changed')).toEqual({
    name: expect.any(String),
    at: roster.clock.now().toISOString(),
  })
})

test('a refresh token used twice is told by mail, once', async () => {
  const user = await roster.signUp()
  const refresh = () => roster.post('/api/v1/auth/refresh', { refresh_token: user.refresh })
  await refresh()
  // Not a lost reply, which gets the same successor for a minute.
  roster.clock.advance(61_000)
  const replies = await Promise.all(Array.from({ length: 10 }, refresh))
  expect(replies.every(({ status }) => status === 401)).toBe(true)
  const told = (await sentTo(roster, user.email)).filter(
    ({ template }) => template === 'refresh_token_reused',
  )
  expect(told).toHaveLength(1)
})

describe('a program', () => {
  test.each([
    'curl/8.5.0',
    'python-requests/2.31.0',
    'Go-http-client/2.0',
    'PostmanRuntime/7.36.0',
    'okhttp/4.12.0',
    '',
  ])('%j of a stranger is a new device, and the user’s own is none', async agent => {
    const { email } = await person()
    await loginFrom('198.51.100.7', email, agent)
    await loginFrom('198.51.100.7', email, agent)
    expect(await notices(email)).toHaveLength(0)
    await loginFrom('203.0.113.9', email, agent)
    expect(await notices(email)).toHaveLength(1)
    await loginFrom('203.0.113.9', email, agent)
    expect(await notices(email)).toHaveLength(1)
  })

  test.each([
    ['MyApp/3.2 CFNetwork', 'MyApp/3.3 CFNetwork'],
    ['MyApp/3.2 CFNetwork/1410.0.3 Darwin/22.6.0', 'MyApp/3.3 CFNetwork/1490.0 Darwin/23.1.0'],
    ['MyApp/1.0 (iPhone; iOS 17.1; Scale/3.00)', 'MyApp/2.0-beta.1 (iPhone; iOS 18.0; Scale/3.00)'],
    ['My App 3.2 (Android 13)', 'My App 3.10 (Android 14)'],
    ['sync-tool v1.2', 'sync-tool v2'],
    ['curl/8.5.0', 'curl/8.11.1'],
    ['Python/3.11 aiohttp/3.9.1', 'Python/3.12 aiohttp/3.10.0'],
  ])('%s is the same as %s, and no other program is', async (old, updated) => {
    const { email } = await person()
    await loginFrom('2001:db8::1', email, old)
    await loginFrom('2001:db8::2:1', email, updated)
    expect(await notices(email)).toHaveLength(0)
    await loginFrom('2001:db8::1', email, `Other${updated}`)
    expect(await notices(email)).toHaveLength(1)
  })

  test('is told of by its name alone', async () => {
    const { email } = await person()
    await loginFrom('192.0.2.1', email, firefox(127))
    await loginFrom('192.0.2.1', email, 'MyApp/3.2 CFNetwork/1410.0.3 Darwin/22.6.0')
    expect((await lastSent(roster, email, 'new_device')).device).toBe('MyApp')
  })
})
