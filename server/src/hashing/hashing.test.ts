import { execFileSync } from 'node:child_process'
import { pbkdf2Sync, randomBytes, scryptSync } from 'node:crypto'
import { hashSync } from '@node-rs/argon2'
import bcrypt from 'bcryptjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startTestApp, useTestApp } from '../testing/harness.ts'
import { hashPassword, isKnownHash, needsRehash, verifyPassword } from './algorithms.ts'
import { createPasswordHasher, type PasswordHasher } from './pool.ts'

const password = 'SecurePass123'
const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')

const salt = randomBytes(16)
const foreign: Record<string, string> = {
  bcrypt: bcrypt.hashSync(password, 4),
  scrypt: `$scrypt$ln=10,r=8,p=1$${base64(salt)}$${base64(scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 }))}`,
  'PBKDF2 with SHA-256': `$pbkdf2-sha256$i=1000$${base64(salt)}$${base64(pbkdf2Sync(password, salt, 1000, 32, 'sha256'))}`,
  'PBKDF2 with SHA-512': `$pbkdf2-sha512$i=1000$${base64(salt)}$${base64(pbkdf2Sync(password, salt, 1000, 64, 'sha512'))}`,
  'argon2id of less memory': hashSync(password, { memoryCost: 8192, timeCost: 2, parallelism: 1 }),
  'argon2id of fewer passes': hashSync(password, { memoryCost: 19_456, timeCost: 1, parallelism: 1 }),
  argon2i: hashSync(password, { algorithm: 1, memoryCost: 19_456, timeCost: 2, parallelism: 1 }),
}

const strong = /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/

describe('a new hash', () => {
  test('is argon2id of at least 19 MiB and two passes, salted', () => {
    expect(hashPassword(password)).toMatch(strong)
    expect(hashPassword(password)).not.toBe(hashPassword(password))
    expect(needsRehash(hashPassword(password))).toBe(false)
    expect(isKnownHash(hashPassword(password))).toBe(true)
  })

  test('fits its password alone, to the last of 128 characters', () => {
    const long = `Aa1${'é'.repeat(125)}`
    const hash = hashPassword(long)
    expect(verifyPassword(hash, long)).toBe(true)
    expect(verifyPassword(hash, long.slice(0, -1))).toBe(false)
    expect(verifyPassword(hash, `${long.slice(0, -1)}e`)).toBe(false)
  })
})

describe.each(Object.entries(foreign))('a hash by %s', (_scheme, hash) => {
  test('is known, fits its password alone and is due for a stronger one', () => {
    expect(isKnownHash(hash)).toBe(true)
    expect(verifyPassword(hash, password)).toBe(true)
    expect(verifyPassword(hash, 'WrongPass123')).toBe(false)
    expect(needsRehash(hash)).toBe(true)
  })
})

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
  '5f4dcc3b5aa765d61d8327deb882cf99',
])('%j is no hash: nothing fits it, nothing breaks', hash => {
  expect(isKnownHash(hash)).toBe(false)
  expect(verifyPassword(hash, password)).toBe(false)
  expect(verifyPassword(hash, '')).toBe(false)
})

test.each(['$argon2id$v=19$m=9999999,t=2,p=1$AAAA$AAAA', '$2b$31$', '$scrypt$ln=30,r=8,p=1$AAAA$AAAA'])(
  '%s is too costly to be imported',
  hash => {
    expect(isKnownHash(hash + 'A'.repeat(hash.startsWith('$2') ? 53 : 0))).toBe(false)
  },
)

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
  function hasherOf(options: { workers: number; maxWaiting: number }): PasswordHasher {
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

  test('hash and verify, and spend a hash on nobody', async () => {
    const hasher = hasherOf({ workers: 1, maxWaiting: 8 })
    const hash = await hasher.hash(password)
    expect(await hasher.verify(hash, password)).toEqual({ valid: true, rehashed: undefined })
    expect(await hasher.verify(hash, 'WrongPass123')).toEqual({ valid: false, rehashed: undefined })
    expect(await hasher.verify(undefined, password)).toEqual({ valid: false, rehashed: undefined })
    const { valid, rehashed } = await hasher.verify(foreign.bcrypt, password)
    expect([valid, rehashed]).toEqual([true, expect.stringMatching(strong)])
  })

  test('take so many and no more: the rest is told to come back, at once', async () => {
    const hasher = hasherOf({ workers: 1, maxWaiting: 3 })
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => hasher.hash(password)))
    const done = results.filter(({ status }) => status === 'fulfilled')
    const refused = results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []))
    expect([done.length, refused.length]).toEqual([4, 6])
    for (const error of refused)
      expect(error).toMatchObject({ code: 'service_busy', status: 503, retryAfter: 2 })
    expect(hasher.load()).toEqual({ waiting: 0, running: 0 })
  })

  test('that are full make logins a 503 with Retry-After, while other routes stay fast', async () => {
    const hasher = hasherOf({ workers: 1, maxWaiting: 4 })
    const roster = await startTestApp({ hasher })
    onTestFinished(() => roster.stop())
    const user = await roster.signUp()
    // Each for a name of its own: attempts at one account wait for each other, and would fill no queue.
    const logins = Array.from({ length: 40 }, (_, n) =>
      roster.post('/api/v1/auth/login', { email: `nobody${n}@example.com`, password }),
    )
    const reads: number[] = []
    for (let n = 0; n < 20; n += 1) {
      const start = performance.now()
      expect((await roster.get('/api/v1/auth/me', { token: user.token })).status).toBe(200)
      reads.push(performance.now() - start)
    }
    const replies = await Promise.all(logins)
    const busy = replies.filter(({ status }) => status === 503)
    expect(busy.length).toBeGreaterThanOrEqual(30)
    for (const { status } of replies) expect([401, 503]).toContain(status)
    for (const reply of busy) {
      expect([reply.body.code, Number(reply.headers['retry-after'])]).toEqual(['service_busy', 2])
    }
    const median = reads.sort((a, b) => a - b)[10] ?? 0
    expect(median).toBeLessThan(50)
  })

  test('that are killed fail one caller and are replaced', async () => {
    const hasher = hasherOf({ workers: 1, maxWaiting: 8 })
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
    const hasher = hasherOf({ workers: 1, maxWaiting: 8 })
    const before = children()
    await hasher.hash(password)
    const [own] = children().filter(pid => !before.includes(pid))
    const nice = execFileSync('ps', ['-o', 'ni=', '-p', String(own)], { encoding: 'utf8' })
    expect(Number(nice)).toBe(19)
  })

  test('that were stopped leave nobody waiting, and end', async () => {
    const hasher = createPasswordHasher({ workers: 1, maxWaiting: 8 })
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
