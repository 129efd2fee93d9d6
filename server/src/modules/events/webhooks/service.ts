import type { Store, Tx } from '../../../db/store.ts'
import { isInNetworks, isPublicAddress } from '../../../delivery/public-address.ts'
import type { WebhookCaller } from '../../../delivery/webhook-caller.ts'
import { ProblemError } from '../../../http/problems.ts'
import { enqueue } from '../../../jobs/worker.ts'
import { addTime, type Clock } from '../../../lib/clock.ts'
import { uuidv7 } from '../../../lib/ids.ts'
import { webUrl } from '../../../lib/text.ts'
import { appendAudit, type Origin } from '../../audit/index.ts'
import { matchesType } from '../event-types.ts'
import { giveUpAfter, lease } from './dispatcher.ts'
import * as repo from './repo.ts'
import type { Delivery, Endpoint, EndpointChanges, EndpointWithSecret, NewEndpoint, Ping } from './schemas.ts'
import { newSecret, rotationTime, sealSecret, signedHeaders } from './secrets.ts'

export type WebhooksDeps = {
  store: Store
  clock: Clock
  call: WebhookCaller
  secretsKey: Buffer
  /** CIDR networks that are not public and may be called. */
  allowedNetworks: readonly string[]
  allowPlainText: boolean
}

/** Deliveries that one call makes due again: a second's work. */
export const mostAtOnce = 20_000

export const deleteDeliveriesJob = { name: 'webhooks.delete_deliveries' }

export type DeliveryQuery = {
  state?: Delivery['state'] | undefined
  before?: string | undefined
  limit: number
}

/** Whoever registers endpoints and looks after their deliveries. All throw ProblemError not_found for an unknown id. */
export type Webhooks = ReturnType<typeof createWebhooks>

export function createWebhooks(deps: WebhooksDeps) {
  const { store, clock, secretsKey } = deps

  async function find(id: string): Promise<repo.EndpointRow> {
    const row = await repo.findEndpoint(store.db, id)
    if (!row) throw new ProblemError('not_found')
    return row
  }

  /** Changes a locked endpoint, with its audit row. */
  function change<T>(
    origin: Origin,
    id: string,
    action: string,
    make: (trx: Tx, at: Date, row: repo.EndpointRow) => Promise<{ result: T; changedFields?: string[] }>,
  ): Promise<T> {
    return store.transact(async trx => {
      const at = clock.now()
      const row = await repo.lockEndpoint(trx, id)
      if (!row) throw new ProblemError('not_found')
      const { result, changedFields = [] } = await make(trx, at, row)
      await appendAudit(trx, at, origin, { action, subject: { type: 'webhook', id }, changedFields })
      return result
    })
  }

  return {
    async list(): Promise<Endpoint[]> {
      return (await repo.listEndpoints(store.db)).map(toEndpoint)
    },
    async read(id: string): Promise<Endpoint> {
      return toEndpoint(await find(id))
    },
    /** Registers an endpoint for the events from now on. @throws ProblemError validation_failed */
    async create(origin: Origin, input: NewEndpoint): Promise<EndpointWithSecret> {
      const url = readUrl(deps, input.url)
      const secret = newSecret()
      const at = clock.now()
      const id = uuidv7(at)
      await store.transact(async trx => {
        await repo.insertEndpoint(trx, {
          id,
          url,
          description: input.description ?? '',
          event_types: input.event_types,
          secret_sealed: sealSecret(secretsKey, id, secret),
          created_at: at,
        })
        await appendAudit(trx, at, origin, {
          action: 'webhook.created',
          subject: { type: 'webhook', id },
          details: { host: new URL(url).host, event_types: input.event_types },
        })
      })
      return { ...toEndpoint(await find(id)), secret }
    },
    /**
     * Switching an endpoint on again lets it go on where it stopped. Then, and with a new address, what failed
     * before does not count, and what is pending is due at once. What waits of types that are taken out is
     * dropped. @throws ProblemError validation_failed
     */
    async update(origin: Origin, id: string, input: EndpointChanges): Promise<Endpoint> {
      const changes = input.url === undefined ? input : { ...input, url: readUrl(deps, input.url) }
      await change(origin, id, 'webhook.updated', async (trx, at, row) => {
        const hasMoved = changes.url !== undefined && changes.url !== row.url
        const startsAnew = hasMoved || (changes.is_active === true && !row.is_active)
        const fresh = startsAnew ? { failures: 0, paused_until: null } : {}
        await repo.updateEndpoint(trx, id, { ...changes, ...fresh, updated_at: at })
        if (changes.event_types) await dropUnwanted(trx, id, changes.event_types)
        if (startsAnew) await repo.restartDeliveries(trx, id, at)
        return { result: undefined, changedFields: Object.keys(changes) }
      })
      return this.read(id)
    },
    /** Its deliveries, of which there may be millions, go in a job. */
    remove: (origin: Origin, id: string): Promise<void> =>
      change(origin, id, 'webhook.deleted', async trx => {
        await repo.deleteEndpoint(trx, id)
        await enqueue(trx, deleteDeliveriesJob, { endpoint_id: id })
        return { result: undefined }
      }),
    /** A new secret; for 24 hours messages are signed with the old one as well. */
    rotateSecret: (origin: Origin, id: string): Promise<EndpointWithSecret> =>
      change(origin, id, 'webhook.secret_rotated', async (trx, at, row) => {
        const secret = newSecret()
        const changes = {
          secret_sealed: sealSecret(secretsKey, id, secret),
          previous_secret_sealed: row.secret_sealed,
          previous_secret_expires_at: addTime(at, rotationTime),
          updated_at: at,
        }
        await repo.updateEndpoint(trx, id, changes)
        return { result: { ...toEndpoint({ ...row, ...changes }), secret } }
      }),
    /** Sends a `webhook.test` message at once, and tells what came of it. */
    async ping(id: string): Promise<Ping> {
      const row = await find(id)
      const now = clock.now()
      const message = uuidv7(now)
      const body = JSON.stringify({
        id: message,
        eventType: 'webhook.test',
        occurredAt: now.toISOString(),
        data: { endpointId: id },
      })
      const headers = signedHeaders(secretsKey, { id, secrets: row }, { id: message, body, now })
      const { status, error, durationMs } = await deps.call({ url: row.url, headers, body })
      return { delivered: error === null, status, error, duration_ms: durationMs }
    },
    async deliveries(id: string, { state, before, limit }: DeliveryQuery) {
      await find(id)
      const rows = await repo.listDeliveries(store.db, { endpointId: id, state, before, limit })
      return {
        items: rows.map(toDelivery),
        next_before: rows.length === limit ? (rows.at(-1)?.id ?? null) : null,
      }
    },
    /**
     * Makes a delivery due now, whether it has ended or waits, and those of the same user that it waits for.
     * @throws ProblemError conflict where the endpoint is switched off or the event is no longer held
     */
    redeliver: (origin: Origin, id: string, deliveryId: string): Promise<void> =>
      change(origin, id, 'webhook.redelivered', async (trx, now, row) => {
        const delivery = await repo.findDelivery(trx, id, deliveryId)
        if (!delivery) throw new ProblemError('not_found')
        if (!delivery.is_held) throw new ProblemError('conflict', { detail: 'The event is no longer held.' })
        await callSoon(trx, now, row)
        await repo.renewDelivery(trx, delivery, { now, soon: addTime(now, lease), giveUpAt: giveUpAt(now) })
        return { result: undefined }
      }),
    /**
     * Makes the oldest {@link mostAtOnce} deliveries due again that were given up and whose events are still held.
     * Returns how many.
     * @throws ProblemError conflict where the endpoint is switched off
     */
    redeliverDead: (origin: Origin, id: string): Promise<number> =>
      change(origin, id, 'webhook.redelivered', async (trx, now, row) => {
        await callSoon(trx, now, row)
        const renewal = { now, giveUpAt: giveUpAt(now), limit: mostAtOnce }
        return { result: await repo.renewDead(trx, id, renewal) }
      }),
  }
}

const giveUpAt = (now: Date): Date => addTime(now, giveUpAfter)

/** Ends an endpoint's pause, but for one that lasts no longer than an attempt under way. @throws ProblemError conflict */
async function callSoon(
  trx: Tx,
  now: Date,
  { id, is_active, paused_until }: repo.EndpointRow,
): Promise<void> {
  if (!is_active) {
    throw new ProblemError('conflict', {
      detail: 'The endpoint is switched off. Switch it on first, with `is_active`.',
    })
  }
  if (paused_until && paused_until > addTime(now, lease)) {
    await repo.updateEndpoint(trx, id, { paused_until: null })
  }
}

async function dropUnwanted(trx: Tx, id: string, wanted: readonly string[]): Promise<void> {
  const pending = await repo.listPendingTypes(trx, id)
  const unwanted = pending.filter(type => !matchesType(wanted, type))
  if (unwanted.length > 0) await repo.deletePending(trx, id, unwanted)
}

/** What can be seen of a URL without asking anybody; the host's addresses are checked at each call. */
function readUrl({ allowedNetworks, allowPlainText }: WebhooksDeps, text: string): string {
  const refuse = (code: string, message: string) =>
    new ProblemError('validation_failed', { errors: [{ path: '/url', code, message }] })
  const url = webUrl(text)
  if (url === null) throw refuse('format', 'takes an http or https address without user or password')
  const { protocol, hostname } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const isAddress = /^[\d.]+$|:/.test(host)
  const isLocal = host === 'localhost' || host.endsWith('.localhost')
  const isPrivate = isAddress ? !isPublicAddress(host) : isLocal
  const isAllowed = isAddress ? isInNetworks(host, allowedNetworks) : allowedNetworks.length > 0
  if (isPrivate && !isAllowed) {
    throw refuse('private_address', 'must not lead into a private network (see WEBHOOK_PRIVATE_NETWORKS)')
  }
  if (protocol === 'http:' && !allowPlainText && !isAllowed) throw refuse('https', 'must start with https://')
  return url
}

const toEndpoint = (row: repo.EndpointRow): Endpoint => ({
  id: row.id,
  url: row.url,
  description: row.description,
  event_types: row.event_types,
  is_active: row.is_active,
  failures: row.failures,
  paused_until: row.paused_until?.toISOString() ?? null,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at?.toISOString() ?? null,
})

const toDelivery = (row: repo.DeliveryRow): Delivery => ({
  id: row.id,
  event_id: row.event_id,
  event_type: row.event_type,
  sequence: Number(row.sequence),
  state: row.state,
  attempts: row.attempts,
  next_attempt_at: row.next_attempt_at?.toISOString() ?? null,
  last_status: row.last_status,
  last_error: row.last_error,
  last_duration_ms: row.last_duration_ms,
  created_at: row.created_at.toISOString(),
  finished_at: row.finished_at?.toISOString() ?? null,
})
