import { sql } from 'kysely'
import type { Db } from '../../../db/store.ts'

/** A hash that stands for all of its algorithm and cost, and how many have one. */
export type Kind = { hash: string; users: number }

const isOwn = sql`password_hash like '$argon2id$v=19$m=19456,t=2,p=1$%'`

/** The kinds of hashes from elsewhere. One index holds them all. */
export async function foreignKinds(db: Db): Promise<Kind[]> {
  const { rows } = await sql<Kind>`
    select password_hash_kind(password_hash) as hash, count(*)::int as users from user_credentials
    where password_hash not like '$argon2id$v=19$m=19456,t=2,p=1$%'
      and password_hash_kind(password_hash) is not null
    group by 1`.execute(db)
  return rows
}

/** How many are counted; beyond, the table's statistics are as good. */
const countedAtMost = 10_000

/** How many have a hash of ours. @param others how many have another */
export async function countOwn(db: Db, others: number): Promise<number> {
  const { rows } = await sql<{ counted: number; estimated: number }>`
    select
      (select count(*)::int from (select 1 from user_credentials where ${isOwn} limit ${countedAtMost}) as own) as counted,
      (select reltuples::float8 from pg_class where oid = 'user_credentials'::regclass) as estimated`.execute(
    db,
  )
  const { counted = 0, estimated = 0 } = rows[0] ?? {}
  return counted < countedAtMost ? counted : Math.max(counted, estimated - others)
}
