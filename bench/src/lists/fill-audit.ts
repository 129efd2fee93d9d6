import type pg from 'pg'

/**
 * Fills the audit log with rows of one every two seconds, as a busy service leaves them: nine in ten about logins,
 * one in fifty a failure, with address and device beside them. Not sealed. About 40,000 a second.
 */
export async function fillAudit(pool: pg.Pool, count: number): Promise<void> {
  const batch = 100_000
  const client = await pool.connect()
  try {
    await client.query('set statement_timeout = 0')
    for (let from = 0; from < count; from += batch) {
      await client.query({
        text: insertRows,
        values: [from, Math.min(from + batch, count) - 1],
        query_timeout: 600_000,
      } as pg.QueryConfig)
    }
    await client.query({ text: 'vacuum analyze', query_timeout: 600_000 } as pg.QueryConfig)
  } finally {
    client.release(true)
  }
}

const insertRows = `
  with rows as (
    insert into audit_log (id, occurred_at, action, outcome, actor_type, actor_id, subject_type, subject_id, details)
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
        || '8' || substr(md5(n::text), 1, 15))::uuid,
      at,
      case when n % 10 < 9 then 'login' when n % 1000 = 9 then 'role.granted' else 'user.profile_updated' end,
      case when n % 50 = 0 then 'failure' when n % 5000 = 1 then 'denied' else 'success' end,
      'user', person, 'user', person::text, '{"method": "password"}'
    from generate_series($1::int, $2::int) n,
      lateral (select timestamptz '2025-01-01' + n * interval '2 seconds' as at,
        (substr(md5((n % 20000)::text), 1, 12) || '7000800000000000000')::text as hex) t,
      lateral (select rpad(hex, 32, '0')::uuid as person) p
    returning id
  )
  insert into audit_personal (audit_id, ip, user_agent, salt) select id, '192.0.2.7', 'Mozilla/5.0', '\\x00' from rows`
