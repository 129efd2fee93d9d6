import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEmptyDatabase } from '../testing/database.ts'
import { roster } from '../testing/roster.ts'
import { checkNode } from './doctor.ts'

const cwd = fs.mkdtempSync(join(tmpdir(), 'roster-cli-'))
let database: Awaited<ReturnType<typeof createEmptyDatabase>>
let env: Record<string, string>

beforeAll(async () => {
  database = await createEmptyDatabase()
  env = { DATABASE_URL: database.url }
})
afterAll(async () => {
  await database.drop()
  fs.rmSync(cwd, { recursive: true })
})

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(database.url)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

const password = 'Correct-Horse-9'

describe('roster migrate', () => {
  test('shows what it would do, does it, and then has nothing to do', async () => {
    const planned = await roster(['migrate', '--dry-run'], { env, cwd })
    expect(planned).toMatchObject({ code: 0, out: expect.stringMatching(/^pending {2}0001_accounts\.sql$/m) })
    expect(await query(`select to_regclass('users') as users`)).toEqual([{ users: null }])

    const done = await roster(['migrate'], { env, cwd })
    expect(done).toMatchObject({ code: 0, out: planned.out.replaceAll('pending', 'applied') })
    expect((await roster(['migrate'], { env, cwd })).out).toBe('The database is up to date.\n')
  })

  test('says in a line that the database is away', async () => {
    const away = { DATABASE_URL: 'postgres://u:canary@127.0.0.1:1/x' }
    const { code, err } = await roster(['migrate'], { env: away, cwd })
    expect({ code, err }).toEqual({
      code: 1,
      err: 'roster: no database (DATABASE_URL): nothing listens there (ECONNREFUSED 127.0.0.1:1)\n',
    })
  })

  test('plans nothing, and makes nothing, where there is no database yet', async () => {
    const nowhere = { DATA_DIR: join(cwd, 'mistyped') }
    const { code, err } = await roster(['migrate', '--dry-run'], { env: nowhere, cwd })
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringContaining(`no database in DATA_DIR (${nowhere.DATA_DIR})`),
    })
    expect(fs.existsSync(join(nowhere.DATA_DIR, 'postgres'))).toBe(false)
  })
})

describe('roster admin create', () => {
  const create = (email: string, input?: Parameters<typeof roster>[1], ...more: string[]) =>
    roster(['admin', 'create', `--email=${email}`, ...more], { env, cwd, ...input })

  /** A terminal at which somebody types `lines` one after the other, each when asked. */
  function terminal(...lines: string[]) {
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    for (const line of lines) stdin.write(line)
    return stdin
  }

  test('takes the password from standard input, and leaves an administrator and an audit row', async () => {
    const { code, out } = await create(
      'one@example.com',
      { input: `${password}\nsecond line` },
      '--password-stdin',
      '--full-name=Ada Lovelace',
      '--username=ada',
    )
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringMatching(/^Created administrator one@example\.com \([0-9a-f-]{36}\)\.\n$/),
    })
    expect(
      await query(`select username, full_name, email_verified_at is not null as verified, role_name
        from users join user_roles on user_id = id where email = 'one@example.com'`),
    ).toEqual([{ username: 'ada', full_name: 'Ada Lovelace', verified: true, role_name: 'admin' }])
    expect(await query(`select distinct actor_type from audit_log where action = 'user.registered'`)).toEqual(
      [{ actor_type: 'operator' }],
    )
  })

  test('asks for the password twice, shows it nowhere, and asks again when the two differ', async () => {
    const input = terminal('\r', `${password}\r`, 'Different-1\r', `${password}\r`, `${password}\r`)
    const { code, out, err } = await create('two@example.com', { input })
    expect(code).toBe(0)
    expect(err).toBe(
      'Password: \nPassword: \nOnce more: \nThe two differ. Try again.\nPassword: \nOnce more: \n',
    )
    expect(out + err).not.toContain(password)
  })

  test('ends with 130 and no account when Ctrl-C is pressed at the question', async () => {
    expect(await create('three@example.com', { input: terminal('abc\u0003') })).toMatchObject({
      code: 130,
      out: '',
    })
    expect(await query(`select 1 from users where email = 'three@example.com'`)).toEqual([])
  })

  test.each([
    ['without a terminal', {}, [], 2, 'there is no terminal to ask for the password: use --password-stdin'],
    ['with nothing on standard input', {}, ['--password-stdin'], 2, 'there is no password on standard input'],
    ['with endless input', { input: 'a'.repeat(5000) }, ['--password-stdin'], 2, 'the password is too long'],
    [
      'with a weak password',
      { input: 'short' },
      ['--password-stdin'],
      1,
      'password takes at least 8 characters',
    ],
  ])('%s says what is wrong', async (_how, input, more, code, message) => {
    const result = await create('four@example.com', input, ...more)
    expect(result.code).toBe(code)
    expect(result.err).toContain(message)
  })

  test('refuses an address that is taken, whatever its case', async () => {
    const result = await create('ONE@example.com', { input: password }, '--password-stdin')
    expect(result).toMatchObject({ code: 1, err: 'roster: E-mail address taken\n' })
  })
})

describe('roster keys rotate', () => {
  test('publishes a new key beside the old one, or at once in its place', async () => {
    const next = await roster(['keys', 'rotate'], { env, cwd })
    expect(next).toMatchObject({ code: 0, out: expect.stringContaining('signs in ten minutes') })
    expect(await query('select kid from signing_keys')).toHaveLength(2)

    const now = await roster(['keys', 'rotate', '--immediately'], { env, cwd })
    const [, kid] = /^Key (\S+) signs now\.$/m.exec(now.out) ?? []
    expect(await query('select kid from signing_keys')).toEqual([{ kid }])
  })
})

test('roster demo remove removes demo users, leaves the others, and counts', async () => {
  await query(`insert into users (id, username, username_key, email, email_key, created_at, is_demo)
    select gen_random_uuid(), name, name, name || '@demo.example', name || '@demo.example', now(), name <> 'real'
    from unnest('{demo-a,demo-b,real}'::text[]) name`)
  expect(await roster(['demo', 'remove'], { env, cwd })).toMatchObject({
    code: 0,
    out: 'Removed 2 demo users.\n',
  })
  expect(await query(`select username from users where email like '%@demo.example'`)).toEqual([
    { username: 'real' },
  ])
})

describe('roster doctor', () => {
  test('finds nothing wrong with a healthy installation', async () => {
    await roster(['migrate'], { env, cwd })
    const { code, out } = await roster(['doctor'], { env, cwd })
    expect(code).toBe(0)
    expect(out.split('\n').filter(line => !line.startsWith('✓'))).toEqual([''])
    expect(out).toMatch(
      /✓ Node .*\n✓ configuration .*\n✓ .* writable.*\n✓ this machine has HOST 127.0.0.1\n✓ PostgreSQL .*\n✓ the schema .*\n✓ the clocks .*\n✓ ENCRYPTION_KEY /,
    )
  })

  test('exits with 1 and names what it found, an unreachable database and an open folder say', async () => {
    const folder = join(cwd, 'open')
    fs.mkdirSync(folder)
    fs.chmodSync(folder, 0o777)
    const broken = { DATABASE_URL: 'postgres://u:canary@127.0.0.1:1/x', DATA_DIR: folder, HOST: '0.0.0.0' }
    const { code, out } = await roster(['doctor'], { env: broken, cwd })
    expect(code).toBe(1)
    expect(out).toMatch(/^! HOST other machines can reach/m)
    expect(out).toMatch(/^✗ .*open can be written by other users/m)
    expect(out).toMatch(/^✗ the database can't be reached: .*ECONNREFUSED/m)
    expect(out).not.toContain('canary')
  })

  test('exits with 1 where the service could not start: an address of another machine, or another one’s key', async () => {
    const home = fs.mkdtempSync(join(cwd, 'keyed-'))
    const made = ['admin', 'create', '--email', 'first@example.com', '--password-stdin']
    expect((await roster(made, { cwd: home, input: 'AdminPass123\n' })).code).toBe(0)
    const { code, out } = await roster(['doctor'], {
      env: { HOST: '192.0.2.1', ENCRYPTION_KEY: '7f'.repeat(32) },
      cwd: home,
    })
    expect(code).toBe(1)
    expect(out).toMatch(/^✗ the service can't listen on HOST 192\.0\.2\.1/m)
    expect(out).toMatch(/^✗ ENCRYPTION_KEY does not open the keys/m)
    expect((await roster(['doctor'], { cwd: home })).code).toBe(0)
  })

  test('goes no further than a configuration that is refused', async () => {
    const { code, out } = await roster(['doctor'], { env: { PORT: 'x' }, cwd })
    expect(code).toBe(1)
    expect(out.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^✓ Node/),
      '✗ The configuration has 1 problem:',
      expect.stringContaining('PORT: got "x"'),
    ])
  })

  test('makes nothing where nothing is yet', async () => {
    const fresh = fs.mkdtempSync(join(cwd, 'fresh-'))
    const { code, out } = await roster(['doctor'], { cwd: fresh })
    expect(code).toBe(0)
    expect(out).toContain('embedded PostgreSQL does not exist yet')
    expect(fs.readdirSync(fresh)).toEqual([])
  })

  test('looks into the embedded database where a command has made one', async () => {
    const home = fs.mkdtempSync(join(cwd, 'embedded-'))
    expect(await roster(['migrate'], { cwd: home })).toMatchObject({
      code: 0,
      out: expect.stringContaining('applied  0001_accounts.sql'),
    })
    const { code, out } = await roster(['doctor'], { cwd: home })
    expect(code).toBe(0)
    expect(out).toMatch(/^✓ PostgreSQL .*\n✓ the schema is up to date$/m)
  })

  test('tells of a data folder that is none', async () => {
    fs.writeFileSync(join(cwd, 'file'), '')
    const { out } = await roster(['doctor'], {
      env: { ...env, DATA_DIR: 'file', ENCRYPTION_KEY: '7f'.repeat(32) },
      cwd,
    })
    expect(out).toMatch(/^✗ .*file is no folder$/m)
  })

  test('tells of a schema that is older, newer or edited', async () => {
    const schema = async () => (await roster(['doctor'], { env, cwd })).out
    await query(`insert into schema_migrations (name, checksum) values ('9999_future.sql', '')`)
    expect(await schema()).toMatch(/^✗ .*newer version of Roster/m)
    await query(`delete from schema_migrations where name = '9999_future.sql'`)
    await query(`create table kept as select * from schema_migrations; delete from schema_migrations`)
    expect(await schema()).toMatch(/^! the schema is older.*0001_accounts\.sql/m)
    await query(`insert into schema_migrations select * from kept; drop table kept`)
    expect(await schema()).toMatch(/^✓ the schema is up to date/m)
  })

  test('wants the Node that the service runs on', () => {
    expect(checkNode('20.11.0')).toMatchObject({ state: 'broken' })
    expect(checkNode('26.1.0')).toMatchObject({ state: 'fine' })
  })
})
