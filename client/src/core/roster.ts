import createClient, { type Client, type MaybeOptionalInit } from 'openapi-fetch'
import type { components, paths } from '../generated/api.ts'
import { type Arguments, type Calls, createCalls, type ItemOf, type ListPath, readList } from './calls.ts'
import { errorOf, isRosterError } from './error.ts'
import { followEvents, type RosterEvent } from './events.ts'
import { type Asking, makePasskey, signWithPasskey } from './passkeys.ts'
import { createSessions, type Session, type SessionStorage } from './session.ts'
import type { Guarded, Method, Proof, SignIn } from './sign-in.ts'

type Schemas = components['schemas']

export type RosterOptions = {
  /** The service's public address, for example `https://id.example.com`. */
  url: string
  /**
   * `browser`: the refresh token is in a cookie that no script sees. `token`: this client keeps it, in memory or in
   * `storage`. Without it `browser` where there is a document.
   */
  mode?: 'browser' | 'token'
  storage?: SessionStorage
  /** In place of the platform's own. */
  fetch?: typeof fetch
}

export type Roster = Calls & {
  readonly url: string
  /** What is known of the session now, without asking the service. */
  readonly session: Session | undefined
  /** The session, refreshed if need be; undefined where nobody is signed in. */
  currentSession(): Promise<Session | undefined>
  /** Calls `listener` when somebody signs in or out, in this tab or another. @returns what ends that */
  subscribe(listener: (session: Session | undefined) => void): () => void
  /** @throws RosterError invalid_credentials, too_many_attempts, email_not_verified, … */
  signIn(input: Schemas['Login']): Promise<SignIn>
  /** With a passkey of this browser's, and no name. @throws DOMException NotAllowedError where the person declines */
  signInWithPasskey(asking?: Asking): Promise<SignIn>
  /** Makes a passkey for whoever is signed in; needs a fresh proof, so call it in `guarded`. */
  addPasskey(name?: string): Promise<Schemas['Passkey']>
  /**
   * Signs out here, and in every tab.
   * @throws TypeError where the service can't be told: then the session is forgotten here, and still good there
   */
  signOut(): Promise<void>
  /** Makes a call that may need a fresh proof of who asks, which then is a value and no error. */
  guarded<T>(call: () => Promise<T>): Promise<Guarded<T>>
  /** Every item of a list, page after page. */
  list<P extends ListPath>(
    path: P,
    ...init: Arguments<NonNullable<MaybeOptionalInit<paths[P], 'get'>>>
  ): AsyncGenerator<ItemOf<P>, void, undefined>
  /** The feed of events as it grows; needs the permission `events:read`. */
  events(options?: {
    after?: number
    types?: readonly string[]
    signal?: AbortSignal
  }): AsyncGenerator<RosterEvent, void, undefined>
  /** Fetches with the session's token, refreshed if need be; errors of the service are replies here. */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>
  /** Stops listening to other tabs. */
  close(): void
}

/** A client of one service, and of one person's session with it. */
export function createRoster(options: RosterOptions): Roster {
  const url = options.url.replace(/\/+$/, '')
  const mode = options.mode ?? ('document' in globalThis ? 'browser' : 'token')
  const send: typeof fetch = (input, init) => (options.fetch ?? globalThis.fetch)(input, init)
  const sessions = createSessions({ url, mode, storage: options.storage, fetch: send })

  /** With the token of the session; once more with another one where the service does not take it any more. */
  async function sendAs(request: Request): Promise<Response> {
    if (request.headers.has('authorization')) return send(request)
    const session = await sessions.current()
    const again = session ? request.clone() : undefined
    const reply = await send(withToken(request, session))
    if (reply.status !== 401 || !session || !again || !(await isOfToken(reply))) return reply
    const renewed = await sessions.renewed(session.accessToken)
    return renewed ? send(withToken(again, renewed)) : reply
  }

  /** Routes that begin or end a session take no token: a dead one would be in the way. */
  const sendOpen = (request: Request): Promise<Response> => {
    if (mode === 'token') return send(request)
    const headers = new Headers(request.headers)
    headers.set('X-Roster-Client', 'browser')
    return send(new Request(request, { headers, credentials: 'include' }))
  }

  const clientWith = (fetchAs: (request: Request) => Promise<Response>): Client<paths> =>
    createClient<paths>({
      baseUrl: url,
      async fetch(request) {
        const reply = await fetchAs(request)
        if (!reply.ok) throw await errorOf(reply)
        return reply
      },
    })

  const calls = createCalls(clientWith(sendAs))
  const open = createCalls(clientWith(sendOpen))

  async function arrive(reply: Schemas['Tokens'] | Schemas['MfaRequired']): Promise<SignIn> {
    if ('mfa_required' in reply) {
      const { mfa_token, methods } = reply
      return {
        status: 'second_factor',
        methods,
        challenge: method => open.post('/api/v1/auth/mfa/challenge', { body: { mfa_token, method } }),
        verify: async proof =>
          arrive(await open.post('/api/v1/auth/mfa/verify', { body: { ...proof, mfa_token } })),
      }
    }
    const session = await sessions.begin(reply)
    return { status: 'signed_in', user: session.user, session }
  }

  async function prove(proof: Proof): Promise<void> {
    const session = await sessions.current()
    const init = { body: proof, headers: { authorization: `Bearer ${session?.accessToken}` } }
    await sessions.begin(await open.post('/api/v1/auth/step-up', init))
  }

  async function guarded<T>(call: () => Promise<T>): Promise<Guarded<T>> {
    try {
      return { status: 'done', data: await call() }
    } catch (error) {
      if (!isRosterError(error, 'step_up_required')) throw error
      return {
        status: 'step_up_required',
        challenge: (method: Method) => calls.post('/api/v1/auth/step-up/challenge', { body: { method } }),
        async prove(proof) {
          await prove(proof)
          return guarded(call)
        },
      }
    }
  }

  return {
    ...calls,
    url,
    get session() {
      return sessions.peek()
    },
    currentSession: () => sessions.current(),
    subscribe: listener => sessions.subscribe(listener),
    signIn: async input => arrive(await open.post('/api/v1/auth/login', { body: input })),
    async signInWithPasskey(asking) {
      const options = await open.post('/api/v1/auth/passkeys/login/options')
      const credential = await signWithPasskey(options, asking)
      return arrive(await open.post('/api/v1/auth/passkeys/login/verify', { body: { credential } }))
    },
    async addPasskey(name) {
      const options = await calls.post('/api/v1/auth/passkeys/register/options', { body: null })
      const credential = await makePasskey(options)
      const body = { credential, ...(name !== undefined && { name }) }
      return calls.post('/api/v1/auth/passkeys/register/verify', { body })
    },
    async signOut() {
      const ended = await sessions.end()
      const body = mode === 'token' && ended?.refreshToken ? { refresh_token: ended.refreshToken } : null
      if (mode === 'token' && !body) return
      await open.post('/api/v1/auth/logout', { body }).catch((error: unknown) => {
        // Over already.
        if (!isRosterError(error) || error.status !== 401) throw error
      })
    },
    guarded,
    list: (path, ...init) => readList(calls.get, path, ...init),
    events: following => followEvents((to, init) => sendAs(new Request(to, init)), url, following),
    fetch: (input, init) => sendAs(new Request(input, init)),
    close: () => sessions.close(),
  }
}

function withToken(request: Request, session: Session | undefined): Request {
  if (session) request.headers.set('authorization', `Bearer ${session.accessToken}`)
  return request
}

/** Whether the token is what is refused, and not something else of the request. */
async function isOfToken(reply: Response): Promise<boolean> {
  return isRosterError(await errorOf(reply.clone()), 'invalid_token', 'unauthorized')
}
