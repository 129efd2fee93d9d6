import { randomBytes } from 'node:crypto'
import type pg from 'pg'

/*
 * Each process has a job of its own in the queue, which is always there and comes due every five seconds. Where it
 * runs, the process fetches, runs and finishes jobs. Where the process has not written for two minutes that it is
 * there, it was killed, and what it held is free.
 */

const prefix = 'jobs.heartbeat.'
/** Before all other jobs: it says whether the queue moves, not how long it is. */
const priority = -1000
const seconds = 5

/** The name of a process's own job. */
export const newHeartbeatName = (): string => `${prefix}${randomBytes(9).toString('hex')}`

/** Sees to it that the job is in the queue, and writes that its process is there. `holder`: under which name graphile-worker locks what the process runs. */
export async function queueHeartbeat(pool: pg.Pool, name: string, holder: string): Promise<void> {
  await pool.query(
    `select graphile_worker.add_job($1, payload => json_build_object('holder', $2::text, 'seen', now()),
       run_at => now() + $3 * interval '1 second', job_key => $1, job_key_mode => 'preserve_run_at',
       priority => $4)`,
    [name, holder, seconds, priority],
  )
}

/** Frees what `holder` holds: others take it up at once, and not when the lock is four hours old. */
export const freeJobs = (pool: pg.Pool, holders: readonly string[]): Promise<unknown> =>
  pool.query('select graphile_worker.force_unlock_workers($1)', [holders])

/**
 * Removes the jobs of processes that were killed, and frees what these held. One that only stood still for so
 * long finds its job gone and begins anew; what it ran meanwhile may run twice, as any job may.
 */
export async function freeDead(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ identifier: string; holder: string | null }>(
    `delete from graphile_worker._private_jobs j using graphile_worker._private_tasks t
     where t.id = j.task_id and starts_with(t.identifier, $1)
       and (j.payload ->> 'seen')::timestamptz < now() - interval '2 minutes'
     returning t.identifier, j.payload ->> 'holder' as holder`,
    [prefix],
  )
  if (rows.length === 0) return
  await freeJobs(
    pool,
    rows.flatMap(({ holder }) => holder ?? []),
  )
  for (const { identifier } of rows) await forgetHeartbeat(pool, identifier)
}

/** At a clean end. */
export async function forgetHeartbeat(pool: pg.Pool, name: string): Promise<void> {
  await pool.query('select graphile_worker.remove_job($1)', [name])
  await pool.query(
    `delete from graphile_worker._private_tasks t where t.identifier = $1
       and not exists (select from graphile_worker._private_jobs j where j.task_id = t.id)`,
    [name],
  )
}
