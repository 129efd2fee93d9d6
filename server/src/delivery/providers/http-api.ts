import { DeliveryError, providerTimeout } from './provider.ts'

export type ApiReply = { status: number; body: Readonly<Record<string, unknown>> }

/** More than any honest reply; what sends more is not read to its end. */
const maxReply = 64 * 1024

/**
 * Posts to a provider's HTTP API and reads its JSON reply, in {@link providerTimeout} altogether, without
 * following redirects.
 * @throws DeliveryError `busy` where there is no connection or no reply in time, or the status is 429 or 5xx;
 * `unknown` where a success is no JSON object, since then nobody knows
 */
export async function postToApi(
  url: string,
  request: { headers: Record<string, string>; body: string },
  timeout = providerTimeout,
): Promise<ApiReply> {
  const reply = await reach(() =>
    fetch(url, { method: 'POST', ...request, redirect: 'error', signal: AbortSignal.timeout(timeout) }),
  )
  const text = await reach(() => readText(reply))
  const body = parseObject(text)
  if (reply.status === 429 || reply.status >= 500) throw new DeliveryError('busy', `status ${reply.status}`)
  if (reply.ok && body === undefined)
    throw new DeliveryError('unknown', `status ${reply.status} without JSON`)
  return { status: reply.status, body: body ?? {} }
}

async function reach<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof DeliveryError) throw error
    const timedOut = error instanceof Error && error.name === 'TimeoutError'
    throw new DeliveryError('busy', timedOut ? 'no reply in time' : 'no connection', error)
  }
}

async function readText(reply: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of reply.body ?? []) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxReply) throw new DeliveryError('unknown', 'a reply without end')
  }
  return Buffer.concat(chunks).toString()
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    // An object that is no array: its members are looked at one by one.
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** A member of a reply as text fit for an operator's eyes, or undefined. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 200) : undefined
