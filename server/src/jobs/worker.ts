import { EventEmitter } from 'node:events'
import {
  parseCronItems,
  type Runner,
  run,
  runMigrations,
  type WorkerEvents,
  Logger as WorkerLogger,
} from 'graphile-worker'
import { sql } from 'kysely'
import type pg from 'pg'
import type { Logger } from 'pino'
import { createPool, type Tx } from '../db/store.ts'
import { isDatabaseUnavailable } from '../db/unavailable.ts'
import { withProgress } from '../lib/progress.ts'
import { withTimeout } from '../lib/promises.ts'
import type { Watched } from '../lib/watched.ts'
import { forgetHeartbeat, freeDead, freeJobs, newHeartbeatName, queueHeartbeat } from './heartbeat.ts'

/** A kind of background work: what it does, and when, if it runs by the clock. */
export type Job<Payload = unknown> = {
  /** `module.verb_object` */
  name: string
  /** A cron expression in UTC. Missed runs are not made up for. */
  schedule?: string
  run(payload: Payload): Promise<void>
}

export type Jobs = {
  /** The queue, and the clock that fills it. */
  watched: Watched[]
  /** Takes no further job and waits for those under way. */
  stop(): Promise<void>
}

type Options = { url: string; jobs: readonly Job[]; log: Logger }

/** Jobs at a time. */
const places = 4
/** Milliseconds without a heartbeat after which the queue counts as dead. */
const heartbeatLimit = 25_000
const heartbeatEvery = 5000
/** Milliseconds that a job may take without progress. Its messages, calls and queries have limits of their own. */
const jobLimit = 30_000
/** Milliseconds after a full minute by which the clock must have queued that minute's jobs. */
const clockLimit = 10_000

/**
 * Runs jobs from the queue in PostgreSQL (graphile-worker), four at a time. What a killed process held is taken up
 * by another within three minutes; a failed job, or one that hangs, comes again with growing delays.
 *
 * A worker that shows no sign of life is left behind, with its connections, and another begun: graphile-worker
 * keeps a failure of its first query for ever, and ends for good on some others.
 */
export async function startJobs(options: Options): Promise<Jobs> {
  const heartbeat = newHeartbeatName()
  let current = await begin(options, heartbeat)
  let restarting = 0
  const beating = setInterval(() => void current.beat(), heartbeatEvery)
  beating.unref()

  async function restart(): Promise<void> {
    const mine = ++restarting
    const last = current
    last.abandon()
    const next = await begin(options, heartbeat, last)
    // Another attempt overtook this one, or the process ends.
    if (mine !== restarting) return next.abandon()
    current = next
  }

  return {
    watched: [
      { name: 'job_queue', dueBy: () => current.beatAt() + heartbeatLimit, restart },
      { name: 'job_schedule', dueBy: () => current.scheduledUntil() + clockLimit, restart },
    ],
    async stop() {
      restarting += 1
      clearInterval(beating)
      await current.stop()
    },
  }
}

/** One worker, from its start to its end. */
type Life = {
  /** Of the queue: `performance.now()` of its last heartbeat. */
  beatAt(): number
  /** Of the clock: `performance.now()` of the next full minute whose jobs are not queued yet. */
  scheduledUntil(): number
  beat(): Promise<void>
  holder: string
  stop(): Promise<void>
  /** Ends it without waiting for anything. */
  abandon(): void
}

/** @param last the worker that this one follows: what that held is free, and signs of life count from its last */
async function begin({ url, jobs, log }: Options, heartbeat: string, last?: Life): Promise<Life> {
  const pool = createPool({
    url,
    size: 1,
    overflow: 4,
    queryTimeout: 60_000,
    onError: error => log.debug({ err: error }, 'a connection of the job worker broke'),
  })
  let beatAt = last?.beatAt() ?? performance.now()
  let scheduledUntil = last?.scheduledUntil() ?? nextMinute()
  let holder = ''
  const events: WorkerEvents = new EventEmitter()
  events.on('pool:create', ({ workerPool }) => {
    holder = workerPool.id
  })
  for (const sign of ['cron:started', 'cron:scheduled', 'cron:prematureTimer'] as const) {
    events.on(sign, () => {
      scheduledUntil = nextMinute()
    })
  }
  let running = 0
  let hasFetched = false
  const fetched = () => {
    hasFetched = true
  }
  const end = () => {
    beatAt = Number.NEGATIVE_INFINITY
  }
  events.on('worker:getJob:empty', fetched)
  events.on('job:start', fetched)
  // What made the first fetch fail would be believed for ever.
  events.on('worker:getJob:error', () => hasFetched || end())
  const tasks = {
    ...Object.fromEntries(jobs.map(job => [job.name, (payload: unknown) => perform(job, payload)])),
    async [heartbeat]() {
      beatAt = performance.now()
      await queueHeartbeat(pool, heartbeat, holder)
    },
  }

  /** A job fails that goes on for too long without progress. With every place taken, progress is a sign of life. */
  async function perform(job: Job, payload: unknown): Promise<void> {
    running += 1
    try {
      await withProgress(() => job.run(payload), {
        limit: jobLimit,
        late: () => new Error(`${job.name} made no progress for ${jobLimit / 1000} s; it is begun anew`),
        progressed() {
          if (running >= places) beatAt = performance.now()
        },
      })
    } finally {
      running -= 1
    }
  }

  let runner: Runner | undefined
  try {
    runner = await run({
      pgPool: pool,
      events,
      concurrency: places,
      noHandleSignals: true,
      pollInterval: 2000,
      logger: workerLogger(log),
      taskList: tasks,
      parsedCronItems: parseCronItems(
        jobs.flatMap(({ name, schedule }) =>
          schedule ? [{ task: name, match: schedule, identifier: name }] : [],
        ),
      ),
    })
    if (last) await freeJobs(pool, [last.holder])
    await queueHeartbeat(pool, heartbeat, holder)
  } catch (error) {
    leave(runner, pool, log)
    throw error
  }

  const started = runner
  started.promise.then(end, end)
  let beating = false
  /** Heartbeats queued in a row: after an outage the other processes get time to show that they are there. */
  let steady = 0

  return {
    holder,
    beatAt: () => beatAt,
    scheduledUntil: () => scheduledUntil,
    async beat() {
      if (beating) return
      beating = true
      try {
        await queueHeartbeat(pool, heartbeat, holder)
        steady += 1
        if (steady % 6 === 0) await freeDead(pool)
      } catch (error) {
        steady = 0
        log.debug({ err: error }, 'the heartbeat could not be queued')
      } finally {
        beating = false
      }
    },
    async stop() {
      await started.stop().catch(() => undefined) // it has ended by itself
      await forgetHeartbeat(pool, heartbeat).catch(() => undefined)
      await pool.end()
    },
    abandon: () => leave(started, pool, log),
  }
}

/** Ends a worker without waiting for it. */
function leave(runner: Runner | undefined, pool: pg.Pool, log: Logger): void {
  withTimeout(runner?.kill() ?? Promise.resolve(), 5000, () => new Error('it hangs'))
    .catch(error => log.debug({ err: error }, 'a job worker was left behind'))
    .then(() => pool.end())
    .catch(() => undefined)
}

const workerLogger = (log: Logger): WorkerLogger =>
  new WorkerLogger(() => (level, message, meta) => {
    const isOwnFault = level === 'error' && !isDatabaseUnavailable(meta?.error)
    log[isOwnFault ? 'error' : 'debug'](`jobs: ${message}`)
  })

function nextMinute(): number {
  const now = Date.now()
  return performance.now() + 60_000 - (now % 60_000)
}

/** Makes the queue's own tables, for a process that queues jobs and runs none. */
export const prepareQueue = (pool: pg.Pool): Promise<void> => runMigrations({ pgPool: pool })

/**
 * Queues a job in the transaction whose work it continues: it runs if and only if that commits, `delay`
 * milliseconds later. Of several with one `key` that wait, one remains, and keeps its place.
 */
export async function enqueue<Payload>(
  trx: Tx,
  job: Pick<Job<Payload>, 'name'>,
  payload: Payload,
  { delay = 0, key = null }: { delay?: number; key?: string | null } = {},
): Promise<void> {
  await sql`select graphile_worker.add_job(${job.name}, payload => ${JSON.stringify(payload)}::json,
    run_at => now() + ${delay / 1000} * interval '1 second', job_key => ${key},
    job_key_mode => 'preserve_run_at')`.execute(trx)
}
