import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { curl, curlCommands } from './testing/curl.ts'
import { freePort, type Program, startProgram } from './testing/program.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'roster-program-'))
let program: Program = await startProgram({ DATA_DIR: folder, LOG_LEVEL: 'warn' })

afterAll(async () => {
  await program.end('SIGTERM')
  rmSync(folder, { recursive: true, force: true })
})

describe('the life of an account, in the commands of the services that people come from', () => {
  const at = () => ({ 'http://localhost:8001': program.url, 'http://localhost:8000': program.url })
  let token = ''

  test('registration sets created_at alone', async () => {
    const { status, body } = await curl(
      `curl -X POST "http://localhost:8001/api/v1/auth/register" \\
  -H "Content-Type: application/json" \\
  -d '{
    "email": "user@example.com",
    "username": "testuser",
    "full_name": "Test User",
    "password": "SecurePass123",
    "confirm_password": "SecurePass123"
  }'`,
      at(),
    )
    expect(status).toBe(201)
    expect(body).toMatchObject({
      email: 'user@example.com',
      username: 'testuser',
      updated_at: null,
      last_login_at: null,
    })
    expect(body.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  test('the first login moves last_login_at alone', async () => {
    const { status, body } = await login()
    expect(status).toBe(200)
    expect(body.user.updated_at).toBeNull()
    expect(body.user.last_login_at >= body.user.created_at).toBe(true)
    token = body.access_token
  })

  test('a profile update moves updated_at alone', async () => {
    const before = await me()
    const { status, body } = await curl(
      `curl -X PUT "http://localhost:8001/api/v1/users/me" \\
  -H "Authorization: Bearer YOUR_ACCESS_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "full_name": "Updated Name",
    "current_title": "Software Engineer",
    "location": "San Francisco, CA"
  }'`,
      { ...at(), YOUR_ACCESS_TOKEN: token },
    )
    expect(status).toBe(200)
    expect(body).toMatchObject({
      full_name: 'Updated Name',
      current_title: 'Software Engineer',
      location: 'San Francisco, CA',
      created_at: before.created_at,
      last_login_at: before.last_login_at,
    })
    expect(body.updated_at > before.last_login_at).toBe(true)
    expect(body.updated_by).toBe(body.id)
  })

  test('the second login moves last_login_at alone', async () => {
    const before = await me()
    const { body } = await login()
    expect(body.user.last_login_at > before.last_login_at).toBe(true)
    expect(body.user).toMatchObject({ created_at: before.created_at, updated_at: before.updated_at })
  })

  const login = () =>
    curl(
      `curl -X POST "http://localhost:8001/api/v1/auth/login" \\
  -H "Content-Type: application/json" \\
  -d '{
    "email": "user@example.com",
    "password": "SecurePass123"
  }'`,
      at(),
    )

  const me = async () =>
    (await curl(`curl "http://localhost:8001/api/v1/auth/me" -H "Authorization: Bearer ${token}"`, at())).body
})

test('the README’s commands work as printed, in their order', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const commands = curlCommands(readme)
  expect(commands.length).toBeGreaterThanOrEqual(4)
  let token = ''
  for (const command of commands) {
    const reply = await curl(command, { 'http://localhost:8000': program.url, $TOKEN: token })
    expect(reply.status, `${command}\n${reply.text}`).toBeLessThan(300)
    token = reply.body?.access_token ?? token
  }
})

test('kill -9 under load loses no acknowledged registration', async () => {
  const acknowledged: string[] = []
  let running = true
  const clients = Array.from({ length: 6 }, async (_, client) => {
    for (let n = 0; running; n++) {
      const email = `load-${client}-${n}@example.com`
      const created = await register(email).catch(() => false)
      if (created) acknowledged.push(email)
    }
  })
  await sleep(1200)
  program.process.kill('SIGKILL')
  await sleep(20)
  running = false
  await Promise.all(clients)
  program = await startProgram({ DATA_DIR: folder, LOG_LEVEL: 'warn' })

  expect(acknowledged.length).toBeGreaterThan(5)
  for (const email of acknowledged) {
    const again = await fetch(`${program.url}/api/v1/auth/register`, registration(email))
    expect(again.status, email).toBe(409)
  }
})

test('a second service on the same folder says so', async () => {
  await expect(startProgram({ DATA_DIR: folder })).rejects.toThrow(/already running/)
})

test('SIGTERM ends it with exit code 0, and a restart finds everything', async () => {
  expect(await register('before-restart@example.com')).toBe(true)
  expect(await program.end('SIGTERM')).toBe(0)
  program = await startProgram({ DATA_DIR: folder, LOG_LEVEL: 'warn' })
  expect(
    (await fetch(`${program.url}/api/v1/auth/register`, registration('before-restart@example.com'))).status,
  ).toBe(409)
})

const productionSettings = {
  ENVIRONMENT: 'production',
  PUBLIC_URL: 'https://accounts.example.com',
  ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  EMAIL_PROVIDER: 'smtp',
  SMTP_URL: 'smtp://127.0.0.1:2525',
  MAIL_FROM: 'a@example.com',
}

test('while it drains, each reply tells its client to leave the connection', async () => {
  const own = mkdtempSync(path.join(os.tmpdir(), 'roster-drain-'))
  const service = await startProgram({ DATA_DIR: own, ...productionSettings, HOST: '127.0.0.1' })
  const look = () => fetch(`${service.url}/health/live`).then(reply => reply.headers.get('connection'))
  expect(await look()).toBe('keep-alive')
  const ended = service.end('SIGTERM')
  await expect.poll(look).toBe('close')
  expect(await ended).toBe(0)
  rmSync(own, { recursive: true, force: true })
})

test.each([300, 600, 900, 1200])('SIGTERM %i ms after the start leaves no database running', async after => {
  await program.end('SIGTERM')
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'cli.ts'), 'serve'], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: String(await freePort()), DATA_DIR: folder },
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  await sleep(after)
  child.kill('SIGTERM')
  await ended
  expect(existsSync(path.join(folder, 'postgres/postmaster.pid'))).toBe(false)
})

test('a port that is taken is named', async () => {
  await program.end('SIGTERM')
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'cli.ts'), 'serve'], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: String(port), DATA_DIR: folder },
  })
  const [printed, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  server.close()
  expect(code).toBe(1)
  expect(printed).toContain(`can't listen on HOST 127.0.0.1, PORT ${port}`)
})

test('--demo is refused in production', async () => {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'cli.ts'), 'serve', '--demo'], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIR: folder, ...productionSettings },
  })
  const [printed, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  expect([code, printed]).toEqual([
    2,
    expect.stringContaining('--demo makes accounts whose password everybody knows'),
  ])
})

const registration = (email: string): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ email, password: 'SecurePass123' }),
})

async function register(email: string): Promise<boolean> {
  const reply = await fetch(`${program.url}/api/v1/auth/register`, registration(email))
  await reply.arrayBuffer()
  return reply.status === 201
}
