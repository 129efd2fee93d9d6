import http from 'node:http'
import https from 'node:https'
import { setTimeout } from 'node:timers/promises'
import { ForbiddenAddress, type Resolve, resolveAllowed } from './public-address.ts'

export type WebhookCall = { url: string; headers: Readonly<Record<string, string>>; body: string }

/** `error` where there was no reply, in words that are safe to show; a status of its own is in `status`. */
export type WebhookResult = { status: number | null; error: string | null; durationMs: number }

export type WebhookCaller = (call: WebhookCall) => Promise<WebhookResult>

/** Milliseconds for all of it: resolving, connecting, sending, waiting. */
const patience = 15_000
/** Milliseconds after which a host without a public address is refused, however fast its name was found or not. */
const refusalTime = 1000
/** Bytes of a reply that are read, and thrown away, before the connection is cut. */
const replyLimit = 64 * 1024

/**
 * Posts JSON to addresses that others choose, so never into the own network: the name is resolved once, every
 * address checked, and the one that was checked is connected to. Redirects are not followed. No reply is kept:
 * its status tells how it went, even where the body never ends.
 */
export function createWebhookCaller(options: {
  /** Networks that are not public but may be called, in CIDR notation. */
  allowedNetworks: readonly string[]
  /** Whether plain http may leave for public addresses. */
  allowPlainText: boolean
  userAgent: string
  resolve?: Resolve
  patience?: number
  refusalTime?: number
}): WebhookCaller {
  return async call => {
    const start = performance.now()
    const since = () => Math.round(performance.now() - start)
    const signal = AbortSignal.timeout(options.patience ?? patience)
    try {
      const target = new URL(call.url)
      const address = await unlessAborted(
        refuseInTime(
          resolveAllowed(target.hostname, options.allowedNetworks, options.resolve),
          options.refusalTime ?? refusalTime,
        ),
        signal,
      )
      if (target.protocol !== 'https:' && !options.allowPlainText && !address.isPrivate) {
        throw new ForbiddenAddress('plain http is not sent over the internet')
      }
      const headers = { ...call.headers, 'user-agent': options.userAgent }
      const status = await post(target, address, { ...call, headers }, signal)
      const error = status >= 200 && status < 300 ? null : `answered ${status}`
      return { status, error, durationMs: since() }
    } catch (error) {
      return { status: null, error: describe(error, signal), durationMs: since() }
    }
  }
}

function post(
  target: URL,
  { address, family }: { address: string; family: 4 | 6 },
  { body, headers }: WebhookCall,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const { request } = target.protocol === 'https:' ? https : http
    const outgoing = request(target, {
      method: 'POST',
      agent: false,
      signal,
      maxHeaderSize: 16 * 1024,
      headers: { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' },
      lookup: (_host, options, done) =>
        options.all ? done(null, [{ address, family }]) : done(null, address, family),
    })
    outgoing.on('error', reject)
    // A 101: with nobody listening the connection would be closed without a word.
    outgoing.on('upgrade', (reply, socket) => {
      socket.destroy()
      resolve(reply.statusCode ?? 0)
    })
    outgoing.on('response', reply => {
      const finish = () => resolve(reply.statusCode ?? 0)
      outgoing.off('error', reject).on('error', finish)
      // Not cut at once: to a receiver that goes on working it would look like a call that was cancelled.
      let received = 0
      reply.on('data', (chunk: Buffer) => {
        received += chunk.length
        if (received > replyLimit) reply.destroy()
      })
      reply.on('error', finish)
      reply.on('close', finish)
    })
    outgoing.end(body)
  })
}

/** What `work` comes to; where it fails, not before `milliseconds` have passed. */
async function refuseInTime<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  const passed = setTimeout(milliseconds, undefined, { ref: false })
  try {
    return await work
  } catch (error) {
    await passed
    throw error
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort)
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', abort))
}

/** Our own words or a code of the system's, nothing that came from the other side. */
function describe(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'did not answer in time'
  if (error instanceof ForbiddenAddress) return error.message
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^[A-Z0-9_]{2,60}$/.test(code) ? code : 'the connection failed'
}
