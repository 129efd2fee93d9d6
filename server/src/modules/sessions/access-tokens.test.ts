import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { hours, minutes, seconds } from '../../lib/clock.ts'
import { deriveKey, unseal } from '../../lib/secrets.ts'
import { type SignedUp, type TestApp, useTestApp } from '../../testing/harness.ts'

type Fields = Record<string, unknown>

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const decode = (part = ''): Fields => JSON.parse(Buffer.from(part, 'base64url').toString())
const headerOf = (token: string): Fields => decode(token.split('.')[0])
const claimsOf = (token: string): Fields => decode(token.split('.')[1])

const statusOf = async (app: TestApp, token: string): Promise<number> =>
  (await app.get('/api/v1/auth/me', { token })).status

/** The private key that an app signs with, as somebody with its ENCRYPTION_KEY would read it. */
async function privateKeyOf(app: TestApp): Promise<KeyObject> {
  const [{ kid, private_key_sealed }] = await app.sql('select kid, private_key_sealed from signing_keys')
  const key = deriveKey(app.resources.vault.root, 'signing keys')
  return createPrivateKey(unseal(key, private_key_sealed, kid))
}

describe('an access token', async () => {
  const roster = await useTestApp()
  let user: SignedUp
  let key: KeyObject
  let header: Fields
  let claims: Fields

  beforeAll(async () => {
    user = await roster.signUp()
    key = await privateKeyOf(roster)
    header = headerOf(user.token)
    claims = claimsOf(user.token)
  })

  function forge(
    more: { header?: Fields; claims?: Fields; key?: KeyObject; signature?: string } = {},
  ): string {
    const body = `${encode(more.header ?? header)}.${encode(more.claims ?? claims)}`
    const signature =
      more.signature ?? signBytes(null, Buffer.from(body), more.key ?? key).toString('base64url')
    return `${body}.${signature}`
  }

  test('claims what it should and nothing else', () => {
    const at = roster.clock.now().getTime() / 1000
    expect(header).toEqual({ alg: 'EdDSA', typ: 'at+jwt', kid: expect.any(String) })
    expect(claims).toEqual({
      iss: 'http://localhost:8000',
      sub: user.id,
      aud: 'http://localhost:8000',
      exp: at + 1800,
      iat: at,
      jti: expect.stringMatching(/^[\w-]{16}$/),
      sid: user.session,
      role: 'user',
      roles: ['user'],
      amr: ['pwd'],
      aal: 'aal1',
      auth_time: at,
    })
  })

  test('of an administrator says so, and no two have one id', async () => {
    const admin = await roster.signUpAdmin()
    const again = await roster.signIn(admin)
    expect(claimsOf(admin.token)).toMatchObject({ role: 'admin', roles: ['admin', 'user'] })
    expect(claimsOf(again.token).jti).not.toBe(claimsOf(admin.token).jti)
  })

  test('that is made like ours with our key is taken: what follows fails for its own reason', async () => {
    expect(await statusOf(roster, forge())).toBe(200)
  })

  const stranger = generateKeyPairSync('ed25519')
  const jwk = stranger.publicKey.export({ format: 'jwk' })

  test.each<[string, () => string]>([
    ['alg none', () => forge({ header: { ...header, alg: 'none' }, signature: '' })],
    ['alg None, signed', () => forge({ header: { ...header, alg: 'None' } })],
    ['no signature', () => forge({ signature: '' })],
    ['a stranger’s signature', () => forge({ key: stranger.privateKey })],
    ['a stranger’s embedded jwk', () => forge({ key: stranger.privateKey, header: { ...header, jwk } })],
    ['our own signature and a jwk', () => forge({ header: { ...header, jwk } })],
    ['a jku', () => forge({ header: { ...header, jku: 'https://evil.example/jwks.json' } })],
    ['an x5u', () => forge({ header: { ...header, x5u: 'https://evil.example/cert' } })],
    ['an x5c', () => forge({ header: { ...header, x5c: ['AAAA'] } })],
    ['a critical extension', () => forge({ header: { ...header, crit: ['exp'] } })],
    ['no kid', () => forge({ header: { alg: 'EdDSA', typ: 'at+jwt' } })],
    ['an unknown kid', () => forge({ header: { ...header, kid: 'unknown' } })],
    ['a kid that is a path', () => forge({ header: { ...header, kid: '../../../dev/null' } })],
    ['a kid that is SQL', () => forge({ header: { ...header, kid: "' or '1'='1" } })],
    ['a kid that is a list', () => forge({ header: { ...header, kid: [header.kid] } })],
    ['a kid of the prototype', () => forge({ header: { ...header, kid: '__proto__' } })],
    ['typ JWT', () => forge({ header: { ...header, typ: 'JWT' } })],
    ['another of our own types', () => forge({ header: { ...header, typ: 'mfa+jwt' } })],
    ['no typ', () => forge({ header: { alg: 'EdDSA', kid: header.kid } })],
    ['another issuer', () => forge({ claims: { ...claims, iss: 'https://evil.example' } })],
    ['no issuer', () => forge({ claims: { ...claims, iss: undefined } })],
    ['another audience', () => forge({ claims: { ...claims, aud: 'https://other.example' } })],
    [
      'a list of audiences',
      () => forge({ claims: { ...claims, aud: [claims.aud, 'https://other.example'] } }),
    ],
    ['an end in the past', () => forge({ claims: { ...claims, exp: Number(claims.iat) - 1 } })],
    ['no end', () => forge({ claims: { ...claims, exp: undefined } })],
    ['an end in words', () => forge({ claims: { ...claims, exp: '9999999999' } })],
    ['a start in the future', () => forge({ claims: { ...claims, nbf: Number(claims.iat) + 60 } })],
    ['a start in words', () => forge({ claims: { ...claims, nbf: 'now' } })],
    ['a birth in the future', () => forge({ claims: { ...claims, iat: Number(claims.iat) + 60 } })],
    ['another user', () => forge({ claims: { ...claims, sub: '019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c' } })],
    ['a subject that is no id', () => forge({ claims: { ...claims, sub: 'admin' } })],
    ['another session', () => forge({ claims: { ...claims, sid: '019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c' } })],
    ['no session', () => forge({ claims: { ...claims, sid: undefined } })],
    [
      'claims of another token',
      () => user.token.replace(/\..*\./, `.${encode({ ...claims, role: 'admin' })}.`),
    ],
    ['a fourth part', () => `${user.token}.x`],
    ['two parts', () => user.token.split('.').slice(0, 2).join('.')],
    ['5 KB', () => forge({ claims: { ...claims, more: 'x'.repeat(5000) } })],
    ['no JSON', () => 'a.b.c'],
    ['a header that is null', () => user.token.replace(/^[^.]+/, encode(null))],
    ['nothing', () => ''],
  ])('with %s is refused', async (_what, make) => {
    const reply = await roster.get('/api/v1/auth/me', { token: make() })
    expect(reply.status).toBe(401)
    expect(['invalid_token', 'unauthorized']).toContain(reply.body.code)
    expect(reply.headers['www-authenticate']).toMatch(/^Bearer/)
  })

  test('gives no more rights than the database, whatever it claims', async () => {
    const token = forge({ claims: { ...claims, role: 'admin', roles: ['admin', 'user'], aal: 'aal2' } })
    const reply = await roster.post(
      '/api/v1/auth/register',
      { email: 'forged@example.com', password: 'SecurePass123', role: 'admin' },
      { token },
    )
    expect([reply.status, reply.body.code]).toEqual([403, 'forbidden_field'])
  })

  test('is no refresh token, and a refresh token or set-up code is no access token', async () => {
    const refreshed = await roster.post('/api/v1/auth/refresh', { refresh_token: user.token })
    expect([refreshed.status, refreshed.body.code]).toEqual([401, 'invalid_refresh_token'])
    expect(await statusOf(roster, user.refresh)).toBe(401)
    const { setupCode } = await import('../auth/index.ts')
    expect(await statusOf(roster, String(await setupCode(roster.services)))).toBe(401)
    expect(await statusOf(roster, user.token)).toBe(200)
  })

  test('goes with the scheme Bearer in any case, and with no other', async () => {
    const withScheme = (authorization: string) =>
      roster.get('/api/v1/auth/me', { headers: { authorization } })
    expect((await withScheme(`bearer ${user.token}`)).status).toBe(200)
    for (const scheme of ['Basic ', 'Token ', '', 'Bearer: '])
      expect((await withScheme(scheme + user.token)).status).toBe(401)
    expect((await roster.get(`/api/v1/auth/me?access_token=${user.token}`)).status).toBe(401)
  })

  test('ends to the second, remembered or not', async () => {
    const fresh = await roster.signIn(user)
    await roster.get('/api/v1/auth/me', { token: fresh.token })
    roster.clock.advance(minutes(30) - 1)
    expect(await statusOf(roster, fresh.token)).toBe(200)
    roster.clock.advance(1)
    expect(await statusOf(roster, fresh.token)).toBe(401)
  })
})

describe.each(['EdDSA', 'ES256', 'RS256', 'HS256'] as const)('with %s', async jwtAlgorithm => {
  const secret = 'a shared secret of more than 32 characters'
  const roster = await useTestApp({ config: { jwtAlgorithm, jwtSecretKey: secret } })

  test('tokens are signed so, and believed', async () => {
    const user = await roster.signUp()
    expect(headerOf(user.token)).toMatchObject({ alg: jwtAlgorithm, typ: 'at+jwt' })
    expect(await statusOf(roster, user.token)).toBe(200)
  })

  test('others can verify them with nothing but the published key, or the shared secret', async () => {
    const { token } = await roster.signUp()
    const [head, body, signature = ''] = token.split('.')
    const signed = Buffer.from(`${head}.${body}`)
    const sets = await Promise.all(
      ['/.well-known/jwks.json', '/api/v1/auth/.well-known/jwks.json'].map(url => roster.get(url)),
    )
    const [first, second] = sets
    expect(second?.body).toEqual(first?.body)
    expect(first?.headers['cache-control']).toBe('public, max-age=300')
    if (jwtAlgorithm === 'HS256') {
      expect(first?.body).toEqual({ keys: [] })
      expect(createHmac('sha256', secret).update(signed).digest('base64url')).toBe(signature)
      return
    }
    const jwk = first?.body.keys.find(({ kid }: { kid: string }) => kid === headerOf(token).kid)
    expect(jwk).toMatchObject({ alg: jwtAlgorithm, use: 'sig' })
    for (const secretPart of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'])
      expect(jwk).not.toHaveProperty(secretPart)
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const algorithm = jwtAlgorithm === 'EdDSA' ? null : 'sha256'
    const options = jwtAlgorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' as const } : key
    expect(verifyBytes(algorithm, signed, options, Buffer.from(signature, 'base64url'))).toBe(true)
  })

  if (jwtAlgorithm !== 'HS256')
    test('the public key is no secret to sign with: HS256 is refused', async () => {
      const { token } = await roster.signUp()
      const publicKey = createPublicKey(await privateKeyOf(roster))
      const body = `${encode({ ...headerOf(token), alg: 'HS256' })}.${token.split('.')[1]}`
      const secrets = [
        publicKey.export({ type: 'spki', format: 'pem' }),
        publicKey.export({ type: 'spki', format: 'der' }),
        JSON.stringify(publicKey.export({ format: 'jwk' })),
        '',
        secret,
      ]
      for (const guess of secrets) {
        const forged = `${body}.${createHmac('sha256', guess).update(body).digest('base64url')}`
        expect(await statusOf(roster, forged)).toBe(401)
      }
    })

  if (jwtAlgorithm === 'HS256')
    test('keys do not rotate here, and a wrong secret is refused', async () => {
      const { token } = await roster.signUp()
      await expect(roster.services.keys.rotate({ actorType: 'operator' })).rejects.toThrow(/change it there/)
      const body = token.slice(0, token.lastIndexOf('.'))
      const forged = `${body}.${createHmac('sha256', 'guess').update(body).digest('base64url')}`
      expect(await statusOf(roster, forged)).toBe(401)
    })

  test('a token in flight lives as long as the configuration says', async () => {
    const { token } = await roster.signUp()
    expect(Number(claimsOf(token).exp) - Number(claimsOf(token).iat)).toBe(hours(0.5) / seconds(1))
  })
})
