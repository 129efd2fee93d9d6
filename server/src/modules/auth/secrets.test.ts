import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { minutes } from '../../lib/clock.ts'
import { type Reply, testConfig, useTestApp } from '../../testing/harness.ts'
import { createTestLog } from '../../testing/http-server.ts'
import { setupCode } from './index.ts'

const { log, text: logged } = createTestLog('trace')
const roster = await useTestApp({ log })

const passwords = {
  first: 'Canary-First-1',
  second: 'Canary-Second-2',
  wrong: 'Canary-Wrong-3',
  weak: 'canary-weak',
  admin: 'Canary-Admin-4',
}

/** Walks through every flow that a secret goes through, well and badly. */
async function walk(): Promise<{ secrets: Set<string>; errors: string }> {
  const secrets = new Set<string>(Object.values(passwords))
  let errors = ''
  const keep = (reply: Reply): Reply => {
    if (reply.status >= 400) errors += reply.text
    for (const name of ['access_token', 'refresh_token']) {
      if (typeof reply.body?.[name] === 'string') secrets.add(reply.body[name])
    }
    const cookie = /=(rrt_[\w-]+)/.exec(String(reply.headers['set-cookie']))
    if (cookie?.[1]) secrets.add(cookie[1])
    return reply
  }
  const post = async (path: string, body?: unknown, token?: string, headers: Record<string, string> = {}) =>
    keep(await roster.post(`/api/v1/auth/${path}`, body, { headers, ...(token !== undefined && { token }) }))

  const code = String(await setupCode(roster.services))
  secrets.add(code)
  await post('setup', { code: `${passwords.wrong}`, email: 'admin@example.com', password: passwords.admin })
  await post('setup', { code, email: 'admin@example.com', password: passwords.admin })

  const email = 'canary@example.com'
  await post('register', { email, password: passwords.weak })
  await post('register', { email, password: passwords.first, confirm_password: passwords.wrong })
  await post('register', { email, password: passwords.first, role: 'admin' })
  await post('register', { email, password: passwords.first, nickname: passwords.second })
  await post('register', { email, password: passwords.first })
  await post('register', { email, password: passwords.first })
  await post('login', { email, password: passwords.wrong })
  await post('login', { email, password: [passwords.first] })
  await post('login', { email, username: 'canary', password: passwords.first })
  const { body } = await post('login', { email, password: passwords.first })
  await post('login', { email, password: passwords.first }, undefined, {
    'x-roster-client': 'browser',
    origin: 'http://localhost:8000',
  })
  keep(await roster.get('/api/v1/auth/me', { token: body.access_token }))
  keep(await roster.get('/api/v1/auth/me', { token: `${body.access_token}x` }))
  keep(await roster.get(`/api/v1/auth/me?access_token=${body.access_token}`))
  keep(await roster.get(`/api/v1/no-such-route/${body.access_token}`))
  keep(await roster.put('/api/v1/users/me', { password: passwords.second }, { token: body.access_token }))
  keep(await roster.put('/api/v1/users/me', { location: 'Graz' }, { token: body.access_token }))
  const change = (current_password: string, new_password: string) =>
    post('change-password', { current_password, new_password }, body.access_token)
  await change(passwords.wrong, passwords.second)
  await change(passwords.first, passwords.weak)
  await change(passwords.first, passwords.second)
  await roster.services.keys.rotate({ actorType: 'operator' })
  const next = await post('refresh', { refresh_token: body.refresh_token })
  await post('refresh', { refresh_token: `${body.refresh_token}x` })
  await broken(() => post('login', { email, password: passwords.second }))
  await broken(() => post('refresh', { refresh_token: next.body.refresh_token }))
  roster.clock.advance(minutes(1))
  await post('refresh', { refresh_token: body.refresh_token })
  await post('login', { email, password: passwords.second })
  const raw = await roster.app.inject({
    method: 'POST',
    url: '/api/v1/auth/login',
    headers: { 'content-type': 'application/json' },
    payload: `{"email":"${email}","password":"${passwords.second}"`,
  })
  errors += raw.body
  return { secrets, errors }
}

/** A moment in which the database fails in the middle of every request. */
async function broken(work: () => Promise<Reply>): Promise<void> {
  await roster.sql('alter table sessions rename to hidden')
  const reply = await work()
  await roster.sql('alter table hidden rename to sessions')
  expect(reply.status).toBeGreaterThanOrEqual(500)
}

/** The forms in which a secret might have been written down. */
const formsOf = (secret: string): string[] => {
  const bare = secret.startsWith('rrt_') ? Buffer.from(secret.slice(4), 'base64url') : Buffer.from(secret)
  return [
    secret,
    encodeURIComponent(secret),
    bare.toString('hex'),
    bare.toString('base64'),
    createHash('md5').update(secret).digest('hex'),
  ]
}

describe('secrets that went through every flow', async () => {
  const { secrets, errors } = await walk()

  async function databaseText(): Promise<string> {
    const tables =
      await roster.sql(`select quote_ident(table_schema) || '.' || quote_ident(table_name) as name
      from information_schema.tables
      where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`)
    const rows = await Promise.all(
      tables.map(({ name }) => roster.sql(`select t::text as row from ${name} t`)),
    )
    return rows
      .flat()
      .map(({ row }) => row)
      .join('\n')
  }

  test('were there to be found: passwords, tokens of both kinds, a cookie, the set-up code', async () => {
    expect(secrets.size).toBeGreaterThanOrEqual(12)
    expect(await databaseText()).toContain('canary@example.com')
    expect(logged()).toContain('internal_error')
    expect(errors).toContain('invalid_credentials')
  })

  test.each(['the database', 'the log', 'error replies'])('are found nowhere in %s', async place => {
    const text =
      { 'the database': await databaseText(), 'the log': logged(), 'error replies': errors }[place] ?? ''
    for (const secret of secrets) {
      for (const form of formsOf(secret)) expect(text.includes(form), `${form} in ${place}`).toBe(false)
    }
  })

  test('nor are hashes of passwords or the master key anywhere but in their own place', async () => {
    const hashes = await roster.sql('select password_hash from user_credentials')
    const elsewhere = await roster.sql(`select t::text as row from audit_log t
      union all select t::text from audit_personal t union all select t::text from events t`)
    const text = elsewhere.map(({ row }) => row).join('\n') + logged() + errors
    expect(text).not.toContain('argon2')
    for (const { password_hash } of hashes) expect(text).not.toContain(password_hash)
    for (const key of [testConfig.encryptionKey, roster.resources.vault.root]) {
      for (const form of [key.toString('hex'), key.toString('base64')]) {
        expect(text + (await databaseText())).not.toContain(form)
      }
    }
  })
})
