import { sql } from 'kysely'
import pg from 'pg'
import type { Watched } from '../lib/watched.ts'
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
  watched: Watched
}

const channel = 'roster_news'
const beat = 250
/** Milliseconds: with one beat under way this stays below the promised second. */
const freshness = 800
/** Milliseconds that one beat may take: connecting has 2000, and a query {@link freshness}. */
const beatLimit = 20_000

/**
 * News between processes over LISTEN/NOTIFY on one connection of its own.
 *
 * A lost connection is noticed at once when it is closed, and within {@link freshness} when it hangs: a query
 * goes over the same connection four times a second, and PostgreSQL delivers what was notified before it
 * answers. From then on `isCurrent` is false, so every request asks the database, until a new connection
 * listens and the caches have been emptied.
 * @param changed told once when the connection is lost, and once when news is heard again
 */
export function createNews(options: { url: string; changed: (heard: boolean) => void }): News {
  const listeners: NewsListener[] = []
  let client: pg.Client | undefined
  let heardUntil = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let stopped = true
  /** Which of the runs of tick() counts: one that hangs is left behind. */
  let generation = 0
  let beatAt = 0
  let lostAt: number | undefined

  const apply = (announcement: Announcement) => {
    for (const listener of listeners) listener.heard(announcement)
  }

  /** Whoever can write to the database can notify anything: what makes no sense may stand for anything. */
  function hear(payload: string): void {
    try {
      apply(JSON.parse(payload) as Announcement) // written by notify() below
    } catch {
      for (const listener of listeners) listener.missed()
    }
  }

  async function connect(mine: number): Promise<void> {
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
      if (message.payload) hear(message.payload)
    })
    const asked = performance.now()
    try {
      await next.connect()
      await next.query(`listen ${channel}`)
    } catch (error) {
      next.end().catch(() => undefined)
      throw error
    }
    if (stopped || mine !== generation) return void next.end().catch(() => undefined)
    client = next
    for (const listener of listeners) listener.missed()
    heardUntil = asked
    if (lostAt !== undefined) options.changed(true)
    lostAt = undefined
  }

  function lose(lost: pg.Client) {
    if (client !== lost) return
    client = undefined
    heardUntil = Number.NEGATIVE_INFINITY
    if (!stopped) {
      lostAt ??= performance.now()
      options.changed(false)
    }
    lost.end().catch(() => undefined)
  }

  async function tick(mine: number): Promise<void> {
    const asking = client
    try {
      if (asking) {
        const asked = performance.now()
        await asking.query('select 1')
        if (asking === client) heardUntil = asked
      } else {
        await connect(mine)
      }
    } catch {
      if (asking) lose(asking)
    }
    if (stopped || mine !== generation) return
    beatAt = performance.now()
    timer = setTimeout(tick, beat, mine)
  }

  function beatOn(): void {
    clearTimeout(timer)
    timer = setTimeout(tick, beat, ++generation)
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
      await connect(generation)
      beatAt = performance.now()
      beatOn()
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      const last = client
      client = undefined
      heardUntil = Number.NEGATIVE_INFINITY
      await last?.end()
    },
    watched: {
      name: 'news',
      dueBy: () => (stopped ? Number.POSITIVE_INFINITY : beatAt + beatLimit),
      failingSince: () => lostAt,
      restart() {
        if (client) lose(client)
        beatOn()
      },
    },
  }
}
