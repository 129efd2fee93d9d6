import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { startTestApp } from '../testing/harness.ts'
import { roster as command } from '../testing/roster.ts'

const dataDir = fs.mkdtempSync(join(tmpdir(), 'roster-cli-audit-'))
const encryptionKey = Buffer.alloc(32, 9)
const roster = await startTestApp({ config: { dataDir, encryptionKey } })
afterAll(async () => {
  await roster.stop()
  fs.rmSync(dataDir, { recursive: true })
})

const env = {
  DATABASE_URL: roster.databaseUrl,
  DATA_DIR: dataDir,
  ENCRYPTION_KEY: encryptionKey.toString('base64'),
}
const verify = (...more: string[]) => command(['audit', 'verify', ...more], { env, cwd: dataDir })

test('roster audit verify finds nothing wrong, prints the end, and finds it missing when it is', async () => {
  await roster.signUp()
  await roster.services.sealer.seal()
  const whole = await verify()
  expect(whole).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^The audit log is whole: \d+ rows, 1 seals\.$/m),
  })
  const [, end = ''] = /: (1:[\w-]{43})$/m.exec(whole.out) ?? []
  expect((await verify('--head', end)).code).toBe(0)
  expect(await verify('--head', 'x')).toMatchObject({ code: 2, err: expect.stringContaining('--head takes') })

  const [row] = await roster.sql(`select id from audit_log where action = 'user.registered'`)
  await roster.sql('alter table audit_log disable trigger all')
  await roster.sql(`update audit_log set action = 'x' where id = $1`, [row.id])
  const changed = await verify()
  expect(changed).toMatchObject({ code: 1, out: expect.stringContaining(`✗ row ${row.id} `) })
  expect(changed.out).toContain('The audit log was tampered with')

  await roster.sql('alter table audit_seals disable trigger all')
  await roster.sql('delete from audit_seals')
  await roster.sql('delete from audit_log')
  expect((await verify()).out).toContain('the log ends with seal 0 of 0, and reached seal 1 before')
})
