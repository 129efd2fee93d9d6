import { openEmbedded } from '@roster/server/src/db/embedded.ts'
import { hashPassword } from '@roster/server/src/hashing/algorithms.ts'
import { createPasswordHasher } from '@roster/server/src/hashing/pool.ts'
import { temporaryFolder } from '@roster/server/src/testing/temporary-folder.ts'
import fastify from 'fastify'
import pg from 'pg'

/*
 * The limit of what any service could do with the same hashes: a Fastify with one route that looks a hash up,
 * has it checked by the service's own hashing processes, and keeps one row, synced to disk. No token, no second
 * factor, no audit, nothing against guessing.
 */

const { folder } = temporaryFolder()
const { url } = await openEmbedded({ dataDir: folder, mode: 'own', log: () => undefined })
const pool = new pg.Pool({ connectionString: url, max: 10 })
await pool.query(`
  create table users (email text primary key, hash text not null);
  create table sessions (id uuid primary key default gen_random_uuid(), email text not null)`)

const hasher = createPasswordHasher()
const app = fastify()
app.post<{ Body: { email: string; password: string } }>('/api/v1/auth/login', async (request, reply) => {
  const { email, password } = request.body
  const { rows } = await pool.query({
    name: 'find',
    text: 'select hash from users where email = $1',
    values: [email],
  })
  const { valid } = await hasher.verify(rows[0]?.hash, password)
  if (!valid) return reply.code(401).send({})
  const kept = await pool.query({
    name: 'keep',
    text: 'insert into sessions (email) values ($1) returning id',
    values: [email],
  })
  return { session: kept.rows[0]?.id }
})

process.on('message', async ({ password, emails }: { password: string; emails: string[] }) => {
  await pool.query('insert into users (email, hash) select email, $2 from unnest($1::text[]) as t (email)', [
    emails,
    hashPassword(password),
  ])
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  process.send?.({ port: Number(new URL(address).port) })
})
// The database and its folder end with this process.
process.on('disconnect', () => process.exit(0))
