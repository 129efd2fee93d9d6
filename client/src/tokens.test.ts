import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
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

describe('while the keys can’t be had', () => {
  const url = 'https://id.example.com'
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const keySet = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'EdDSA' }] }
  let answer: (response: ServerResponse) => void
  const publisher = createServer((_request, response) => answer(response))
  const give = (response: ServerResponse) => response.end(JSON.stringify(keySet))
  const refuse = (response: ServerResponse) => response.writeHead(503).end()

  beforeAll(async () => {
    await new Promise<void>(resolve => publisher.listen(0, '127.0.0.1', resolve))
  })
  afterAll(() => new Promise(resolve => publisher.close(resolve)))
  afterEach(() => vi.restoreAllMocks())

  function startVerifier(): TokenVerifier {
    const address = publisher.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return createTokenVerifier({ url, keysUrl: `http://127.0.0.1:${address.port}/` })
  }

  test('known ones verify on, whoever asks for others', async () => {
    answer = give
    const verify = startVerifier()
    expect(await verify(tokenOf('one', privateKey, url))).toMatchObject({ sub: 'somebody' })
    const now = performance.now()
    vi.spyOn(performance, 'now').mockReturnValue(now + 60_000)
    const { promise: held, resolve } = Promise.withResolvers<ServerResponse>()
    answer = resolve
    const forged = expect(verify(tokenOf('two', privateKey, url))).rejects.toThrow('503')
    const response = await held
    expect(await verify(tokenOf('one', privateKey, url))).toMatchObject({ sub: 'somebody' })
    refuse(response)
    await forged
  })

  test('no token is called invalid for it', async () => {
    answer = refuse
    const verify = startVerifier()
    const token = tokenOf('one', privateKey, url)
    for (const _ of [1, 2]) await expect(verify(token)).rejects.toThrow('jwks.json answered 503')
    answer = give
    expect(await verify(token)).toMatchObject({ sub: 'somebody' })
  })
})

function tokenOf(kid: string, key: KeyObject, url: string): string {
  const claims = { iss: url, aud: url, sub: 'somebody', exp: Date.now() / 1000 + 60 }
  const parts = [{ alg: 'EdDSA', typ: 'at+jwt', kid }, claims]
  const signed = parts.map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`
}
