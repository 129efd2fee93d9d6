import { sql } from 'kysely'
import pg from 'pg'
import { sendWithCommit, type Tx } from './transaction.ts'

/**
 * What other processes must forget:
 * `session`: one session ended or changed; `user`: a user's record, or all sessions of theirs; `access`: a
 * role's permissions; `keys`: the signing keys; `settings`: a user's preferences and settings; `definitions`:
 * what settings there are; `password_hashes`: which algorithms are in use.
 */
export type Announcement =
  | { kind: 'session'; id: string }
  | { kind: 'user'; id: string }
  | { kind: 'access' }
  | { kind: 'keys' }
  | { kind: 'settings'; id: string }
  | { kind: 'definitions' }
  | { kind: 'password_hashes' }

export type NewsListener = {
  /** Forget what the announcement names. */
  heard(announcement: Announcement): void
  /** Announcements may have been missed: forget everything. */
  missed(): void
}

export type News = {
  subscribe(listener: NewsListener): void
  /** Hands an announcement to this process's subscribers. */
  apply(announcement: Announcement): void
  /** Sends it to every process when `trx` commits. */
  notify(trx: Tx, announcement: Announcement): Promise<void>
  /**
   * Whether everything committed more than {@link freshness} milliseconds ago has been heard. While it is
   * false nothing cached may be believed. `now` is in milliseconds of performance.now().
   */
  isCurrent(now: number): boolean
  start(): Promise<void>
  stop(): Promise<void>
}

const channel = 'roster_news'
const beat = 250
/** Milliseconds: with one beat under way this stays below the promised second. */
const freshness = 800

/**
 * News between processes over LISTEN/NOTIFY on one connection of its own.
 *
 * A lost connection is noticed at once when it is closed, and within {@link freshness} when it hangs: a query
 * goes over the same connection four times a second, and PostgreSQL delivers what was notified before it
 * answers. From then on `isCurrent` is false, so every request asks the database, until a new connection
 * listens and the caches have been emptied.
 */
export function createNews(options: { url: string; log: (message: string) => void }): News {
  const listeners: NewsListener[] = []
  let client: pg.Client | undefined
  let heardUntil = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  const apply = (announcement: Announcement) => {
    for (const listener of listeners) listener.heard(announcement)
  }

  async function connect(): Promise<void> {
    const next = new pg.Client({
      connectionString: options.url,
      application_name: 'roster news',
      connectionTimeoutMillis: 2000,
      query_timeout: freshness,
      keepAlive: true,
    })
    next.on('error', () => lose(next))
    next.on('end', () => lose(next))
    next.on('notification', message => {
      if (message.payload) apply(JSON.parse(message.payload) as Announcement) // written by notify() below
    })
    const asked = performance.now()
    try {
      await next.connect()
      await next.query(`listen ${channel}`)
    } catch (error) {
      next.end().catch(() => undefined)
      throw error
    }
    if (stopped) return void next.end().catch(() => undefined)
    client = next
    for (const listener of listeners) listener.missed()
    heardUntil = asked
  }

  function lose(lost: pg.Client) {
    if (client !== lost) return
    client = undefined
    heardUntil = Number.NEGATIVE_INFINITY
    if (!stopped) options.log('lost the connection for news between processes; asking the database instead')
    lost.end().catch(() => undefined)
  }

  async function tick(): Promise<void> {
    try {
      if (client) {
        const asked = performance.now()
        await client.query('select 1')
        heardUntil = asked
      } else {
        await connect()
      }
    } catch {
      if (client) lose(client)
    }
    if (!stopped) timer = setTimeout(tick, beat)
  }

  return {
    subscribe: listener => void listeners.push(listener),
    apply,
    async notify(trx, announcement) {
      sendWithCommit(trx, sql`select pg_notify(${channel}, ${JSON.stringify(announcement)})`)
    },
    isCurrent: now => now - heardUntil < freshness,
    async start() {
      stopped = false
      await connect()
      timer = setTimeout(tick, beat)
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      const last = client
      client = undefined
      heardUntil = Number.NEGATIVE_INFINITY
      await last?.end()
    },
  }
}
