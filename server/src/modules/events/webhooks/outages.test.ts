import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { uuidv7 } from '../../../lib/ids.ts'
import { startTestApp, useTestApp } from '../../../testing/harness.ts'
import { until } from '../../../testing/until.ts'
import { useWebhooks } from '../../../testing/webhook-receiver.ts'
import { appendEvent } from '../index.ts'

const config = { webhookPrivateNetworks: ['127.0.0.0/8'] }
const roster = await useTestApp({ config })
const webhooks = await useWebhooks(roster)
const { receiver } = webhooks

/** An endpoint for the time of one test: others don't fail with it. */
async function register(path: string): Promise<string> {
  const input = { url: receiver.base + path, event_types: ['user.profile_updated'] }
  const { status, body } = await roster.post('/api/v1/webhooks', input, webhooks.admin)
  expect(status).toBe(201)
  onTestFinished(async () => {
    await roster.sql('delete from webhook_endpoints where id = $1', [body.id])
  })
  return body.id
}

/** That many events, each of another user: none of them waits for another. */
async function changeUsers(count: number): Promise<void> {
  const at = roster.clock.now()
  await roster.resources.store.transact(async trx => {
    for (let n = 0; n < count; n++) {
      const userId = uuidv7(at)
      await appendEvent(trx, at, { type: 'user.profile_updated', userId, data: { userId } })
    }
  })
}

async function read(
  id: string,
): Promise<{ failures: number; paused_until: Date | null; is_active: boolean }> {
  const [row] = await roster.sql('select * from webhook_endpoints where id = $1', [id])
  return row
}

async function count(id: string, state: string): Promise<number> {
  const text = 'select count(*)::int as n from webhook_deliveries where endpoint_id = $1 and state = $2'
  const [{ n }] = await roster.sql(text, [id, state])
  return n
}

async function metric(name: string): Promise<number> {
  const { text } = await roster.get('/metrics')
  const line = text.split('\n').find(one => one.startsWith(name))
  return Number(line?.split(' ').at(-1) ?? 0)
}

/** Lets an endpoint fail five times in a row, after which it is paused. */
async function failFiveTimes(id: string): Promise<void> {
  receiver.answer = () => 500
  for (let failures = 1; failures <= 5; failures++) {
    await changeUsers(1)
    await until(async () => (await read(id)).failures === failures)
  }
}

async function runJob(name: string): Promise<void> {
  await roster.services.events.jobs.find(job => job.name === name)?.run(undefined)
}

describe('an endpoint that fails', () => {
  test('counts one failure where ten deliveries were under way, and is not paused for it', async () => {
    const id = await register('/burst')
    const { promise: allCame, resolve } = Promise.withResolvers<number>()
    receiver.answer = () => {
      if (receiver.at('/burst').length === 10) resolve(503)
      return allCame
    }
    await changeUsers(10)
    await allCame
    await until(async () => {
      const [{ n }] = await roster.sql(
        'select count(*)::int as n from webhook_deliveries where endpoint_id = $1 and last_status = 503',
        [id],
      )
      return n === 10
    })
    expect(await read(id)).toMatchObject({ failures: 1, paused_until: null })
    receiver.answer = () => 204
    roster.clock.advance(6000)
    await until(async () => (await count(id, 'delivered')) === 10)
    expect(await read(id)).toMatchObject({ failures: 0, paused_until: null })
  })

  test('five times in a row gets one attempt at a time, also from two processes', async () => {
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock, config })
    const other = second.services.events.startRelay(roster.databaseUrl)
    const id = await register('/single')
    await failFiveTimes(id)
    const pause = ((await read(id)).paused_until?.getTime() ?? 0) - roster.clock.now().getTime()
    expect(pause).toBe(5000)
    await changeUsers(25)
    await until(async () => (await count(id, 'pending')) === 30)
    const { promise: released, resolve: release } = Promise.withResolvers<number>()
    receiver.answer = () => released
    roster.clock.advance(6000)
    await until(() => receiver.at('/single').length > 5)
    await sleep(600)
    expect(receiver.at('/single')).toHaveLength(6)
    release(204)
    await until(async () => (await count(id, 'delivered')) === 30)
    expect(await read(id)).toMatchObject({ failures: 0, paused_until: null })
    await other.stop()
    await second.stop()
  })

  test('gets its next attempt though the process with the last one was killed', async () => {
    const id = await register('/killed')
    await failFiveTimes(id)
    receiver.answer = () => 204
    // As a kill -9 leaves it: the attempt was claimed, and nothing was heard of it.
    const lease = new Date(roster.clock.now().getTime() + 20_000)
    await roster.sql('update webhook_endpoints set paused_until = $2 where id = $1', [id, lease])
    roster.clock.advance(21_000)
    await until(async () => (await count(id, 'delivered')) === 5)
  })
})

describe('a delivery', () => {
  test('is given up after three days, though its endpoint is paused', async () => {
    const id = await register('/abandoned')
    await failFiveTimes(id)
    await changeUsers(25)
    await until(async () => (await count(id, 'pending')) === 30)
    const dead = await metric('events_dead_total{to="webhook"}')
    await runJob('events.give_up_deliveries')
    expect(await count(id, 'dead')).toBe(0)
    roster.clock.advance(3 * 86_400_000 + 60_000)
    await runJob('events.give_up_deliveries')
    // One of them can be under way, and is given up when it has failed.
    await until(async () => (await count(id, 'dead')) === 30)
    await until(async () => (await metric('events_dead_total{to="webhook"}')) === dead + 30)
    const [row] = await roster.sql(
      `select last_error from webhook_deliveries where endpoint_id = $1 and attempts = 0 limit 1`,
      [id],
    )
    expect(row.last_error).toBe('no attempt was made in time')
  })

  test('is not given up while its last attempt is under way', async () => {
    const id = await register('/last')
    const { promise: released, resolve: release } = Promise.withResolvers<number>()
    receiver.answer = () => released
    await changeUsers(1)
    await until(() => receiver.at('/last').length === 1)
    await roster.sql(`update webhook_deliveries set give_up_at = $2 where endpoint_id = $1`, [
      id,
      new Date(roster.clock.now().getTime() - 1),
    ])
    await runJob('events.give_up_deliveries')
    release(204)
    await until(async () => (await count(id, 'delivered')) === 1)
  })

  test('that waits shows in the age of the oldest, which an endpoint that is switched off has no part in', async () => {
    const id = await register('/waiting')
    await failFiveTimes(id)
    await roster.sql(`update webhook_endpoints set paused_until = '2100-01-01' where id = $1`, [id])
    roster.clock.advance(3_600_000)
    const [age, pending] = ['events_oldest_pending_seconds{to="webhook"}', 'events_pending{to="webhook"}']
    expect(await metric(age)).toBeGreaterThanOrEqual(3600)
    expect(await metric(pending)).toBe(5)
    webhooks.admin = await roster.signIn(webhooks.admin)
    await roster.patch(`/api/v1/webhooks/${id}`, { is_active: false }, webhooks.admin)
    await until(async () => (await metric(pending)) === 0)
    expect(await metric(age)).toBe(0)
  })
})
