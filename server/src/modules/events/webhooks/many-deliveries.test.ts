import { expect, test } from 'vitest'
import { addTime, days, minutes } from '../../../lib/clock.ts'
import { uuidv7 } from '../../../lib/ids.ts'
import { useTestApp } from '../../../testing/harness.ts'
import { rowsRead, statementsOf } from '../../../testing/plans.ts'
import { claimDeliveries, deleteOldDeliveries, listDeliveries, renewDead } from './repo.ts'
import { deleteDeliveriesJob } from './service.ts'

const roster = await useTestApp()
const admin = await roster.signUpAdmin()

/** An endpoint with thousands of deliveries that came due in one moment. Of 100 one is in `state`. */
async function endpointWithMany(state: 'pending' | 'dead', count = 3000): Promise<string> {
  const now = roster.clock.now()
  const id = uuidv7(now)
  await roster.sql(
    `insert into webhook_endpoints (id, url, description, event_types, secret_sealed, fanned_out, created_at)
     values ($1, 'https://example.com', '', '{*}', '', 0, $2)`,
    [id, now],
  )
  await roster.sql(
    `with event as (
       insert into events (id, type, data, occurred_at)
       select gen_random_uuid(), 'user.updated', '{}', $2 from generate_series(1, $5) returning id
     )
     insert into webhook_deliveries (id, endpoint_id, event_id, event_type, sequence, user_id, state, next_attempt_at,
       give_up_at, created_at, finished_at)
     select gen_random_uuid(), $1, id, 'user.updated', n, gen_random_uuid(), state,
       case when state = 'pending' then $2::timestamptz end, $3, $2, case when state <> 'pending' then $2::timestamptz end
     from (
       select id, n, case when $4 = 'pending' or n % 100 = 0 then $4 else 'delivered' end as state
       from (select id, row_number() over () as n from event) numbered
     ) e`,
    [id, now, addTime(now, days(3)), state, count],
  )
  await roster.sql('analyze webhook_deliveries, events')
  return id
}

test('of many that come due at once, those that are taken are read and no others', async () => {
  await endpointWithMany('pending', 20_000)
  const now = roster.clock.now()
  const leaseUntil = addTime(now, minutes(1))
  const claim = { now, leaseUntil, limit: 50, perEndpoint: 10, except: [], failing: 5 }
  const [statement] = await statementsOf(roster, db => claimDeliveries(db, claim))
  expect(statement && (await rowsRead(roster, statement))).toBeLessThan(300)
})

test('the few that were given up are listed without a look at the others', async () => {
  const endpointId = await endpointWithMany('dead')
  const filter = { endpointId, state: 'dead', before: undefined, limit: 50 } as const
  const [statement] = await statementsOf(roster, db => listDeliveries(db, filter))
  expect(statement && (await rowsRead(roster, statement))).toBeLessThan(100)
  const { body } = await roster.get(`/api/v1/webhooks/${endpointId}/deliveries?state=dead`, admin)
  expect(body.items.length).toBe(30)
})

test('so many are made due again as were asked for, the oldest first', async () => {
  const endpointId = await endpointWithMany('dead')
  const ids = await roster.sql(
    `select id from webhook_deliveries where endpoint_id = $1 and state = 'dead' order by id`,
    [endpointId],
  )
  const now = roster.clock.now()
  const renewal = { now, giveUpAt: addTime(now, days(3)), limit: 10 }
  const { store } = roster.resources
  expect(await store.transact(trx => renewDead(trx, endpointId, renewal))).toBe(10)
  const pending = await roster.sql(
    `select id from webhook_deliveries where endpoint_id = $1 and state = 'pending' order by id`,
    [endpointId],
  )
  expect(pending).toEqual(ids.slice(0, 10))
})

test('those of an endpoint that was deleted go in a job after it, and no others', async () => {
  const id = await endpointWithMany('pending')
  const other = await endpointWithMany('pending')
  const count = async (endpoint: string) => {
    const text = 'select count(*)::int as n from webhook_deliveries where endpoint_id = $1'
    return (await roster.sql(text, [endpoint]))[0].n
  }
  expect((await roster.delete(`/api/v1/webhooks/${id}`, admin)).status).toBe(204)
  const jobs = await roster.sql(
    `select j.payload from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
     where t.identifier = $1`,
    [deleteDeliveriesJob.name],
  )
  expect(jobs).toEqual([{ payload: { endpoint_id: id } }])
  const now = roster.clock.now()
  const claim = {
    now,
    leaseUntil: addTime(now, minutes(1)),
    limit: 50,
    perEndpoint: 50,
    except: [],
    failing: 5,
  }
  const taken = await claimDeliveries(roster.resources.store.db, claim)
  expect(taken.map(({ endpoint_id }) => endpoint_id)).not.toContain(id)
  const job = roster.services.events.jobs.find(({ name }) => name === deleteDeliveriesJob.name)
  await job?.run(jobs[0].payload)
  expect([await count(id), await count(other)]).toEqual([0, 3000])
})

test('what is just being made due again is not cleaned up', async () => {
  const endpointId = await endpointWithMany('dead', 500)
  const { store } = roster.resources
  const now = addTime(roster.clock.now(), days(8))
  const renewal = { now, giveUpAt: addTime(now, days(3)), limit: 100 }
  const made = await store.transact(async trx => {
    const count = await renewDead(trx, endpointId, renewal)
    await deleteOldDeliveries(store.db, now, 100_000)
    return count
  })
  const states = 'select distinct state from webhook_deliveries where endpoint_id = $1'
  expect([made, await roster.sql(states, [endpointId])]).toEqual([5, [{ state: 'pending' }]])
})
