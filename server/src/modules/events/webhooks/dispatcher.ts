import type { Logger } from 'pino'
import type { Store, Tx } from '../../../db/store.ts'
import type { WebhookCaller, WebhookResult } from '../../../delivery/webhook-caller.ts'
import { addTime, type Clock, days, hours, minutes, seconds } from '../../../lib/clock.ts'
import { uuidv7 } from '../../../lib/ids.ts'
import { createLoop, type Loop } from '../../../lib/loop.ts'
import { noteProgress } from '../../../lib/progress.ts'
import { withTimeout } from '../../../lib/promises.ts'
import { loopLog } from '../../../watch/index.ts'
import { appendAudit } from '../../audit/index.ts'
import { toEvent } from '../envelope.ts'
import { matchesType } from '../event-types.ts'
import type { EventMetrics } from '../metrics.ts'
import { readEvents, readOutboxState } from '../repo.ts'
import * as repo from './repo.ts'
import { signedHeaders } from './secrets.ts'

export type DispatcherDeps = {
  store: Store
  clock: Clock
  log: Logger
  metrics: EventMetrics
  call: WebhookCaller
  secretsKey: Buffer
}

/** Milliseconds from when a delivery is first due until it is given up. */
export const giveUpAfter = days(3)
/** Pauses after the first, second … failed attempt; those of Standard Webhooks. */
const pauses = [
  seconds(5),
  minutes(5),
  minutes(30),
  hours(2),
  hours(5),
  hours(10),
  hours(14),
  hours(20),
  hours(24),
]
/** An endpoint that has failed so often in a row gets one attempt at a time, with pauses of its own. */
const failing = 5
const longestEndpointPause = hours(1)
/** Longer than any call takes: what a killed process had under way comes due again after it. */
export const lease = seconds(20)
/** Milliseconds after which a delivery that has not ended gives up its place. */
const placeLimit = lease + seconds(5)
const mostAtOnce = 50
const mostPerEndpoint = 10
const batchSize = 1000

/** Makes deliveries out of events, and calls endpoints. Any number of processes can do so side by side. */
export function createDispatcher(deps: DispatcherDeps): Loop {
  const { store, clock, log } = deps
  const underWay = new Map<Promise<void>, string>()
  const noting = loopLog(log, 'noting a webhook delivery, which will be repeated,')

  async function turn(): Promise<boolean> {
    const more = await fanOut(deps)
    const slots = mostAtOnce - underWay.size
    if (slots <= 0) return false
    const now = clock.now()
    const claimed = await repo.claimDeliveries(store.db, {
      now,
      leaseUntil: addTime(now, lease),
      limit: slots,
      perEndpoint: mostPerEndpoint,
      except: busyEndpoints(underWay),
      failing,
    })
    for (const delivery of claimed) {
      // One that never ends must not keep its place for ever. By then the lease is over, so it comes again.
      const late = () => new Error('the delivery did not end')
      const work: Promise<void> = withTimeout(deliver(deps, delivery), placeLimit, late)
        .catch(error => noting.failed(error))
        .finally(() => {
          underWay.delete(work)
          loop.wake()
        })
      underWay.set(work, delivery.endpoint_id)
    }
    return more || claimed.length > 0
  }

  const loop = createLoop({
    turn,
    name: 'webhook_delivery',
    idle: 200,
    ...loopLog(log, 'handing out webhook deliveries'),
  })
  return {
    ...loop,
    async stop() {
      await loop.stop()
      await Promise.all(underWay.keys())
    },
  }
}

function busyEndpoints(underWay: Map<Promise<void>, string>): string[] {
  const groups = Map.groupBy(underWay.values(), id => id)
  return [...groups].flatMap(([id, calls]) => (calls.length >= mostPerEndpoint ? [id] : []))
}

/** Returns whether there is more to hand out. */
async function fanOut({ store, clock }: DispatcherDeps): Promise<boolean> {
  const { head } = await readOutboxState(store.db)
  const lagging = await repo.listLagging(store.db, head)
  const cut = await Promise.all(
    lagging.map(async id => {
      const isCut = await store.transact(trx => fanOutTo(trx, clock.now(), id, head))
      noteProgress()
      return isCut
    }),
  )
  return cut.includes(true)
}

async function fanOutTo(trx: Tx, now: Date, endpointId: string, head: number): Promise<boolean> {
  const endpoint = await repo.lockLagging(trx, endpointId)
  if (!endpoint) return false
  const after = Number(endpoint.fanned_out)
  const events = await readEvents(trx, { after, upTo: head, limit: batchSize })
  const isCut = events.length === batchSize
  const reached = isCut ? Number(events.at(-1)?.sequence ?? head) : head
  if (reached <= after) return false
  await repo.insertDeliveries(
    trx,
    events
      .filter(event => matchesType(endpoint.event_types, event.type))
      .map(event => ({
        id: uuidv7(now),
        endpoint_id: endpointId,
        event_id: event.id,
        event_type: event.type,
        sequence: event.sequence,
        user_id: event.user_id,
        state: 'pending',
        next_attempt_at: now,
        give_up_at: addTime(now, giveUpAfter),
        created_at: now,
      })),
  )
  await repo.updateEndpoint(trx, endpointId, { fanned_out: String(reached) })
  return isCut
}

async function deliver(deps: DispatcherDeps, delivery: repo.ClaimedDelivery): Promise<void> {
  const { store, clock, metrics } = deps
  const result = await send(deps, delivery)
  const now = clock.now()
  const outcome = {
    last_status: result.status,
    last_error: result.error,
    last_duration_ms: result.durationMs,
  }
  if (result.error !== null) {
    metrics.failed('webhook')
    const isDead = await store.transact(trx => noteFailure(trx, now, delivery, outcome))
    if (isDead) metrics.died('webhook', 1)
    return
  }
  const done = { ...outcome, state: 'delivered', next_attempt_at: null, finished_at: now } as const
  if (!(await repo.finishAttempt(store.db, delivery, done))) return
  if (delivery.occurred_at) metrics.delivered('webhook', delivery.occurred_at, now)
  await repo.noteSuccess(store.db, delivery)
}

async function send(
  { call, clock, secretsKey }: DispatcherDeps,
  delivery: repo.ClaimedDelivery,
): Promise<WebhookResult> {
  const { occurred_at, data } = delivery
  if (!occurred_at || !data) return { status: null, error: 'the event is no longer held', durationMs: 0 }
  const event = { ...delivery, id: delivery.event_id, occurred_at, data, user_id: null, partition: 0 }
  const body = JSON.stringify(toEvent(event))
  const headers = signedHeaders(
    secretsKey,
    { id: delivery.endpoint_id, secrets: delivery },
    { id: delivery.event_id, body, now: clock.now() },
  )
  return call({ url: delivery.url, headers, body })
}

type Outcome = Pick<repo.DeliveryRow, 'last_status' | 'last_error' | 'last_duration_ms'>

/**
 * Notes a failed attempt with what it means for its endpoint. What the old address of an endpoint answered
 * means nothing for the new one, which is called at once. Returns whether the delivery is given up.
 */
async function noteFailure(
  trx: Tx,
  now: Date,
  delivery: repo.ClaimedDelivery,
  outcome: Outcome,
): Promise<boolean> {
  const endpoint = await repo.lockEndpoint(trx, delivery.endpoint_id)
  if (!endpoint) return false
  const hasMoved = endpoint.url !== delivery.url
  const next = hasMoved ? now : nextAttempt(delivery, outcome, now)
  const changes = next
    ? { ...outcome, next_attempt_at: next }
    : ({ ...outcome, state: 'dead', next_attempt_at: null, finished_at: now } as const)
  if (!(await repo.finishAttempt(trx, delivery, changes))) return false
  if (!hasMoved) await slowDown(trx, now, endpoint, delivery, outcome)
  return !next
}

/** When to try again; undefined where it is given up: too late, gone for good (410), or nothing to send. */
function nextAttempt(delivery: repo.ClaimedDelivery, { last_status }: Outcome, now: Date): Date | undefined {
  if (last_status === 410 || !delivery.data || now >= delivery.give_up_at) return undefined
  const pause = pauses[delivery.attempts] ?? pauses.at(-1) ?? 0
  const next = now.getTime() + pause * (0.9 + Math.random() * 0.2)
  return new Date(Math.min(next, delivery.give_up_at.getTime()))
}

/** Of attempts that were under way side by side one failure counts: an outage is one, however many it met. */
async function slowDown(
  trx: Tx,
  now: Date,
  endpoint: repo.EndpointRow,
  delivery: repo.ClaimedDelivery,
  { last_status }: Outcome,
): Promise<void> {
  if (last_status === 410) return switchOff(trx, now, endpoint)
  if (endpoint.failures !== delivery.failures) return
  // Nothing was called where there was nothing to send.
  const failures = delivery.failures + (delivery.data ? 1 : 0)
  const pause = Math.min(pauses[failures - failing] ?? longestEndpointPause, longestEndpointPause)
  const isPaused = failures >= failing && delivery.data
  await repo.updateEndpoint(trx, endpoint.id, {
    failures,
    paused_until: isPaused ? addTime(now, pause) : null,
  })
}

/** "Gone": whoever runs the endpoint wants no more (Standard Webhooks). */
async function switchOff(trx: Tx, now: Date, { id, is_active }: repo.EndpointRow): Promise<void> {
  if (!is_active) return
  await repo.updateEndpoint(trx, id, { is_active: false, updated_at: now })
  await appendAudit(
    trx,
    now,
    { actorType: 'system' },
    {
      action: 'webhook.switched_off',
      subject: { type: 'webhook', id },
      changedFields: ['is_active'],
      details: { status: 410 },
    },
  )
}
