import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { openEmbedded } from '@roster/server/src/db/embedded.ts'
import { startProgram } from '@roster/server/src/testing/program.ts'
import pg from 'pg'
import { administratorToken } from '../administrator.ts'
import { Connection, prepare } from '../connection.ts'
import { benchFolder } from '../kept-folder.ts'
import { seedPeople } from './seed.ts'

/** The service as `npm start` runs it, with many people in its database. */
export type World = {
  port: number
  /** Access tokens of premium users, who may search. */
  tokens: string[]
  /** An access token of an administrator. */
  admin: string
  /** The first so many users, for reading one by one. */
  ids: string[]
  sql: pg.Pool
  stop(): Promise<void>
}

const password = 'SecurePass123'

export async function openWorld(
  options: { people: number; searchers: number; folder?: string | undefined },
  print: (line: string) => void,
): Promise<World> {
  await using opened = new AsyncDisposableStack()
  const { folder, remove } = benchFolder(options.folder)
  opened.defer(remove)
  const env = {
    DATA_DIR: folder,
    PUBLIC_URL: 'http://localhost:8000',
    RATE_LIMITS: 'read=9999999/s,write=9999999/s,login=9999999/s,register=9999999/s',
    NODE_COMPILE_CACHE: path.join(import.meta.dirname, '../../../node_modules/.cache/compile'),
  }
  const program = await startProgram(env)
  opened.defer(async () => void (await program.end('SIGTERM')))
  const port = Number(new URL(program.url).port)
  const attached = await openEmbedded({ dataDir: folder, mode: 'attach', log: () => undefined })
  opened.defer(() => attached.stop())
  await seedPeople(attached.url, options.people, print)
  const sql = new pg.Pool({ connectionString: attached.url, max: 2 })
  opened.defer(() => sql.end())
  const connection = await Connection.open(port)
  const tokens: string[] = []
  const run = randomBytes(4).toString('hex')
  for (let n = 0; n < options.searchers; n += 1) tokens.push(await signUp(connection, `searcher${run}_${n}`))
  const admin = await administratorToken(program.url, env)
  connection.close()
  const { rows } = await sql.query(
    `select id from users where email like '%@example.com' order by id limit 300000`,
  )
  const all = opened.move()
  return {
    port,
    tokens,
    admin,
    ids: rows.map(({ id }) => String(id)),
    sql,
    stop: () => all.disposeAsync(),
  }
}

async function post(connection: Connection, route: string, body: object, token?: string): Promise<string> {
  const reply = await connection.exchange(
    prepare('POST', `/api/v1${route}`, { body, ...(token !== undefined && { token }) }),
  )
  if (reply.status >= 300) throw new Error(`${route}: ${reply.status} ${reply.body}`)
  return reply.body
}

async function signIn(connection: Connection, email: string): Promise<string> {
  const { access_token }: { access_token: string } = JSON.parse(
    await post(connection, '/auth/login', { email, password }),
  )
  return access_token
}

async function signUp(connection: Connection, name: string): Promise<string> {
  const email = `${name}@bench.example`
  await post(connection, '/auth/register', { email, full_name: 'Bench User', password })
  const token = await signIn(connection, email)
  await post(connection, '/users/me/upgrade', {}, token)
  return token
}
