import { createNews } from '@roster/server/src/db/news.ts'
import { createPool, createStore, type Store } from '@roster/server/src/db/store.ts'
import { uuidv7 } from '@roster/server/src/lib/ids.ts'
import { appendAudit, createSealer } from '@roster/server/src/modules/audit/index.ts'
import { appendEvent } from '@roster/server/src/modules/events/index.ts'
import { createLogger } from '../../../server/src/http/logger.ts'
import { inTurns } from '../statistics.ts'

const goal = 0.85
const clients = 10
const rounds = 6

/**
 * Writes per second of a change of a user's record, with its audit row and the sealer at work, against the same
 * without: the ratio that recording leaves.
 */
export async function measureRecording(
  url: string,
  seconds: number,
  print: (line: string) => void,
): Promise<boolean> {
  const pool = createPool({ url, size: clients, overflow: 2, onError: () => undefined })
  const news = createNews({ url, changed: () => undefined })
  await news.start()
  const store = createStore(pool, news)
  const { rows } = await pool.query('select id from users order by id limit 5000')
  const users: string[] = rows.map(row => row.id)
  const sealer = createSealer({
    store,
    clock: { now: () => new Date() },
    auditKey: Buffer.alloc(32, 1),
    dataDir: undefined,
    log: createLogger({ logLevel: 'error' }),
  })
  // What the filling of the database left is not measured.
  while ((await sealer.seal()) > 0);
  const on = async () => {
    sealer.start()
    const count = await writesPerSecond(store, users, { audited: true, seconds })
    await sealer.stop()
    return count
  }
  try {
    const { ours, limit, ratio } = await inTurns(rounds, on, () =>
      writesPerSecond(store, users, { audited: false, seconds }),
    )
    const met = ratio >= goal
    print(
      `${met ? ' ' : '✗'} writes/s with audit ${ours.toFixed(0)}, without ${limit.toFixed(0)}, ratio ${ratio.toFixed(2)} (goal ${goal})`,
    )
    return met
  } finally {
    await news.stop()
    await pool.end()
  }
}

async function writesPerSecond(
  store: Store,
  users: readonly string[],
  { audited, seconds }: { audited: boolean; seconds: number },
): Promise<number> {
  const end = performance.now() + seconds * 1000
  let written = 0
  const client = async (first: number) => {
    for (let n = first; performance.now() < end; n += clients) {
      await write(store, users[n % users.length] ?? '', audited)
      written += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, n) => client(n)))
  return written / seconds
}

/** The statements of a change of one's own profile. */
function write(store: Store, userId: string, audited: boolean): Promise<void> {
  return store.transact(async trx => {
    const at = new Date()
    await trx.selectFrom('users').selectAll().where('id', '=', userId).forNoKeyUpdate().executeTakeFirst()
    await trx
      .updateTable('users')
      .set({ location: uuidv7(at), updated_at: at })
      .where('id', '=', userId)
      .execute()
    if (audited) {
      const origin = {
        actorType: 'user',
        actorId: userId,
        ip: '192.0.2.7',
        userAgent: 'Mozilla/5.0',
      } as const
      const subject = { type: 'user', id: userId }
      await appendAudit(trx, at, origin, {
        action: 'user.profile_updated',
        subject,
        changedFields: ['location'],
      })
    }
    await appendEvent(trx, at, { type: 'user.profile_updated', userId, data: { userId } })
    await store.announce(trx, { kind: 'user', id: userId })
  })
}
