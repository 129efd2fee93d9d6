import { describe, expect, test } from 'vitest'
import { days, minutes } from '../../lib/clock.ts'
import { startTestApp, type TestApp, useTestApp } from '../../testing/harness.ts'
import { createKeyRing } from './signing-keys.ts'

/** A further process's key ring on the same database. */
const keyRing = ({ resources: { store, news, clock, vault } }: TestApp, root = vault.root) =>
  createKeyRing({
    store,
    news,
    clock,
    vault: { root },
    algorithm: 'EdDSA',
    secret: undefined,
    tokenLifetime: minutes(30),
  })

const operator = { actorType: 'operator' } as const

const kidOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid

const published = async (app: TestApp): Promise<string[]> =>
  (await app.get('/.well-known/jwks.json')).body.keys.map(({ kid }: { kid: string }) => kid)

const opens = async (app: TestApp, token: string): Promise<boolean> =>
  (await app.get('/api/v1/auth/me', { token })).status === 200

describe('a rotation of the signing keys', () => {
  test('publishes the new key at once and signs with it ten minutes later', async () => {
    const roster = await useTestApp()
    const user = await roster.signUp()
    const before = kidOf(user.token)
    const next = await roster.services.keys.rotate(operator)
    expect(await published(roster)).toEqual([next, before])
    expect(kidOf((await roster.signIn(user)).token)).toBe(before)
    roster.clock.advance(minutes(10) - 1)
    expect(kidOf((await roster.signIn(user)).token)).toBe(before)
    roster.clock.advance(1)
    expect(kidOf((await roster.signIn(user)).token)).toBe(next)
  })

  test('leaves the old key until the last token that it signed has expired, and not longer', async () => {
    const roster = await useTestApp()
    const user = await roster.signUp()
    const next = await roster.services.keys.rotate(operator)
    roster.clock.advance(minutes(10) - 1000)
    const last = await roster.signIn(user)
    expect(kidOf(last.token)).not.toBe(next)
    roster.clock.advance(minutes(30) - 1)
    await roster.services.keys.rotateIfDue()
    expect(await opens(roster, last.token)).toBe(true)
    roster.clock.advance(minutes(2))
    expect(await opens(roster, last.token)).toBe(false)
    expect(await published(roster)).toEqual([next])
    await roster.services.keys.rotateIfDue()
    expect(await roster.sql('select kid from signing_keys')).toEqual([{ kid: next }])
  })

  test('comes by itself after 90 days, not before', async () => {
    const roster = await useTestApp()
    const [first] = await published(roster)
    roster.clock.advance(days(90) - 1)
    await roster.services.keys.rotateIfDue()
    expect(await published(roster)).toEqual([first])
    roster.clock.advance(1)
    await roster.services.keys.rotateIfDue()
    expect(await published(roster)).toHaveLength(2)
    await roster.services.keys.rotateIfDue()
    expect(await published(roster)).toHaveLength(2)
    const audit = await roster.sql(`select actor_type, details from audit_log
      where action = 'signing_key.created' order by id`)
    expect(audit).toEqual(
      Array(2).fill({ actor_type: 'system', details: { algorithm: 'EdDSA', immediately: false } }),
    )
  })

  test('with “immediately” kills every earlier token, and sessions live on by their refresh tokens', async () => {
    const roster = await useTestApp()
    const user = await roster.signUp()
    expect(await opens(roster, user.token)).toBe(true)
    const next = await roster.services.keys.rotate(operator, { immediately: true })
    expect(await opens(roster, user.token)).toBe(false)
    expect(await published(roster)).toEqual([next])
    const { body } = await roster.post('/api/v1/auth/refresh', { refresh_token: user.refresh })
    expect(kidOf(body.access_token)).toBe(next)
    expect(await opens(roster, body.access_token)).toBe(true)
  })

  test('reaches another process, at once where it must', async () => {
    const roster = await useTestApp()
    const second = await startTestApp({ databaseUrl: roster.databaseUrl, clock: roster.clock })
    const user = await roster.signUp()
    expect(await opens(second, user.token)).toBe(true)
    const next = await roster.services.keys.rotate(operator)
    await expect.poll(() => published(second)).toContain(next)
    await roster.services.keys.rotate(operator, { immediately: true })
    await expect.poll(() => opens(second, user.token)).toBe(false)
    const { token } = await roster.signIn(user)
    expect(await opens(second, token)).toBe(true)
    await second.stop()
  })

  test('that another process hears of never lets a token of the old key in again', async () => {
    const roster = await useTestApp()
    const user = await roster.signUp()
    await opens(roster, user.token)
    const tries: Promise<boolean>[] = []
    roster.resources.news.subscribe({
      // Between the announcement and the moment when the new keys have been read.
      heard: ({ kind }) => {
        if (kind === 'keys') tries.push(opens(roster, user.token))
      },
      missed: () => undefined,
    })
    await roster.services.keys.rotate(operator, { immediately: true })
    expect(tries.length).toBeGreaterThan(0)
    expect(await Promise.all(tries)).not.toContain(true)
    expect(await opens(roster, user.token)).toBe(false)
  })
})

describe('the key ring', () => {
  test('makes one first key, however many processes start at once', async () => {
    const roster = await useTestApp()
    await roster.sql('delete from signing_keys')
    const rings = Array.from({ length: 10 }, () => keyRing(roster))
    await Promise.all(rings.map(ring => ring.start()))
    const [key, ...others] = await roster.sql('select kid from signing_keys')
    expect(others).toEqual([])
    expect(new Set(rings.map(ring => ring.current().kid))).toEqual(new Set([key.kid]))
  })

  test('says clearly that ENCRYPTION_KEY is another one’s', async () => {
    const roster = await useTestApp()
    const keys = keyRing(roster, Buffer.alloc(32, 9))
    await expect(keys.start()).rejects.toThrow(/^ENCRYPTION_KEY does not open the signing keys/)
  })

  test('keeps private keys sealed: nothing in the table opens without ENCRYPTION_KEY', async () => {
    const roster = await useTestApp()
    const [row] = await roster.sql('select public_jwk, private_key_sealed from signing_keys')
    expect(row.public_jwk).not.toHaveProperty('d')
    expect(row.private_key_sealed.toString('latin1')).not.toContain('PRIVATE KEY')
  })

  test('has nothing to sign with before it was started', async () => {
    const roster = await useTestApp()
    const keys = keyRing(roster)
    expect(() => keys.current()).toThrow('has not been started')
  })
})
