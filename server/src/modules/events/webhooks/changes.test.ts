import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type SignedUp, useTestApp } from '../../../testing/harness.ts'
import { until } from '../../../testing/until.ts'
import { useWebhooks } from '../../../testing/webhook-receiver.ts'

const roster = await useTestApp({ config: { webhookPrivateNetworks: ['127.0.0.0/8'] } })
const webhooks = await useWebhooks(roster)
const { receiver } = webhooks
const { at } = receiver

/** An endpoint for the time of one test. Returns its route. */
async function register(path: string, event_types = ['user.profile_updated']): Promise<string> {
  const url = receiver.base + path
  const { status, body } = await roster.post('/api/v1/webhooks', { url, event_types }, webhooks.admin)
  expect(status).toBe(201)
  onTestFinished(async () => {
    await roster.sql('delete from webhook_endpoints where id = $1', [body.id])
  })
  return `/api/v1/webhooks/${body.id}`
}

const change = (person: SignedUp, location: string) => roster.put('/api/v1/users/me', { location }, person)

const read = async (route: string) => (await roster.get(route, webhooks.admin)).body

/** The endpoint's deliveries, oldest first. */
const log = async (route: string) =>
  (await roster.get(`${route}/deliveries`, webhooks.admin)).body.items.reverse()

const statesOf = async (route: string): Promise<string[]> =>
  (await log(route)).map(({ state }: { state: string }) => state)

const locations = (path: string): string[] =>
  at(path).map(({ event }) => (event.data as { changes: { location: string } }).changes.location)

/** Lets one delivery fail; it then waits for its next attempt. */
async function failOnce(route: string, person: SignedUp, location: string): Promise<void> {
  receiver.answer = () => 500
  await change(person, location)
  await until(async () => (await log(route))[0]?.last_status === 500)
}

async function deleteOldEvents(): Promise<void> {
  await roster.services.events.jobs.find(job => job.name === 'events.delete_old')?.run(undefined)
}

const auditOf = (route: string, action: string) =>
  roster.sql('select * from audit_log where subject_id = $1 and action = $2', [
    route.split('/').at(-1),
    action,
  ])

describe('a new address', () => {
  test('is not switched off by a late 410 of the old one, and gets what that one was sent', async () => {
    const route = await register('/old')
    const { promise: released, resolve: release } = Promise.withResolvers<number>()
    receiver.answer = path => (path === '/old' ? released : 204)
    await change(await roster.signUp(), 'moved')
    await until(() => at('/old').length === 1)
    await roster.patch(route, { url: `${receiver.base}/new` }, webhooks.admin)
    release(410)
    await until(() => at('/new').length === 1)
    await until(async () => (await statesOf(route))[0] === 'delivered')
    expect(await read(route)).toMatchObject({ is_active: true, failures: 0, paused_until: null })
  })

  test('of which the attempt under way knew nothing is called once the old one has failed', async () => {
    const route = await register('/stale')
    const { promise: released, resolve: release } = Promise.withResolvers<number>()
    receiver.answer = path => (path === '/stale' ? released : 204)
    await change(await roster.signUp(), 'moved')
    await until(() => at('/stale').length === 1)
    // As if the attempt had been claimed while the change was about to be committed.
    await roster.sql('update webhook_endpoints set url = $1', [`${receiver.base}/fresh`])
    release(410)
    await until(() => at('/fresh').length === 1)
    expect(await read(route)).toMatchObject({ is_active: true, failures: 0 })
  })

  test('gets at once what waited for another attempt at the old one', async () => {
    const route = await register('/broken')
    await failOnce(route, await roster.signUp(), 'waits')
    receiver.answer = () => 204
    await roster.patch(route, { url: `${receiver.base}/mended` }, webhooks.admin)
    await until(() => locations('/mended').includes('waits'))
    await until(async () => (await read(route)).failures === 0)
  })

  test('is not one where the same is given again', async () => {
    const route = await register('/same')
    await failOnce(route, await roster.signUp(), 'waits')
    const { body } = await roster.patch(
      route,
      { url: `${receiver.base}/same`, description: 'x' },
      webhooks.admin,
    )
    expect(body).toMatchObject({ failures: 1, description: 'x' })
    await sleep(300)
    expect(at('/same')).toHaveLength(1)
  })
})

describe('an endpoint that is switched off', () => {
  test('holds no event back from the clean-up', async () => {
    const route = await register('/off')
    await failOnce(route, await roster.signUp(), 'old')
    roster.clock.advance(10 * 86_400_000)
    webhooks.admin = await roster.signIn(webhooks.admin)
    await until(async () => (await statesOf(route))[0] === 'dead')
    await roster.sql(`update webhook_deliveries set state = 'pending', next_attempt_at = '2100-01-01'`)
    const [{ event_id }] = await log(route)
    const held = () => roster.sql('select id from events where id = $1', [event_id])
    await deleteOldEvents()
    expect(await held()).toHaveLength(1)
    await roster.patch(route, { is_active: false }, webhooks.admin)
    await deleteOldEvents()
    expect(await held()).toHaveLength(0)
  })

  test('is sent nothing again', async () => {
    const route = await register('/refused')
    receiver.answer = () => 410
    await change(await roster.signUp(), 'gone')
    await until(async () => (await read(route)).is_active === false)
    const [{ id }] = await log(route)
    for (const what of ['redeliver-dead', `deliveries/${id}/redeliver`]) {
      const { status, body } = await roster.post(`${route}/${what}`, undefined, webhooks.admin)
      expect(status).toBe(409)
      expect(body.detail).toContain('switched off')
    }
    expect(await statesOf(route)).toEqual(['dead'])
  })

  test('gets at once what was pending when it is switched on again', async () => {
    const route = await register('/resumed')
    const person = await roster.signUp()
    await failOnce(route, person, 'first')
    await change(person, 'second')
    await roster.patch(route, { is_active: false }, webhooks.admin)
    receiver.answer = () => 204
    const { body } = await roster.patch(route, { is_active: true }, webhooks.admin)
    expect(body).toMatchObject({ failures: 0, paused_until: null })
    await until(() => locations('/resumed').length === 3)
    expect(locations('/resumed')).toEqual(['first', 'first', 'second'])
  })

  test('by its own 410 has one row about that in the audit log', async () => {
    const route = await register('/gone')
    const { promise: bothCame, resolve } = Promise.withResolvers<number>()
    receiver.answer = () => {
      if (at('/gone').length === 2) resolve(410)
      return bothCame
    }
    await Promise.all([roster.signUp(), roster.signUp()].map(async one => change(await one, 'away')))
    await until(async () => (await statesOf(route)).join() === 'dead,dead')
    const rows = await auditOf(route, 'webhook.switched_off')
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({
      actor_type: 'system',
      subject_type: 'webhook',
      changed_fields: ['is_active'],
      details: { status: 410 },
    })
  })
})

describe('event types that are taken out', () => {
  test('are not sent any more, and hold back nothing of the same user', async () => {
    const route = await register('/narrow', ['user.profile_updated', 'user.username_updated'])
    const person = await roster.signUp()
    await failOnce(route, person, 'unwanted')
    await roster.put('/api/v1/auth/profile/username', { username: 'wanted.name' }, person)
    await until(async () => (await log(route)).length === 2)
    receiver.answer = () => 204
    await roster.patch(route, { event_types: ['user.username_updated'] }, webhooks.admin)
    await until(async () => (await statesOf(route)).join() === 'delivered')
    expect(at('/narrow').map(({ event }) => event.eventType)).toEqual([
      'user.profile_updated',
      'user.username_updated',
    ])
  })
})

describe('a redelivery', () => {
  test('of what waits is made now, after what it waits for, and ends a pause', async () => {
    const route = await register('/hurry')
    const person = await roster.signUp()
    await failOnce(route, person, 'first')
    await change(person, 'second')
    await until(async () => (await log(route)).length === 2)
    await roster.sql(`update webhook_deliveries set next_attempt_at = '2100-01-01'`)
    await roster.sql(`update webhook_endpoints set failures = 8, paused_until = '2100-01-01'`)
    receiver.answer = () => 204
    const { id } = (await log(route))[1]
    const again = await roster.post(`${route}/deliveries/${id}/redeliver`, undefined, webhooks.admin)
    expect(again).toMatchObject({ status: 202, body: { redelivered: 1 } })
    await until(() => locations('/hurry').length === 3)
    expect(locations('/hurry')).toEqual(['first', 'first', 'second'])
  })

  test('of what is being sent makes no second call', async () => {
    const route = await register('/busy')
    const { promise: released, resolve: release } = Promise.withResolvers<number>()
    receiver.answer = () => released
    await change(await roster.signUp(), 'once')
    await until(() => at('/busy').length === 1)
    const [{ id }] = await log(route)
    expect((await roster.post(`${route}/deliveries/${id}/redeliver`, undefined, webhooks.admin)).status).toBe(
      202,
    )
    await sleep(300)
    release(204)
    await until(async () => (await statesOf(route))[0] === 'delivered')
    expect(at('/busy')).toHaveLength(1)
  })

  test('says so where the event is no longer held', async () => {
    const route = await register('/forgotten')
    await change(await roster.signUp(), 'forgotten')
    await until(async () => (await statesOf(route))[0] === 'delivered')
    const [{ id, event_id }] = await log(route)
    await roster.sql('delete from events where id = $1', [event_id])
    const { status, body } = await roster.post(
      `${route}/deliveries/${id}/redeliver`,
      undefined,
      webhooks.admin,
    )
    expect(status).toBe(409)
    expect(body.detail).toBe('The event is no longer held.')
  })
})
