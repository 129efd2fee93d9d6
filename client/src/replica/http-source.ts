import { type FeedPage, PositionGone, type ReplicaSource, type Snapshot } from './types.ts'

/** Gives a valid access token; asked before each request, and again with `isRefused` after a 401. */
export type TokenSource = (isRefused: boolean) => Promise<string>

/** The service's HTTP API. `url`: its public address. */
export function httpSource({ url, token }: { url: string; token: TokenSource }): ReplicaSource {
  async function get<T>(
    path: string,
    query: Record<string, string | undefined>,
    signal: AbortSignal,
  ): Promise<T> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined) as [string, string][] // just filtered
    const address = `${url}/api/v1${path}?${new URLSearchParams(given)}`
    for (const isRefused of [false, true]) {
      const headers = { authorization: `Bearer ${await token(isRefused)}` }
      const reply = await fetch(address, { headers, signal })
      if (reply.ok) return (await reply.json()) as T // the service's documented shape
      const detail = await detailOf(reply)
      if (reply.status === 410) throw new PositionGone(detail)
      if (reply.status !== 401 || isRefused) throw new Error(`${path} answered ${reply.status}: ${detail}`)
    }
    throw new Error('unreachable')
  }

  return {
    events({ after, limit, wait, signal }) {
      const query = { after: String(after), limit: String(limit), wait: wait?.toString() }
      return get<FeedPage>('/events', query, withLimit(signal, 10_000 + (wait ?? 0) * 1000))
    },
    snapshot({ after, ids, limit }) {
      const query = { after, ids: ids?.join(','), limit: limit?.toString() }
      return get<Snapshot>('/events/snapshot', query, withLimit(undefined, 10_000))
    },
  }
}

/** What a reply says went wrong: `detail` of its problem details (RFC 9457), else the start of its text. */
async function detailOf(reply: Response): Promise<string> {
  const text = await reply.text()
  try {
    const { detail } = JSON.parse(text)
    if (typeof detail === 'string') return detail
  } catch {}
  return text.slice(0, 300)
}

const withLimit = (signal: AbortSignal | undefined, milliseconds: number): AbortSignal =>
  AbortSignal.any([AbortSignal.timeout(milliseconds), ...(signal ? [signal] : [])])

type Tokens = { access_token: string; expires_in: number; refresh_token: string }

/** Signs in with a password, and stays signed in by refreshing. The user needs `events:read`. */
export function passwordTokens(account: { url: string; email: string; password: string }): TokenSource {
  let tokens: Tokens | undefined
  let renewAt = 0
  let running: Promise<string> | undefined

  async function post(path: string, body: object): Promise<Tokens | undefined> {
    const reply = await fetch(`${account.url}/api/v1/auth/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    })
    if (reply.status >= 500 || reply.status === 429) throw new Error(`auth/${path} answered ${reply.status}`)
    return reply.ok ? ((await reply.json()) as Tokens) : undefined // the service's documented shape
  }

  async function renew(): Promise<string> {
    const { email, password } = account
    tokens =
      (tokens && (await post('refresh', { refresh_token: tokens.refresh_token }))) ??
      (await post('login', { email, password }))
    if (!tokens?.access_token) throw new Error('the service does not let this account in')
    renewAt = Date.now() + (tokens.expires_in * 1000) / 2
    return tokens.access_token
  }

  return async isRefused => {
    if (tokens && !isRefused && Date.now() < renewAt) return tokens.access_token
    running ??= renew().finally(() => {
      running = undefined
    })
    return running
  }
}
