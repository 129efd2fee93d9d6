import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import path from 'node:path'
import { text } from 'node:stream/consumers'

const cli = path.join(import.meta.dirname, '../../server/src/cli.ts')
const password = 'BenchAdmin123'

/** Makes an administrator beside the running service and signs them in. */
export async function administratorToken(url: string, env: Record<string, string>): Promise<string> {
  const email = `bench-${randomBytes(4).toString('hex')}@bench.example`
  // Not synchronously: connections that are kept alive meanwhile would not be seen to end.
  const command = spawn(process.execPath, [cli, 'admin', 'create', '--email', email, '--password-stdin'], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  })
  command.stdin.end(password)
  const [said, [code]] = await Promise.all([text(command.stderr), once(command, 'close')])
  if (code !== 0) throw new Error(`no administrator: ${said}`)
  const reply = await fetch(`${url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  })
  const body = (await reply.json()) as { access_token?: string } // the tokens reply of the API
  if (body.access_token === undefined) throw new Error(`no token: ${reply.status}`)
  return body.access_token
}
