import { type Insertable, type Selectable, sql, type Updateable } from 'kysely'
import type { Db, Tx } from '../../db/store.ts'
import type { SettingDefinitionsTable, SettingDryRunsTable } from '../../db/tables.ts'
import type { Json } from '../../lib/json.ts'
import type { Definition, DryRun } from './schemas.ts'

/** A row with what its JSON columns hold: only this module writes them, and it checks before. */
export type DefinitionRow = Omit<Selectable<SettingDefinitionsTable>, keyof Definition | 'pending'> &
  Definition & { pending: { token: string; candidate: Definition | null } | null }
export type DryRunRow = Omit<Selectable<SettingDryRunsTable>, 'candidate' | 'samples'> & {
  candidate: Definition
  samples: DryRun['samples']
}
export type Scope = 'preference' | 'setting'
export type ValuesRow = { value_by_key: Record<string, Json>; version: number; updated_at: Date }

/** An arbitrary number that nothing else locks. */
const registryLock = 7_213_904

/**
 * Holds the definitions as they are until `trx` ends. Those who write values share the lock, whoever changes
 * a definition has it alone; what is asked in a later statement is then current.
 */
export async function shareDefinitions(trx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(${registryLock})`.execute(trx)
}

export async function lockDefinitions(trx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${registryLock})`.execute(trx)
}

export async function registryVersion(db: Db): Promise<string> {
  return (await db.selectFrom('setting_registry').select('version').executeTakeFirstOrThrow()).version
}

export async function raiseRegistryVersion(trx: Tx): Promise<void> {
  await sql`update setting_registry set version = version + 1`.execute(trx)
}

export async function shippedDigest(db: Db): Promise<string | null> {
  return (await db.selectFrom('setting_registry').select('shipped_digest').executeTakeFirstOrThrow())
    .shipped_digest
}

export async function keepShippedDigest(trx: Tx, digest: string): Promise<void> {
  await trx.updateTable('setting_registry').set({ shipped_digest: digest }).execute()
}

/** Removed ones too. */
export async function allDefinitions(db: Db): Promise<DefinitionRow[]> {
  const rows = await db.selectFrom('setting_definitions').selectAll().execute()
  return rows as unknown as DefinitionRow[]
}

export async function findDefinition(db: Db, key: string): Promise<DefinitionRow | undefined> {
  const row = await db.selectFrom('setting_definitions').selectAll().where('key', '=', key).executeTakeFirst()
  return row as unknown as DefinitionRow | undefined
}

/** Those whose change is under way at `at`. */
export async function changingDefinitions(db: Db, at: Date): Promise<DefinitionRow[]> {
  const rows = await db
    .selectFrom('setting_definitions')
    .selectAll()
    .where('pending', 'is not', null)
    .where('pending_until', '>', at)
    .execute()
  return rows as unknown as DefinitionRow[]
}

/** Inserts a definition, or puts it in the place of what is there. */
export async function putDefinition(
  trx: Tx,
  row: Definition & Omit<Insertable<SettingDefinitionsTable>, keyof Definition>,
): Promise<void> {
  const { key, ...rest } = {
    ...row,
    default_value: JSON.stringify(row.default_value),
    validation_rules: JSON.stringify(row.validation_rules),
    cross_rules: JSON.stringify(row.cross_rules),
  }
  await trx
    .insertInto('setting_definitions')
    .values({ key, ...rest })
    .onConflict(conflict => conflict.column('key').doUpdateSet(rest))
    .execute()
}

export async function updateDefinition(
  trx: Tx,
  key: string,
  changes: Updateable<SettingDefinitionsTable>,
): Promise<void> {
  await trx.updateTable('setting_definitions').set(changes).where('key', '=', key).execute()
}

export async function deleteDefinition(trx: Tx, key: string): Promise<void> {
  await trx.deleteFrom('setting_definitions').where('key', '=', key).execute()
}

export async function keepVersion(
  trx: Tx,
  version: { key: string; version: number; definition: unknown; at: Date; by: string | null },
): Promise<void> {
  await trx
    .insertInto('setting_definition_versions')
    .values({
      key: version.key,
      version: version.version,
      definition: JSON.stringify(version.definition),
      changed_at: version.at,
      changed_by: version.by,
    })
    .execute()
}

export type VersionRow = {
  version: number
  definition: Definition
  changed_at: Date
  changed_by: string | null
}

export async function versionsOf(db: Db, key: string): Promise<VersionRow[]> {
  const rows = await db
    .selectFrom('setting_definition_versions')
    .selectAll()
    .where('key', '=', key)
    .orderBy('version', 'desc')
    .limit(200)
    .execute()
  return rows as unknown as VersionRow[]
}

/** The highest version a key ever had: it goes on from there when it is defined again. */
export async function lastVersion(db: Db, key: string): Promise<number> {
  const { rows } = await sql<{ version: number | null }>`
    select max(version) as version from setting_definition_versions where key = ${key}`.execute(db)
  return rows[0]?.version ?? 0
}

/** One look-up by primary key: all values of a user in one scope. */
export async function findValues(db: Db, userId: string, scope: Scope): Promise<ValuesRow | undefined> {
  const { rows } = await sql<ValuesRow>`
    select value_by_key, version, updated_at from user_settings
    where user_id = ${userId} and scope = ${scope}`.execute(db)
  return rows[0]
}

/** The same, locked, with the version of the definitions. Call {@link shareDefinitions} before. */
export async function lockValues(
  trx: Tx,
  userId: string,
  scope: Scope,
): Promise<{ row: ValuesRow | undefined; registry: string }> {
  const registry = await registryVersion(trx)
  const { rows } = await sql<ValuesRow>`
    select value_by_key, version, updated_at from user_settings
    where user_id = ${userId} and scope = ${scope} for no key update`.execute(trx)
  return { row: rows[0], registry }
}

/** @returns false where another request inserted the row first */
export async function insertValues(
  trx: Tx,
  row: { userId: string; scope: Scope; values: Record<string, Json>; at: Date },
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into user_settings (user_id, scope, value_by_key, version, updated_at)
    values (${row.userId}, ${row.scope}, ${JSON.stringify(row.values)}, 1, ${row.at})
    on conflict do nothing`.execute(trx)
  return numAffectedRows === 1n
}

export async function updateValues(
  trx: Tx,
  row: { userId: string; scope: Scope; values: Record<string, Json>; at: Date },
): Promise<void> {
  await sql`
    update user_settings
    set value_by_key = ${JSON.stringify(row.values)}, version = version + 1, updated_at = ${row.at}
    where user_id = ${row.userId} and scope = ${row.scope}`.execute(trx)
}

export async function removeSamplesOf(trx: Tx, userId: string): Promise<void> {
  await sql`
    update setting_dry_runs set samples = (
      select coalesce(jsonb_agg(sample), '[]') from jsonb_array_elements(samples) as sample
      where sample ->> 'user_id' <> ${userId}::text
    )
    where samples @> ${JSON.stringify([{ user_id: userId }])}::jsonb`.execute(trx)
}

export async function countOwnValues(db: Db, userId: string): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from user_settings, jsonb_object_keys(value_by_key)
    where user_id = ${userId}`.execute(db)
  return rows[0]?.n ?? 0
}

/** A user's own values in both scopes, for the file of everything held about them. */
export async function allValues(db: Db, userId: string): Promise<(ValuesRow & { scope: string })[]> {
  const { rows } = await sql<ValuesRow & { scope: string }>`
    select scope, value_by_key, version, updated_at from user_settings
    where user_id = ${userId} order by scope`.execute(db)
  return rows
}

export async function countRows(db: Db, scope: Scope): Promise<number> {
  const { rows } = await sql<{ n: string }>`
    select count(*) as n from user_settings where scope = ${scope}`.execute(db)
  return Number(rows[0]?.n ?? 0)
}

/** Users who have the same values for the keys that a scan is about. */
export type ScanGroup = { values: Record<string, Json>; users: string[] }
export type ScanBatch = { groups: ScanGroup[]; rows: number; last: string | undefined }

/**
 * The next `size` users after `after`, by what they hold under `keys`; those who hold none of them are left out
 * of the groups. Reads along the primary key and locks nothing.
 */
export async function scanValues(
  db: Db,
  options: { scope: Scope; keys: readonly string[]; after: string; size: number },
): Promise<ScanBatch> {
  const { scope, keys, after, size } = options
  const { rows } = await sql<{ values: Record<string, Json> | null; users: string[]; rows: number }>`
    with batch as materialized (
      select user_id, value_by_key from user_settings
      where user_id > ${after} and scope = ${scope} order by user_id limit ${size}
    ), held as (
      select user_id, (
        select jsonb_object_agg(key, value_by_key -> key)
        from unnest(${keys}::text[]) as key where value_by_key ? key
      ) as values
      from batch
    )
    select values, array_agg(user_id) as users, count(*)::int as rows from held group by values`.execute(db)
  const last = rows.flatMap(({ users }) => users).reduce<string | undefined>(later, undefined)
  return {
    groups: rows.flatMap(({ values, users }) => (values === null ? [] : [{ values, users }])),
    rows: rows.reduce((sum, row) => sum + row.rows, 0),
    last,
  }
}

const later = (a: string | undefined, b: string): string => (a === undefined || b > a ? b : a)

/** Locks the values of many users in one order: two changes that do so never end in a deadlock. */
export async function lockValuesOfMany(trx: Tx, scope: Scope, users: readonly string[]): Promise<void> {
  await sql`
    select from user_settings where user_id = any(${users}::uuid[]) and scope = ${scope}
    order by user_id for no key update`.execute(trx)
}

/**
 * Takes a key away from those users who still hold the value that was found.
 * @returns the users who lost it
 */
export async function removeValue(
  trx: Tx,
  removal: { scope: Scope; key: string; value: Json; users: readonly string[]; at: Date },
): Promise<string[]> {
  const { rows } = await sql<{ user_id: string }>`
    update user_settings
    set value_by_key = value_by_key - ${removal.key}::text, version = version + 1, updated_at = ${removal.at}
    where user_id = any(${removal.users}::uuid[]) and scope = ${removal.scope}
      and value_by_key -> ${removal.key}::text = ${JSON.stringify(removal.value)}::jsonb
    returning user_id`.execute(trx)
  return rows.map(({ user_id }) => user_id)
}

export async function insertDryRun(db: Db, run: Insertable<SettingDryRunsTable>): Promise<void> {
  await db.insertInto('setting_dry_runs').values(run).execute()
}

export async function findDryRun(db: Db, id: string): Promise<DryRunRow | undefined> {
  const row = await db.selectFrom('setting_dry_runs').selectAll().where('id', '=', id).executeTakeFirst()
  return row as unknown as DryRunRow | undefined
}

export async function updateDryRun(
  db: Db,
  id: string,
  changes: Updateable<SettingDryRunsTable>,
): Promise<void> {
  await db.updateTable('setting_dry_runs').set(changes).where('id', '=', id).execute()
}

export async function deleteDryRunsBefore(db: Db, at: Date): Promise<void> {
  await db.deleteFrom('setting_dry_runs').where('started_at', '<', at).execute()
}
