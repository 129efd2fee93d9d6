import type pg from 'pg'

const words = 'anna,bert,carla,dora,emil,franz,greta,hugo,ida,jonas,karl,lena,max,nora,otto,paula,zoe'

/**
 * Fills a database with made-up users who registered through 2024: 3 % inactive, 1 % deleted, 5 % premium, 20 %
 * never logged in, 100 of the role `support`. About 30,000 a second.
 */
export async function fillUsers(pool: pg.Pool, count: number): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('set statement_timeout = 0')
    const batch = 50_000
    for (let from = 0; from < count; from += batch) {
      const to = Math.min(from + batch, count)
      await client.query({
        text: insertUsers,
        values: [from, to - 1, count, words],
        query_timeout: 600_000,
      } as pg.QueryConfig)
    }
    await client.query(
      `insert into user_roles (user_id, role_name, granted_at)
       select id, 'support', now() from users where username like '%.0' or username like '%.1__' order by id limit 100
       on conflict do nothing`,
    )
    await client.query({ text: 'vacuum analyze', query_timeout: 600_000 } as pg.QueryConfig)
  } finally {
    client.release(true)
  }
}

/** UUIDv7 of each one's moment, as the service makes them; numbered so that order of name says nothing of age. */
const insertUsers = `
  with people as (
    select n, (string_to_array($4, ','))[1 + n % 17] as word,
      timestamptz '2024-01-01' + interval '1 year' * (n::float8 / $3) as at,
      n * 7654321::bigint % 15485863 as number
    from generate_series($1::int, $2::int) n
  ), people_with_ids as (
    select *, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7'
      || lpad(to_hex(n % 4096), 3, '0') || '8' || substr(md5(n::text), 1, 15))::uuid as id
    from people
  ), inserted as (
    insert into users (id, username, username_key, email, email_key, full_name, is_active, deleted_at,
      subscription_tier, subscription_expires_at, phone_number, created_at)
    select id, word || '.' || number, word || '.' || number, word || number || '@example.org',
      word || number || '@example.org', initcap(word) || ' Müller ' || number, n % 25 <> 3 and n % 100 <> 7,
      case when n % 100 = 7 then at + interval '10 days' end,
      case when n % 20 = 3 then 'premium' else 'free' end,
      case when n % 40 = 3 then timestamptz '2025-06-01' end,
      '+431' || lpad(n::text, 9, '0'), date_trunc('milliseconds', at)
    from people_with_ids
  ), activity as (
    insert into user_activity (user_id, last_login_at, login_count)
    select id, case when n % 5 <> 2 then timestamptz '2025-01-01' + interval '1 year' * (n * 7919::bigint % 100000 / 100000.0) end,
      n % 9
    from people_with_ids
  )
  insert into user_credentials (user_id, password_hash) select id, '$none' from people_with_ids`
