import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { deriveKey, unseal } from '../lib/secrets.ts'
import { startTestApp, type TestApp, testConfig, useTestApp } from '../testing/harness.ts'
import { beginSignIn, enrolTotp } from '../testing/second-factors.ts'
import { openVault } from './index.ts'

const vaultOf = (roster: TestApp, encryptionKey: Buffer, previousEncryptionKey?: Buffer) =>
  openVault({ ...roster.resources, encryptionKey, previousEncryptionKey })

describe('the vault', async () => {
  const roster = await useTestApp()
  const first = testConfig.encryptionKey

  test('opens what it sealed, in its place and unchanged', async () => {
    const vault = await vaultOf(roster, first)
    const sealed = vault.seal('secret', 'row 1')
    expect((await vault.open(sealed, 'row 1')).toString()).toBe('secret')
    await expect(vault.open(sealed, 'row 2')).rejects.toThrow()
    sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1
    await expect(vault.open(sealed, 'row 1')).rejects.toThrow()
    await expect(vault.open(Buffer.from('nonsense'), 'row 1')).rejects.toThrow('known version')
  })

  test('makes one set of first keys, however many processes start at once', async () => {
    await roster.sql('delete from encryption_keys')
    const vaults = await Promise.all(Array.from({ length: 10 }, () => vaultOf(roster, first)))
    expect(await roster.sql('select purpose from encryption_keys order by id')).toEqual([
      { purpose: 'root' },
      { purpose: 'data' },
    ])
    expect(new Set(vaults.map(({ root }) => root.toString('hex'))).size).toBe(1)
  })

  test('keeps keys under ENCRYPTION_KEY alone, and says where it is another one', async () => {
    const [{ key_sealed }] = await roster.sql(`select key_sealed from encryption_keys where purpose = 'root'`)
    expect(key_sealed.includes(first)).toBe(false)
    await expect(vaultOf(roster, randomBytes(32))).rejects.toThrow(/^ENCRYPTION_KEY does not open/)
  })
})

test('ENCRYPTION_KEY can be replaced: second factors, sessions and signing keys live on, and the old key opens nothing', async () => {
  const roster = await useTestApp()
  const user = await roster.signUp()
  const app = await enrolTotp(roster, user)
  const [before] = await roster.sql('select secret_sealed from second_factors')

  const config = { encryptionKey: randomBytes(32), previousEncryptionKey: testConfig.encryptionKey }
  const shared = { databaseUrl: roster.databaseUrl, clock: roster.clock }
  const [between, beside] = [
    await startTestApp({ ...shared, config }),
    await startTestApp({ ...shared, config }),
  ]
  expect((await between.get('/api/v1/auth/me', { token: user.token })).status).toBe(200)
  const { vault, factors } = between.services
  const id = await vault.rotate()
  expect(await factors.sealAgain(id)).toEqual({ sealed: 1, broken: [] })
  expect(await factors.sealAgain(id)).toEqual({ sealed: 0, broken: [] })
  const [after] = await roster.sql('select secret_sealed from second_factors')
  expect(after.secret_sealed.equals(before.secret_sealed)).toBe(false)

  // Whoever has the old key and reads the database from here on has nothing.
  const old = testConfig.encryptionKey
  expect(vault.root.equals(old)).toBe(false)
  const sealed = await roster.sql(`
    select key_sealed as value, purpose || ' key' as context, 'encryption keys' as "sealedFor" from encryption_keys
    union all select private_key_sealed, kid, 'signing keys' from signing_keys`)
  expect(sealed).toHaveLength(4)
  for (const { value, context, sealedFor } of sealed) {
    expect(() => unseal(deriveKey(old, sealedFor), value, context)).toThrow()
  }

  // A process that has not heard of the new key asks for it.
  const code = app.code(roster.clock.now())
  const body = { mfa_token: await beginSignIn(beside, user), method: 'totp', code }
  expect((await beside.post('/api/v1/auth/mfa/verify', body)).status).toBe(200)
  await Promise.all([between.stop(), beside.stop()])

  const renewed = await startTestApp({ ...shared, config: { encryptionKey: config.encryptionKey } })
  expect((await renewed.get('/api/v1/auth/me', { token: user.token })).status).toBe(200)
  expect((await renewed.post('/api/v1/auth/refresh', { refresh_token: user.refresh })).status).toBe(200)
  await renewed.stop()
  await expect(startTestApp(shared)).rejects.toThrow(/^ENCRYPTION_KEY does not open/)
})
