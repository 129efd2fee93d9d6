import pg from 'pg'
import { withTimeout } from '../../lib/promises.ts'

/** Which partitions this process publishes now, and how far each has been published. */
export type PartitionClaims = {
  /** Takes up to a fair share of the partitions, gives back what is beyond it. */
  rebalance(): Promise<void>
  /** Partitions held, with the sequence up to which each is published. */
  held(): ReadonlyMap<number, number>
  /** Notes progress. @throws where the claims were lost: another process may have them by now */
  advance(published: ReadonlyMap<number, number>): Promise<void>
  release(): Promise<void>
}

/** Namespace of the advisory locks: a partition's own number each, and one that every process shares. */
const lockSpace = 706_412
const membership = 1_000_000

/**
 * Claims are advisory locks of one connection, which PostgreSQL gives back the moment that connection ends,
 * also by kill -9: nothing has to run out. How many processes share the work is seen from how many share the
 * membership lock. Progress is written over the same connection, so whoever lost a claim can't write.
 */
export function createPartitionClaims(url: string): PartitionClaims {
  let client: pg.Client | undefined
  const held = new Map<number, number>()

  function lose(lost: pg.Client) {
    if (client !== lost) return
    client = undefined
    held.clear()
    lost.end().catch(() => undefined)
  }

  async function connect(): Promise<pg.Client> {
    if (client) return client
    const next = new pg.Client({
      connectionString: url,
      application_name: 'roster relay',
      connectionTimeoutMillis: 4000,
      query_timeout: 10_000,
      keepAlive: true,
    })
    next.on('error', () => lose(next))
    next.on('end', () => lose(next))
    try {
      await join(next)
    } catch (error) {
      next.end().catch(() => undefined)
      throw error
    }
    client = next
    return next
  }

  async function join(next: pg.Client): Promise<void> {
    await next.connect()
    // A machine that vanished without a word gives its claims back after half a minute.
    await next.query(
      `set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 4`,
    )
    await next.query('select pg_advisory_lock_shared($1, $2)', [lockSpace, membership])
  }

  async function ask<Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> {
    const connected = await connect()
    try {
      return (await connected.query<Row>(text, values)).rows
    } catch (error) {
      lose(connected)
      throw error
    }
  }

  async function fairShare(): Promise<number> {
    const [row] = await ask<{ partitions: number; members: number }>(
      `select (select count(*)::int from event_partitions) as partitions,
        (select count(*)::int from pg_locks where locktype = 'advisory' and classid = $1 and objid = $2 and granted
          and database = (select oid from pg_database where datname = current_database())) as members`,
      [lockSpace, membership],
    )
    return Math.ceil((row?.partitions ?? 0) / Math.max(1, row?.members ?? 1))
  }

  return {
    held: () => held,
    async rebalance() {
      const share = await fairShare()
      for (const partition of [...held.keys()].slice(share)) {
        held.delete(partition)
        await ask('select pg_advisory_unlock($1, $2)', [lockSpace, partition])
      }
      if (held.size >= share) return
      const others = await ask<{ partition: number }>(
        'select partition from event_partitions where partition <> all($1::smallint[]) order by partition',
        [[...held.keys()]],
      )
      for (const { partition } of others) {
        if (held.size >= share) break
        const [lock] = await ask<{ mine: boolean }>('select pg_try_advisory_lock($1, $2) as mine', [
          lockSpace,
          partition,
        ])
        if (!lock?.mine) continue
        const [row] = await ask<{ published: string }>(
          'select published from event_partitions where partition = $1',
          [partition],
        )
        held.set(partition, Number(row?.published ?? 0))
      }
    },
    async advance(published) {
      await ask(
        `update event_partitions p set published = n.published
         from unnest($1::smallint[], $2::bigint[]) as n (partition, published)
         where p.partition = n.partition and p.published < n.published`,
        [[...published.keys()], [...published.values()]],
      )
      for (const [partition, sequence] of published) if (held.has(partition)) held.set(partition, sequence)
    },
    async release() {
      const last = client
      client = undefined
      held.clear()
      if (!last) return
      // A goodbye over a line that is dead would never end; the locks go with the connection either way.
      const ended = last.end().catch(() => undefined)
      await withTimeout(ended, 1000, () => new Error('no goodbye')).catch(() =>
        last.connection.stream.destroy(),
      )
    },
  }
}
