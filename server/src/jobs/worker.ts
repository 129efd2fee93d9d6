import { parseCronItems, type Runner, run, runMigrations, Logger as WorkerLogger } from 'graphile-worker'
import { sql } from 'kysely'
import type pg from 'pg'
import type { Logger } from 'pino'
import { createPool, type Tx } from '../db/store.ts'

/** A kind of background work: what it does, and when, if it runs by the clock. */
export type Job<Payload = unknown> = {
  /** `module.verb_object` */
  name: string
  /** A cron expression in UTC. Missed runs are not made up for. */
  schedule?: string
  run(payload: Payload): Promise<void>
}

export type Jobs = {
  /** Takes no further job and waits for those under way. */
  stop(): Promise<void>
}

/**
 * Runs jobs from the queue in PostgreSQL (graphile-worker), four at a time. What a killed process held is taken
 * up by another; a failed job comes again with growing delays.
 */
export async function startJobs(options: { url: string; jobs: readonly Job[]; log: Logger }): Promise<Jobs> {
  const { jobs, log } = options
  const pool = createPool({
    url: options.url,
    size: 1,
    overflow: 4,
    queryTimeout: 60_000,
    onError: error => log.warn({ err: error }, 'a connection of the job worker broke'),
  })
  pool.on('connect', client =>
    client.on('error', error => log.warn({ err: error }, 'a job connection broke')),
  )
  const runner: Runner = await run({
    pgPool: pool,
    concurrency: 4,
    noHandleSignals: true,
    pollInterval: 2000,
    logger: new WorkerLogger(() => (level, message) => {
      if (level === 'error') log.error(`jobs: ${message}`)
      else log.debug(`jobs: ${message}`)
    }),
    taskList: Object.fromEntries(jobs.map(job => [job.name, payload => job.run(payload)])),
    parsedCronItems: parseCronItems(
      jobs.flatMap(({ name, schedule }) =>
        schedule ? [{ task: name, match: schedule, identifier: name }] : [],
      ),
    ),
  })
  return {
    async stop() {
      await runner.stop()
      await pool.end()
    },
  }
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
