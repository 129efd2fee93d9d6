import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../../server/src/testing/harness.ts'
import { listen } from '../../server/src/testing/http-server.ts'
import { createTokenVerifier, InvalidToken, type TokenVerifier } from './tokens.ts'

describe.each(['EdDSA', 'ES256', 'RS256'] as const)(
  'verifying access tokens signed with %s',
  jwtAlgorithm => {
    let verify: TokenVerifier
    let keysUrl: string
    const issuer = () => roster.resources.config.publicUrl
    let roster: TestApp
    beforeAll(async () => {
      roster = await startTestApp({ config: { jwtAlgorithm } })
      roster.clock.set(new Date())
      keysUrl = `http://127.0.0.1:${await listen(roster.app)}/.well-known/jwks.json`
      verify = createTokenVerifier({ url: issuer(), keysUrl })
    })

    afterAll(() => roster.stop())

    test('tells whose it is, and for whom', async () => {
      const person = await roster.signUp()
      expect(await verify(person.token)).toMatchObject({ sub: person.id, sid: person.session, role: 'user' })
      const other = createTokenVerifier({ url: issuer(), audience: 'https://other.example', keysUrl })
      await expect(other(person.token)).rejects.toThrow('somebody else')
    })

    test('refuses what was changed, made by somebody else, or says it needs no signature', async () => {
      const { token } = await roster.signUp()
      const [header = '', payload = '', signature = ''] = token.split('.')
      const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const decoded = JSON.parse(Buffer.from(header, 'base64url').toString())
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
      const hs256 = `${encode({ ...decoded, alg: 'HS256' })}.${payload}`
      const forged = [
        `${header}.${encode({ ...claims, role: 'admin' })}.${signature}`,
        `${encode({ ...decoded, alg: 'none' })}.${payload}.`,
        `${hs256}.${createHmac('sha256', 'key').update(hs256).digest('base64url')}`,
        `${encode({ ...decoded, kid: 'unknown' })}.${payload}.${signature}`,
        `${header}.${payload}`,
        'nonsense',
      ]
      for (const text of forged) await expect(verify(text)).rejects.toThrow(InvalidToken)
    })
  },
)
