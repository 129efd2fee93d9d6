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

    test('refuses a key that was removed, within the time that the service gives its keys', async () => {
      const { token } = await roster.signUp()
      const fresh = createTokenVerifier({ url: issuer(), keysUrl })
      expect(await fresh(token)).toMatchObject({ iss: issuer() })
      await roster.services.keys.rotate({ actorType: 'operator' }, { immediately: true })
      const now = Date.now()
      vi.spyOn(Date, 'now').mockReturnValue(now + 301_000)
      await expect(fresh(token)).rejects.toThrow(InvalidToken)
      vi.restoreAllMocks()
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

describe('the keys', () => {
  const url = 'https://id.example.com'
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const keySet = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'EdDSA' }] }
  let answer: (response: ServerResponse) => void
  const publisher = createServer((_request, response) => answer(response))
  const give = (response: ServerResponse) => response.end(JSON.stringify(keySet))
  const giveFor =
    (cacheControl: string, keys = keySet, age = 0) =>
    (response: ServerResponse) =>
      response.writeHead(200, { 'cache-control': cacheControl, age: `${age}` }).end(JSON.stringify(keys))
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

  /** So many seconds since now. */
  function passed(seconds: number): void {
    const now = Date.now()
    vi.spyOn(Date, 'now').mockReturnValue(now + seconds * 1000)
  }

  test('known ones verify on, whoever asks for others', async () => {
    answer = give
    const verify = startVerifier()
    expect(await verify(tokenOf('one', privateKey, url))).toMatchObject({ sub: 'somebody' })
    passed(60)
    const { promise: held, resolve } = Promise.withResolvers<ServerResponse>()
    answer = resolve
    const forged = expect(verify(tokenOf('two', privateKey, url))).rejects.toThrow('503')
    const response = await held
    expect(await verify(tokenOf('one', privateKey, url))).toMatchObject({ sub: 'somebody' })
    refuse(response)
    await forged
  })

  test.each([
    ['max-age=60', 60, 0],
    ['public, max-age=300', 300, 0],
    ['public, max-age=300', 100, 200],
    ['max-age=86400', 600, 0],
    ['no-store', 300, 0],
  ])(
    'published with %s count for %d seconds, and a removed one no longer (age %d)',
    async (header, seconds, age) => {
      answer = giveFor(header, keySet, age)
      const verify = startVerifier()
      const token = tokenOf('one', privateKey, url)
      expect(await verify(token)).toMatchObject({ sub: 'somebody' })
      answer = giveFor(header, { keys: [] })
      passed(seconds - 1)
      expect(await verify(token)).toMatchObject({ sub: 'somebody' })
      vi.restoreAllMocks()
      passed(seconds + 1)
      await expect(verify(token)).rejects.toThrow('unknown key')
    },
  )

  test('go on counting for five minutes while they can’t be had, and no longer', async () => {
    answer = giveFor('max-age=300')
    const verify = startVerifier()
    const token = tokenOf('one', privateKey, url)
    await verify(token)
    let asked = 0
    answer = response => {
      asked += 1
      refuse(response)
    }
    passed(590)
    for (const _ of [1, 2, 3]) expect(await verify(token)).toMatchObject({ sub: 'somebody' })
    expect(asked).toBe(1)
    vi.restoreAllMocks()
    passed(601)
    const refused = verify(token)
    await expect(refused).rejects.toThrow('jwks.json answered 503')
    await expect(refused).rejects.not.toThrow(InvalidToken)
    answer = give
    expect(await verify(token)).toMatchObject({ sub: 'somebody' })
  })

  test('are looked at anew where the clock was set back', async () => {
    answer = give
    const verify = startVerifier()
    const token = tokenOf('one', privateKey, url)
    await verify(token)
    answer = giveFor('max-age=300', { keys: [] })
    passed(-3600)
    await expect(verify(token)).rejects.toThrow('unknown key')
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
  const claims = { iss: url, aud: url, sub: 'somebody', exp: Date.now() / 1000 + 100_000 }
  const parts = [{ alg: 'EdDSA', typ: 'at+jwt', kid }, claims]
  const signed = parts.map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`
}
