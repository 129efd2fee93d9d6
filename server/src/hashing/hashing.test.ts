import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { hashSync } from '@node-rs/argon2'
import { hashSync as bcryptSync } from '@node-rs/bcrypt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startTestApp, useTestApp } from '../testing/harness.ts'
import { hashPassword, needsRehash, verifyPassword } from './algorithms.ts'
import { candidatesFor } from './candidates.ts'
import { createPasswordHasher, type PasswordHasher } from './pool.ts'
import { isTooDear, readHash, standardForm } from './stored-hash.ts'
import { unusablePasswordHash } from './unusable-hash.ts'

const password = 'SecurePass123'

/** Made by passlib, bcrypt, argon2-cffi, libxcrypt, Django and Werkzeug. */
const elsewhere: { name: string; password: string; hash: string }[] = JSON.parse(
  readFileSync(new URL('foreign-hashes.json', import.meta.url), 'utf8'),
)
const hashOf = (name: string) => elsewhere.find(each => each.name === name)?.hash ?? ''

const foreign: Record<string, string> = {
  bcrypt: hashOf('bcrypt 2b, ASCII'),
  scrypt: hashOf('passlib scrypt'),
  PBKDF2: hashOf('passlib pbkdf2_sha512'),
  'argon2id of less memory': hashSync(password, { memoryCost: 8192, timeCost: 2, parallelism: 1 }),
  'argon2id of fewer passes': hashSync(password, { memoryCost: 19_456, timeCost: 1, parallelism: 1 }),
  argon2i: hashOf('argon2-cffi argon2i'),
}

const strong = /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/

describe('a new hash', () => {
  test('is argon2id of at least 19 MiB and two passes, salted', () => {
    expect(hashPassword(password)).toMatch(strong)
    expect(hashPassword(password)).not.toBe(hashPassword(password))
    expect(needsRehash(hashPassword(password))).toBe(false)
    expect(readHash(hashPassword(password))).toMatchObject({ cost: 1 })
  })

  test('fits its password alone, to the last of 128 characters', () => {
    const long = `Aa1${'é'.repeat(125)}`
    const hash = hashPassword(long)
    expect(verifyPassword(hash, long)).toBe(true)
    expect(verifyPassword(hash, long.slice(0, -1))).toBe(false)
    expect(verifyPassword(hash, `${long.slice(0, -1)}e`)).toBe(false)
  })
})

describe.each(elsewhere)('a hash as $name has it', ({ hash, password }) => {
  test('is known, fits its password alone and is due for one of ours', () => {
    expect(verifyPassword(hash, password)).toBe(true)
    expect(verifyPassword(hash, `x${password}`)).toBe(false)
    expect(verifyPassword(standardForm(hash), password)).toBe(true)
    const stored = readHash(hash)
    expect(stored && isTooDear(stored)).toBe(false)
  })
})

test('bcrypt looks at 72 bytes, as its origin did, and argon2 at all', () => {
  const long = `Aa1${'z'.repeat(69)}`
  const hash = bcryptSync(`${long}and more`, { cost: 4 })
  expect([verifyPassword(hash, long), verifyPassword(hash, long.slice(1))]).toEqual([true, false])
  expect(verifyPassword(hashPassword(`${long}and more`), long)).toBe(false)
})

test('a foreign hash is tried with what was typed and with its normal forms, ours with the normal form alone', () => {
  const [composed, decomposed] = ['Caf\u00e9', 'Cafe\u0301']
  const theirs = hashOf('bcrypt 2b, ASCII')
  expect(candidatesFor(theirs, composed)).toEqual([composed, decomposed])
  expect(candidatesFor(theirs, decomposed)).toEqual([composed, decomposed])
  expect(candidatesFor(theirs, `${composed}${decomposed}`)).toHaveLength(3)
  expect(candidatesFor(theirs, 'Cafe')).toEqual(['Cafe'])
  expect(candidatesFor(unusablePasswordHash(), decomposed)).toEqual([composed])
})

const [salt, digest] = ['A'.repeat(22), 'A'.repeat(43)]

test.each([
  '',
  'SecurePass123',
  '$argon2id$v=19$m=19456,t=2,p=1$',
  '$argon2id$rubbish',
  '$2b$04$tooshort',
  '$scrypt$ln=10,r=8,p=1$$',
  '$scrypt$ln=10,r=8,p=1$AAAA$AA',
  '$pbkdf2-sha256$i=1000$AAAA$',
  '$pbkdf2-md5$i=1$AAAA$AAAA',
  `$pbkdf2-sha256$i=1000$AAAA$${'A'.repeat(90)}`,
  `scrypt$1000$salt$8$1$${digest}`,
  '5f4dcc3b5aa765d61d8327deb882cf99',
])('%j is no hash: nothing fits it, nothing breaks', hash => {
  expect(readHash(hash)).toBeUndefined()
  expect(verifyPassword(hash, password)).toBe(false)
  expect(verifyPassword(hash, '')).toBe(false)
})

test.each([
  [`$argon2id$v=19$m=131072,t=8,p=1$${salt}$${digest}`, false],
  [`$argon2id$v=19$m=19456,t=60,p=8$${salt}$${digest}`, false],
  [`$argon2id$v=19$m=19456,t=61,p=1$${salt}$${digest}`, true],
  [`$argon2i$v=19$m=131073,t=1,p=1$${salt}$${digest}`, true],
  [`$2b$13$${'A'.repeat(53)}`, false],
  [`$2y$14$${'A'.repeat(53)}`, true],
  [`$bcrypt-sha256$v=2,t=2b,r=14$${salt}$${'A'.repeat(31)}`, true],
  [`$scrypt$ln=17,r=8,p=1$${salt}$${digest}`, false],
  [`$scrypt$ln=17,r=8,p=2$${salt}$${digest}`, true],
  [`$scrypt$ln=18,r=4,p=1$${salt}$${digest}`, false],
  [`$scrypt$ln=18,r=8,p=9$${salt}$${digest}`, true],
  [`$scrypt$ln=4,r=999,p=999$${salt}$${digest}`, true],
  [`$pbkdf2-sha256$i=1700000$${salt}$${digest}`, false],
  [`$pbkdf2-sha256$i=1700000$${salt}$${digest}AA`, true],
  [`$pbkdf2-sha1$i=2000001$${salt}$${digest}`, true],
  [`$pbkdf2-sha512$i=900000$${salt}$${digest}`, true],
])('%s costs too much: %s', (hash, expected) => {
  const stored = readHash(hash)
  expect(stored && isTooDear(stored)).toBe(expected)
})

test('a hash that costs too much is never checked: not one that was stored before there was a bound', () => {
  const dear = bcryptSync(password, { cost: 14 })
  expect(verifyPassword(dear, password)).toBe(false)
})

describe('an import', async () => {
  const roster = await useTestApp()
  const admin = await roster.signUpAdmin()
  let number = 0
  const create = (hash: string) => {
    number += 1
    const body = { email: `import${number}@example.com`, password_hash: hash, email_verified: true }
    return roster.post('/api/v1/users', body, { token: admin.token })
  }

  test.each(elsewhere)('of $name lets its owner in, and is hashed anew', async ({ hash, password }) => {
    expect((await create(hash)).status).toBe(201)
    const email = `import${number}@example.com`
    const login = (text: string) => roster.post('/api/v1/auth/login', { email, password: text })
    expect((await login(`x${password}`)).status).toBe(401)
    expect((await login(password)).status).toBe(200)
    const stored = () =>
      roster.sql(
        'select password_hash from user_credentials c join users u on u.id = c.user_id where email = $1',
        [email],
      )
    const [{ password_hash }] = await stored()
    expect(needsRehash(password_hash)).toBe(false)
    expect((await login(password)).status).toBe(200)
  })

  test.each([
    ['typed as it was hashed', 'Cafe\u0301Pass123', 'Cafe\u0301Pass123'],
    ['typed in the composed form', 'Cafe\u0301Pass123', 'Caf\u00e9Pass123'],
    ['hashed composed, typed decomposed', 'Caf\u00e9Pass123', 'Cafe\u0301Pass123'],
    ['longer than ours may be', `Aa1${'x'.repeat(400)}`, `Aa1${'x'.repeat(400)}`],
    ['longer, and of argon2', `Aa1${'e\u0301'.repeat(200)}`, `Aa1${'e\u0301'.repeat(200)}`, 'argon2'],
  ])(
    'of a password %s: it is right, before and after it is hashed anew',
    async (_name, hashed, typed, by = 'bcrypt') => {
      const hash =
        by === 'bcrypt'
          ? bcryptSync(hashed, { cost: 4 })
          : hashSync(hashed, { memoryCost: 1024, timeCost: 1 })
      expect((await create(hash)).status).toBe(201)
      const email = `import${number}@example.com`
      for (const text of [typed, typed, typed.normalize('NFC'), typed.normalize('NFD')]) {
        expect((await roster.post('/api/v1/auth/login', { email, password: text })).status).toBe(200)
      }
      const more = await roster.post('/api/v1/auth/login', { email, password: `${typed}x` })
      expect(more.status).toBe(401)
    },
  )

  test('of a hash that costs too much is refused, with the bounds; of what is none, with the forms', async () => {
    for (const hash of [`$scrypt$ln=18,r=8,p=9$${salt}$${digest}`, `$2b$15$${'A'.repeat(53)}`]) {
      const { status, body } = await create(hash)
      expect([status, body.errors[0].path, body.errors[0].code]).toEqual([
        400,
        '/password_hash',
        'password_hash_cost',
      ])
      expect(body.errors[0].message).toContain('bcrypt up to cost 13')
    }
    expect((await create('md5:abc')).body.errors[0]).toMatchObject({ code: 'password_hash' })
  })
})

describe('the first login with', () => {
  const app = useTestApp()

  test.each(Object.entries(foreign))(
    '%s makes the hash a strong one, and moves no timestamp',
    async (_scheme, hash) => {
      const roster = await app
      const user = await roster.signUp()
      await roster.sql('update user_credentials set password_hash = $2 where user_id = $1', [user.id, hash])
      const credential = async () =>
        (await roster.sql('select * from user_credentials where user_id = $1', [user.id]))[0]
      const wrong = await roster.post('/api/v1/auth/login', { email: user.email, password: 'WrongPass123' })
      expect([wrong.status, (await credential()).password_hash]).toEqual([401, hash])
      await roster.signIn(user)
      const after = await credential()
      expect(after).toMatchObject({
        password_hash: expect.stringMatching(strong),
        password_version: 1,
        password_changed_at: null,
      })
      const again = await roster.signIn(user)
      expect(await credential()).toEqual(after)
      expect((await roster.get('/api/v1/users/me', { token: user.token })).body).toMatchObject({
        updated_at: null,
        password_changed_at: null,
      })
      expect(again.token).not.toBe(user.token)
    },
  )
})

describe('the hashing processes', () => {
  function hasherOf(options: { workers: number; patience?: number }): PasswordHasher {
    const hasher = createPasswordHasher(options)
    onTestFinished(() => hasher.stop())
    return hasher
  }

  const children = (): number[] => {
    const list = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)], { encoding: 'utf8' })
    return list
      .split('\n')
      .filter(line => /roster hashing|hashing\/worker/.test(line))
      .map(line => Number.parseInt(line, 10))
  }

  test('hash and verify, and hash anew', async () => {
    const hasher = hasherOf({ workers: 1, patience: 600_000 })
    const hash = await hasher.hash(password)
    expect(await hasher.verify(hash, password)).toEqual({ valid: true, rehashed: undefined })
    expect(await hasher.verify(hash, 'WrongPass123')).toEqual({ valid: false, rehashed: undefined })
    expect(await hasher.verify(unusablePasswordHash(), password)).toEqual({
      valid: false,
      rehashed: undefined,
    })
    const { valid, rehashed } = await hasher.verify(foreign.bcrypt ?? '', password)
    expect([valid, rehashed]).toEqual([true, expect.stringMatching(strong)])
  })

  test('take what they can do in time and no more: the rest is told to come back, at once', async () => {
    const hasher = hasherOf({ workers: 1, patience: 320 })
    const results = await Promise.allSettled(Array.from({ length: 40 }, () => hasher.hash(password)))
    const refused = results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []))
    expect(refused.length).toBe(36)
    for (const error of refused)
      expect(error).toMatchObject({ code: 'service_busy', status: 503, retryAfter: 1 })
    expect(hasher.load()).toEqual({ waiting: 0, running: 0 })
    expect(await hasher.verify(await hasher.hash(password), password)).toMatchObject({ valid: true })
  })

  test('that are full make logins a 503 with Retry-After, while other routes are served', async () => {
    const hasher = hasherOf({ workers: 1, patience: 320 })
    const roster = await startTestApp({ hasher })
    onTestFinished(() => roster.stop())
    const user = await roster.signUp()
    // Each for a name of its own: attempts at one account wait for each other, and would fill no queue.
    const logins = Array.from({ length: 40 }, (_, n) =>
      roster.post('/api/v1/auth/login', { email: `nobody${n}@example.com`, password }),
    )
    for (let n = 0; n < 20; n += 1) {
      expect((await roster.get('/api/v1/auth/me', { token: user.token })).status).toBe(200)
    }
    const replies = await Promise.all(logins)
    const busy = replies.filter(({ status }) => status === 503)
    expect(busy.length).toBeGreaterThan(0)
    for (const { status } of replies) expect([401, 503]).toContain(status)
    for (const reply of busy) {
      expect(reply.body.code).toBe('service_busy')
      expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0)
    }
  })

  test('that are killed fail one caller and are replaced', async () => {
    const hasher = hasherOf({ workers: 1, patience: 600_000 })
    const before = children()
    await hasher.hash(password)
    const [own = 0] = children().filter(pid => !before.includes(pid))
    const work = Promise.allSettled(Array.from({ length: 5 }, () => hasher.hash(password)))
    process.kill(own, 'SIGKILL')
    const results = await work
    const failed = results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []))
    expect(failed.length).toBeLessThanOrEqual(1)
    for (const error of failed) expect(error).toMatchObject({ code: 'service_busy' })
    expect(await hasher.verify(await hasher.hash(password), password)).toMatchObject({ valid: true })
    expect(children()).not.toContain(own)
  })

  test('run at low priority, so that serving requests comes first', async () => {
    const hasher = hasherOf({ workers: 1, patience: 600_000 })
    const before = children()
    await hasher.hash(password)
    const [own] = children().filter(pid => !before.includes(pid))
    const nice = execFileSync('ps', ['-o', 'ni=', '-p', String(own)], { encoding: 'utf8' })
    expect(Number(nice)).toBe(19)
  })

  test('that were stopped leave nobody waiting, and end', async () => {
    const hasher = createPasswordHasher({ workers: 1 })
    const before = children()
    const work = Promise.allSettled(Array.from({ length: 5 }, () => hasher.hash(password)))
    await hasher.stop()
    for (const result of await work) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ status: 503 })
    }
    await expect(hasher.hash(password)).rejects.toMatchObject({ code: 'shutting_down' })
    expect(children().filter(pid => !before.includes(pid))).toEqual([])
  })
})
