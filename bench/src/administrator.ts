import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import path from 'node:path'

const cli = path.join(import.meta.dirname, '../../server/src/cli.ts')
const password = 'BenchAdmin123'

/** Makes an administrator beside the running service and signs them in. */
export async function administratorToken(url: string, env: Record<string, string>): Promise<string> {
  const email = `bench-${randomBytes(4).toString('hex')}@bench.example`
  const made = spawnSync(process.execPath, [cli, 'admin', 'create', '--email', email, '--password-stdin'], {
    input: password,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  if (made.status !== 0) throw new Error(`no administrator: ${made.stderr}`)
  const reply = await fetch(`${url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  })
  const body = (await reply.json()) as { access_token?: string } // the tokens reply of the API
  if (body.access_token === undefined) throw new Error(`no token: ${reply.status}`)
  return body.access_token
}
