import type { ReplicaStore, ReplicaTransaction, ReplicaUser, StoredUser } from './types.ts'

/** What is needed of `pg`: a pool of clients. */
export type PostgresPool = {
  connect(): Promise<PostgresClient>
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>
}
type PostgresClient = Pick<PostgresPool, 'query'> & { release(isBroken?: boolean): void }

const types: Readonly<Record<keyof ReplicaUser, string>> = {
  id: 'uuid primary key',
  username: 'text not null',
  email: 'text not null',
  email_verified: 'boolean not null',
  phone_number: 'text',
  phone_verified: 'boolean not null',
  full_name: 'text',
  first_name: 'text',
  last_name: 'text',
  roles: 'text[] not null',
  is_active: 'boolean not null',
  current_title: 'text',
  location: 'text',
  avatar_url: 'text',
  locale: 'text',
  timezone: 'text',
  created_at: 'timestamptz not null',
  deleted_at: 'timestamptz',
}
const columns = Object.keys(types)

/** Makes the tables that {@link postgresStore} works with, where they are missing. */
export async function createReplicaTables(pool: PostgresPool, table = 'users'): Promise<void> {
  const fields = Object.entries(types).map(([name, type]) => `${name} ${type}`)
  await pool.query(`
    create table if not exists ${table} (${fields.join(', ')}, as_of bigint not null);
    create table if not exists ${table}_position (
      only_row boolean primary key default true check (only_row), sequence bigint
    );
    insert into ${table}_position default values on conflict do nothing`)
}

/** A replica in PostgreSQL: table `users`, and beside it `users_position`. */
export function postgresStore(pool: PostgresPool, table = 'users'): ReplicaStore {
  return {
    async transact(work) {
      const client = await pool.connect()
      try {
        await client.query('begin')
        const result = await work(inTransaction(client, table))
        await client.query('commit')
        client.release()
        return result
      } catch (error) {
        await client.query('rollback').then(
          () => client.release(),
          () => client.release(true),
        )
        throw error
      }
    },
    async ids(after, limit) {
      const { rows } = await pool.query(
        `select id from ${table} where $1::uuid is null or id > $1::uuid order by id limit $2`,
        [after ?? null, limit],
      )
      return rows.map(({ id }) => String(id))
    },
  }
}

function inTransaction(client: PostgresClient, table: string): ReplicaTransaction {
  const updates = columns.filter(name => name !== 'id').map(name => `${name} = excluded.${name}`)
  return {
    async lockPosition() {
      const { rows } = await client.query(`select sequence from ${table}_position for update`)
      const sequence = rows[0]?.sequence
      return sequence === null || sequence === undefined ? undefined : Number(sequence)
    },
    async setPosition(sequence) {
      await client.query(`update ${table}_position set sequence = $1`, [sequence ?? null])
    },
    async find(ids) {
      if (ids.length === 0) return []
      const { rows } = await client.query(`select * from ${table} where id = any($1::uuid[])`, [ids])
      return rows.map(toStored)
    },
    async put(users) {
      if (users.length === 0) return
      const records = users.map(({ user, asOf }) => ({ ...user, as_of: asOf }))
      await client.query(
        `insert into ${table} (${columns.join(', ')}, as_of)
         select ${columns.join(', ')}, as_of from jsonb_populate_recordset(null::${table}, $1::jsonb)
         on conflict (id) do update set ${updates.join(', ')}, as_of = excluded.as_of`,
        [JSON.stringify(records)],
      )
    },
    async remove(ids) {
      if (ids.length > 0) await client.query(`delete from ${table} where id = any($1::uuid[])`, [ids])
    },
    async removeOutside(first, last) {
      await client.query(`delete from ${table} where as_of not between $1 and $2`, [first, last])
    },
  }
}

function toStored({ as_of, ...row }: Record<string, unknown>): StoredUser {
  const iso = (at: unknown) => (at instanceof Date ? at.toISOString() : null)
  const own = Object.fromEntries(columns.map(name => [name, row[name]]))
  // The columns are those of the type, made by createReplicaTables().
  const user = { ...own, created_at: iso(row.created_at), deleted_at: iso(row.deleted_at) } as ReplicaUser
  return { user, asOf: Number(as_of) }
}
