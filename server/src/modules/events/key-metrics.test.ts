import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { type SignedUp, useTestApp } from '../../testing/harness.ts'
import { createEventMetrics } from './metrics.ts'

/* Document 2's "Key Metrics to Monitor" and "Error Scenarios": each on /metrics, and each moves. */

const limits = { register: { max: 1000, windowMs: 60_000 }, setup: { max: 1, windowMs: 60_000 } }
const roster = await useTestApp({ config: { rateLimits: limits } })
const mailbox = '/dev/mailbox.json'

async function metrics(): Promise<Map<string, number>> {
  const { text } = await roster.get('/metrics')
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(lines.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}

/** By how much each of the metrics grows while `act` runs. */
async function growth(names: string[], act: () => Promise<unknown>): Promise<number[]> {
  const before = await metrics()
  await act()
  const after = await metrics()
  return names.map(name => (after.get(name) ?? 0) - (before.get(name) ?? 0))
}

const rename = (person: SignedUp, username: string) =>
  roster.put('/api/v1/auth/profile/username', { username }, person)

const initiate = (person: SignedUp, new_email: string) =>
  roster.post('/api/v1/auth/profile/email/initiate', { new_email }, person)

const complete = (person: SignedUp, new_email: string, otp: string) =>
  roster.post('/api/v1/auth/profile/email/complete', { new_email, otp }, person)

async function codeFor(address: string): Promise<string> {
  await roster.runJobs()
  const { body } = await roster.get(`${mailbox}?to=${address}`)
  return body.items[0].code
}

test('username updates, and cool-down violations', async () => {
  const person = await roster.signUp()
  const names = [
    'username_changes_total{outcome="changed"}',
    'username_changes_total{outcome="cooldown"}',
    'problems_total{code="username_cooldown"}',
  ]
  const grown = await growth(names, async () => {
    expect((await rename(person, 'metric.one')).status).toBe(200)
    expect((await rename(person, 'metric.two')).status).toBe(400)
  })
  expect(grown).toEqual([1, 1, 1])
})

test('e-mail updates that succeed and fail, OTPs sent and refused', async () => {
  const person = await roster.signUp()
  const names = [
    'email_changes_total{outcome="completed"}',
    'email_changes_total{outcome="failed"}',
    'otp_total{result="sent",purpose="EMAIL_UPDATE"}',
    'otp_total{result="failed",purpose="EMAIL_UPDATE"}',
    'messages_sent_total{channel="email"}',
  ]
  const [completed, failed, sent, refused, delivered] = await growth(names, async () => {
    expect((await initiate(person, 'moved@example.com')).status).toBe(200)
    const code = await codeFor('moved@example.com')
    const wrong = code === '000000' ? '111111' : '000000'
    expect((await complete(person, 'moved@example.com', wrong)).status).toBe(400)
    expect((await complete(person, 'moved@example.com', code)).status).toBe(200)
  })
  expect([completed, failed, sent, refused]).toEqual([1, 1, 1, 1])
  expect(delivered).toBeGreaterThanOrEqual(1)
})

test('an address that is in use', async () => {
  const [person, other] = [await roster.signUp(), await roster.signUp()]
  const grown = await growth(['problems_total{code="email_taken"}'], () => initiate(person, other.email))
  expect(grown).toEqual([1])
})

test('OTPs held back by a quota', async () => {
  const person = await roster.signUp()
  const names = [
    'otp_total{result="limited",purpose="EMAIL_UPDATE"}',
    'problems_total{code="otp_quota_exceeded"}',
  ]
  const grown = await growth(names, async () => {
    for (let n = 0; n < 21; n++) await initiate(person, 'often@example.com')
  })
  expect(grown).toEqual([1, 1])
})

test('requests turned away by a limit', async () => {
  const body = { code: 'x', email: 'a@example.com', password: 'SecurePass123' }
  const grown = await growth(['problems_total{code="rate_limited"}'], async () => {
    for (let n = 0; n < 3; n++) await roster.post('/api/v1/auth/setup', body)
  })
  expect(grown).toEqual([2])
})

test('a scrape asks once how much waits, for all that it tells of it', async () => {
  const registry = new Registry()
  let asked = 0
  createEventMetrics(registry).watch('webhook', async () => {
    asked += 1
    return { waiting: 3, oldestSeconds: 7 }
  })
  const text = await registry.metrics()
  expect(text).toContain('events_pending{to="webhook"} 3')
  expect(text).toContain('events_oldest_pending_seconds{to="webhook"} 7')
  expect(asked).toBe(1)
})
