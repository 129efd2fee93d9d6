import { CompiledQuery, Kysely, PostgresDialect, sql } from 'kysely'
import type { Db } from '../db/store.ts'
import type { Database } from '../db/tables.ts'
import type { TestApp } from './harness.ts'

type Statement = Pick<CompiledQuery, 'sql' | 'parameters'>

/** The statements that `run` sends. */
export async function statementsOf(roster: TestApp, run: (db: Db) => Promise<unknown>): Promise<Statement[]> {
  const sent: CompiledQuery[] = []
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool: roster.resources.store.pool }),
    log: ({ query }) => void sent.push(query),
  })
  await run(db)
  return sent
}

/** How PostgreSQL would execute a statement, as text, with the costs of the embedded server. */
export async function planOf(roster: TestApp, { sql: text, parameters }: Statement): Promise<string> {
  const { rows } = await roster.resources.store.transact(async trx => {
    await sql`set local random_page_cost = 1.1`.execute(trx)
    const explain = CompiledQuery.raw(`explain (costs off) ${text}`, [...parameters])
    return trx.executeQuery<{ 'QUERY PLAN': string }>(explain)
  })
  return rows.map(row => row['QUERY PLAN']).join('\n')
}

/** Executes a statement. @returns how many rows of tables it read for its result */
export async function rowsRead(roster: TestApp, { sql: text, parameters }: Statement): Promise<number> {
  const [row] = await roster.sql(`explain (analyze, format json) ${text}`, [...parameters])
  return countRows(row['QUERY PLAN'][0].Plan)
}

type PlanNode = {
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  Plans?: PlanNode[]
}

function countRows(node: PlanNode): number {
  const rows = (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
  const own = node['Relation Name'] === undefined ? 0 : rows
  return (node.Plans ?? []).reduce((sum, child) => sum + countRows(child), own)
}
