import type { Pool } from 'pg'

/** @throws where the database does not answer */
export async function ping(pool: Pool): Promise<void> {
  await pool.query('select 1')
}

export type DatabaseStatus = {
  version: string
  sizeBytes: number
  isReplica: boolean
  /** Seconds that this server's replay is behind its primary; null on a primary. */
  replayLagSeconds: number | null
  replicas: { name: string; state: string; lagSeconds: number | null }[]
}

/** What the server says of itself. Reads nothing that an ordinary owner of the database may not. */
export async function readDatabaseStatus(pool: Pool): Promise<DatabaseStatus> {
  const server = await pool.query<{
    version: string
    size: string
    is_replica: boolean
    replay_lag: number | null
  }>(`
    select
      current_setting('server_version') as version,
      pg_database_size(current_database()) as size,
      pg_is_in_recovery() as is_replica,
      case when pg_is_in_recovery()
        then extract(epoch from now() - pg_last_xact_replay_timestamp())::float8 end as replay_lag`)
  const replicas = await pool.query<{ name: string; state: string; lag: number | null }>(`
    select application_name as name, coalesce(state, 'unknown') as state,
      extract(epoch from replay_lag)::float8 as lag
    from pg_stat_replication order by application_name`)
  const row = server.rows[0]
  if (row === undefined) throw new Error('the database answered nothing')
  return {
    version: row.version,
    sizeBytes: Number(row.size),
    isReplica: row.is_replica,
    replayLagSeconds: row.replay_lag,
    replicas: replicas.rows.map(({ name, state, lag }) => ({ name, state, lagSeconds: lag })),
  }
}
