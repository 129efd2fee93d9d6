import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { type SignedUp, startTestApp, testConfig, useTestApp } from '../testing/harness.ts'
import { roster as command } from '../testing/roster.ts'
import { type Authenticator, beginSignIn, enrolTotp } from '../testing/second-factors.ts'

const roster = await useTestApp()
const [old, present] = [testConfig.encryptionKey, randomBytes(32)]

const rotate = (env: Record<string, string>) =>
  command(['keys', 'rotate', '--encryption'], {
    env: { DATABASE_URL: roster.databaseUrl, ...env },
    cwd: tmpdir(),
  })

test('roster keys rotate --encryption seals every second factor again, and the old ENCRYPTION_KEY is needed no more', async () => {
  const people: (SignedUp & { app: Authenticator })[] = []
  // One after the other: each moves the clock on.
  for (let n = 0; n < 3; n++) {
    const user = await roster.signUp()
    people.push({ ...user, app: await enrolTotp(roster, user) })
  }
  const rotated = await rotate({
    ENCRYPTION_KEY: present.toString('base64'),
    ENCRYPTION_KEY_PREVIOUS: old.toString('base64'),
  })
  expect(rotated).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^Encryption key \d+ seals now; 3 secrets were sealed again with it\.$/m),
  })
  expect(await rotate({ ENCRYPTION_KEY: old.toString('base64') })).toMatchObject({
    code: 1,
    err: expect.stringContaining('ENCRYPTION_KEY does not open the keys in the database'),
  })

  const { databaseUrl, clock } = roster
  const renewed = await startTestApp({ databaseUrl, clock, config: { encryptionKey: present } })
  for (const person of people) {
    const mfa_token = await beginSignIn(renewed, person)
    const code = person.app.code(clock.now())
    const { status } = await renewed.post('/api/v1/auth/mfa/verify', { mfa_token, method: 'totp', code })
    expect(status).toBe(200)
  }
  await renewed.stop()
})

test('a secret that no key opens stops no rotation, and is named', async () => {
  const user = await roster.signUp()
  const renewed = await startTestApp({
    databaseUrl: roster.databaseUrl,
    clock: roster.clock,
    config: { encryptionKey: present },
  })
  await enrolTotp(renewed, user)
  await roster.sql(`update second_factors set secret_sealed = '\\x00' where user_id = $1`, [user.id])
  const rotated = await rotate({ ENCRYPTION_KEY: present.toString('base64') })
  expect(rotated).toMatchObject({
    code: 1,
    out: expect.stringContaining('3 secrets were sealed again'),
    err: expect.stringContaining(user.id),
  })
  await renewed.stop()
})

test('--encryption and --immediately are two things', async () => {
  const { code, err } = await command(['keys', 'rotate', '--encryption', '--immediately'])
  expect([code, err]).toEqual([2, expect.stringContaining('--immediately')])
})
