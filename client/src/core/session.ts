import type { components } from '../generated/api.ts'
import { errorOf, RosterError } from './error.ts'
import { openTabs, type Tabs } from './tabs.ts'

export type User = components['schemas']['User']
type Tokens = components['schemas']['Tokens']

/** Who is signed in, and until when the access token is good (milliseconds since 1970). */
export type Session = {
  id: string
  user: User
  accessToken: string
  /** In token mode only: in a browser it is in a cookie that no script sees. */
  refreshToken?: string | undefined
  expiresAt: number
}

/** Where a session is kept between runs, in token mode. */
export type SessionStorage = {
  load(): Session | undefined | Promise<Session | undefined>
  save(session: Session | undefined): void | Promise<void>
}

export type SessionOptions = {
  url: string
  mode: 'browser' | 'token'
  storage?: SessionStorage | undefined
  fetch: typeof fetch
}

export type Sessions = {
  /** What is known of it now, without asking; undefined before the first look. */
  peek(): Session | undefined
  /** The session, its access token good for half a minute at least; undefined where nobody is signed in. */
  current(): Promise<Session | undefined>
  /** A session with another access token than `refused`, which the service does not take any more. */
  renewed(refused: string): Promise<Session | undefined>
  begin(tokens: Tokens): Promise<Session>
  /** @returns what was ended */
  end(): Promise<Session | undefined>
  /** Calls `listener` at each change. @returns what ends that */
  subscribe(listener: (session: Session | undefined) => void): () => void
  close(): void
}

/** Milliseconds before its end at which an access token is replaced. */
const margin = 30_000
/** Milliseconds that a tab waits for what the one before it found out. */
const hearsay = 150
/** Milliseconds between the attempts at a refresh whose reply was lost; the service repeats it for a minute. */
const pauses = [250, 1000, 3000]

/** Keeps one session fresh: one refresh for any number of requests and tabs. */
export function createSessions(options: SessionOptions): Sessions {
  const { storage } = options
  const listeners = new Set<(session: Session | undefined) => void>()
  let session: Session | undefined
  let looked: Promise<void> | undefined
  let decisions = 0
  let refreshing: Promise<Session | undefined> | undefined
  const tabs: Tabs<Session | null> = openTabs(`roster ${options.url}`, message => {
    looked = Promise.resolve()
    if (!message) decisions += 1
    take(message ?? undefined)
  })

  function take(next: Session | undefined): void {
    session = next
    for (const listener of listeners) listener(next)
  }

  async function keep(next: Session | undefined): Promise<void> {
    take(next)
    tabs.tell(next ?? null)
    await storage?.save(next)
  }

  /** The first look: at what is stored, or, in a browser, at what the cookie is worth. */
  function look(): Promise<void> {
    looked ??= (async () => {
      if (options.mode === 'token') take(await storage?.load())
      else await refresh()
    })().catch(error => {
      looked = undefined
      throw error
    })
    return looked
  }

  function refresh(): Promise<Session | undefined> {
    refreshing ??= refreshAlone().finally(() => {
      refreshing = undefined
    })
    return refreshing
  }

  async function refreshAlone(): Promise<Session | undefined> {
    const before = session?.accessToken
    return tabs.alone(async isAlone => {
      await hearOf(before, isAlone ? 0 : hearsay)
      if (session && session.accessToken !== before) return session
      const stored = await storage?.load()
      if (stored && stored.accessToken !== before && isGood(stored)) {
        take(stored)
        return stored
      }
      const given = session ?? stored
      const decided = decisions
      if (options.mode === 'token' && !given?.refreshToken) return undefined
      const reply = await sendRefresh(options, given?.refreshToken)
      // Signed out or in meanwhile: what somebody decided stays so.
      if (decisions !== decided) return session
      if (reply) await keep(toSession(reply))
      // What was no session here says nothing to other tabs: one may be signing in right now.
      else if (given) await keep(undefined)
      else take(undefined)
      return session
    })
  }

  function hearOf(before: string | undefined, milliseconds: number): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        clearTimeout(timer)
        listeners.delete(done)
        resolve()
      }
      const timer = setTimeout(done, milliseconds)
      if (session?.accessToken === before) listeners.add(done)
      else done()
    })
  }

  return {
    peek: () => session,
    async current() {
      await look()
      return session && !isGood(session) ? refresh() : session
    },
    async renewed(refused) {
      if (session?.accessToken !== refused) return session
      return refresh()
    },
    async begin(tokens) {
      looked = Promise.resolve()
      decisions += 1
      const begun = toSession(tokens)
      await keep(begun)
      return begun
    },
    async end() {
      looked = Promise.resolve()
      decisions += 1
      const ended = session ?? (await storage?.load())
      await keep(undefined)
      return ended
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: () => tabs.close(),
  }
}

/** By the wall clock, which goes on while a laptop sleeps. */
const isGood = ({ expiresAt }: Session): boolean => expiresAt - Date.now() > margin

const toSession = (tokens: Tokens): Session => ({
  id: tokens.session_id,
  user: tokens.user,
  accessToken: tokens.access_token,
  refreshToken: tokens.refresh_token,
  expiresAt: Date.now() + tokens.expires_in * 1000,
})

/**
 * Tries again where no reply came, or one that says nothing of the session.
 * @returns undefined where the service says that the session is over
 */
async function sendRefresh(
  { url, mode, fetch }: SessionOptions,
  refreshToken: string | undefined,
): Promise<Tokens | undefined> {
  for (let attempt = 0; ; attempt += 1) {
    const reply = await fetch(`${url}/api/v1/auth/refresh`, {
      method: 'POST',
      ...(mode === 'browser'
        ? { credentials: 'include' as const, headers: { 'X-Roster-Client': 'browser' } }
        : {
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ refresh_token: refreshToken }),
          }),
    }).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))
    if (reply instanceof Response) {
      // Read whole here: a connection may break in the middle of it.
      const tokens: Tokens | undefined = reply.ok
        ? ((await reply.json().catch(() => undefined)) as Tokens | undefined) // what the route answers
        : undefined
      if (tokens) return tokens
      if (reply.status === 401) return undefined
      if (!reply.ok && reply.status < 500 && reply.status !== 429) throw await errorOf(reply)
    }
    const pause = pauses[attempt]
    if (pause === undefined) {
      throw reply instanceof Response
        ? await errorOf(reply).catch(() => new RosterError(reply.status, {}))
        : reply
    }
    await new Promise(resolve => setTimeout(resolve, pause))
  }
}
