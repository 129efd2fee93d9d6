import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { useTestApp } from '../../testing/harness.ts'
import {
  offerPasskey,
  registerPasskey,
  type SoftwareAuthenticator,
  signInWithPasskey,
  softwareAuthenticator,
} from '../../testing/software-authenticator.ts'

/* What browsers and apps send beyond the plain case. */

const app = (certificate: string) =>
  `android:apk-key-hash:${createHash('sha256').update(certificate).digest('base64url')}`

const roster = await useTestApp({ config: { passkeyOrigins: [app('ours'), app('our next one')] } })

const path = '/api/v1/auth/passkeys'

describe('an Android app', () => {
  test.each(['ours', 'our next one'])('that is listed (%s) registers a passkey and signs in', async name => {
    const key = softwareAuthenticator(app(name))
    expect((await offerPasskey(roster, await roster.signUp(), key)).status).toBe(201)
    expect((await signInWithPasskey(roster, key, true)).body).toHaveProperty('access_token')
  })

  test.each([
    app('theirs'),
    app('ours').toUpperCase(),
    `${app('ours')}=`,
    app('ours').replace('apk-key-hash', 'apk-key-hash-sha256'),
    'android:apk-key-hash:',
  ])('with the origin %s is refused', async origin => {
    const user = await roster.signUp()
    const { status, body } = await offerPasskey(roster, user, softwareAuthenticator(origin))
    expect([status, body.code]).toEqual([400, 'invalid_passkey'])
  })
})

describe('a passkey that the browser makes by itself', () => {
  async function offer(mediation: string | undefined, key: SoftwareAuthenticator, isPresent = false) {
    const { token } = await roster.signUp()
    const asked = mediation === undefined ? undefined : { mediation }
    const options = await roster.post(`${path}/register/options`, asked, { token })
    expect(options.status).toBe(200)
    const credential = key.register(options.body, isPresent)
    return roster.post(`${path}/register/verify`, { credential }, { token })
  }

  test('is kept without anybody being present, and signs in', async () => {
    const key = softwareAuthenticator()
    expect((await offer('conditional', key)).status).toBe(201)
    expect((await signInWithPasskey(roster, key, true)).body).toHaveProperty('access_token')
  })

  test('is kept with somebody present as well', async () => {
    expect((await offer('conditional', softwareAuthenticator(), true)).status).toBe(201)
  })

  test.each([undefined, 'optional', 'required'])('is refused where the mediation was %s', async mediation => {
    const { status, body } = await offer(mediation, softwareAuthenticator())
    expect([status, body.code]).toEqual([400, 'invalid_passkey'])
  })

  test.each(['Conditional', '', 1, null])('is not begun with the mediation %j', async mediation => {
    const { token } = await roster.signUp()
    const { status, body } = await roster.post(`${path}/register/options`, { mediation }, { token })
    expect([status, body.errors[0].path]).toEqual([400, '/mediation'])
  })

  test('is not kept by the challenge of another user, nor twice by one', async () => {
    const [user, other] = [await roster.signUp(), await roster.signUp()]
    const ask = { mediation: 'conditional' }
    const options = await roster.post(`${path}/register/options`, ask, { token: user.token })
    const credential = softwareAuthenticator().register(options.body, false)
    const verify = (token: string) => roster.post(`${path}/register/verify`, { credential }, { token })
    expect((await verify(other.token)).body.code).toBe('invalid_passkey')
    expect((await verify(user.token)).body.code).toBe('invalid_passkey')
  })

  test('signs nobody in whose presence its authenticator did not see', async () => {
    const key = softwareAuthenticator()
    await offer('conditional', key)
    const { body } = await roster.post(`${path}/login/options`)
    const credential = key.sign(body, true)
    const data = Buffer.from(credential.response.authenticatorData ?? '', 'base64url')
    data.writeUInt8(data.readUInt8(32) & ~1, 32)
    const response = { ...credential.response, authenticatorData: data.toString('base64url') }
    const reply = await roster.post(`${path}/login/verify`, { credential: { ...credential, response } })
    expect([reply.status, reply.body.code]).toEqual([401, 'invalid_credentials'])
  })
})

describe('a passkey that the service does not know', () => {
  test('answers so once it was removed, and while it is there a wrong signature does not', async () => {
    const user = await roster.signUp()
    const key = await registerPasskey(roster, user)
    const old = key.sign((await roster.post(`${path}/login/options`)).body, true)
    const wrong = { ...old, response: { ...old.response, signature: 'AAAA' } }
    const refused = await roster.post(`${path}/login/verify`, { credential: wrong })
    expect(refused.body.code).toBe('invalid_credentials')
    const [{ id }] = (await roster.get(path, { token: user.token })).body.items
    await roster.delete(`${path}/${id}`, { token: user.token })
    const { status, body } = await signInWithPasskey(roster, key, true)
    expect([status, body.code]).toEqual([401, 'unknown_passkey'])
  })

  test('answers so too where it was never registered, or its user was erased: nothing tells these apart', async () => {
    const user = await roster.signUp()
    const [never, erased] = [softwareAuthenticator(), await registerPasskey(roster, user)]
    await roster.sql('delete from users where id = $1', [user.id])
    const replies = [
      await signInWithPasskey(roster, never, true),
      await signInWithPasskey(roster, erased, true),
    ]
    const plain = replies.map(({ status, body }) => ({ status, code: body.code, detail: body.detail }))
    expect(plain[0]).toMatchObject({ status: 401, code: 'unknown_passkey' })
    expect(plain[1]).toEqual(plain[0])
  })

  test('is not what that of somebody deleted or closed is', async () => {
    const user = await roster.signUp()
    const key = await registerPasskey(roster, user)
    await roster.delete('/api/v1/users/me', { token: user.token })
    expect((await signInWithPasskey(roster, key, true)).body.code).toBe('invalid_credentials')
  })
})

describe('what a browser sends beyond what is known now', () => {
  const news = {
    fromNextYear: { nested: [1, null, 'x'] },
    clientExtensionResults: { prf: { enabled: true } },
  }

  test('is left alone, in every place where passkeys are taken', async () => {
    const user = await roster.signUp()
    const { token } = user
    const key = softwareAuthenticator()
    const more = (credential: { response: object }) => ({
      ...credential,
      ...news,
      authenticatorAttachment: 'implanted',
      response: { ...credential.response, fromNextYear: true, publicKeyAlgorithm: -7 },
    })
    const begun = await roster.post(`${path}/register/options`, undefined, { token })
    const credential = more(key.register(begun.body))
    expect((await roster.post(`${path}/register/verify`, { credential }, { token })).status).toBe(201)

    const { body: options } = await roster.post(`${path}/login/options`)
    const alone = await roster.post(`${path}/login/verify`, { credential: more(key.sign(options, true)) })
    expect(alone.body).toHaveProperty('access_token')

    const { email, password } = user
    const { mfa_token } = (await roster.post('/api/v1/auth/login', { email, password })).body
    const second = await roster.post('/api/v1/auth/mfa/challenge', { mfa_token, method: 'passkey' })
    const proof = { method: 'passkey', credential: more(key.sign(second.body.options, true)) }
    expect((await roster.post('/api/v1/auth/mfa/verify', { mfa_token, ...proof })).status).toBe(200)

    const asked = await roster.post('/api/v1/auth/step-up/challenge', { method: 'passkey' }, { token })
    const again = { method: 'passkey', credential: more(key.sign(asked.body.options, true)) }
    expect((await roster.post('/api/v1/auth/step-up', again, { token })).status).toBe(200)
  })

  test('is refused beside the credential, where the members are the service’s own', async () => {
    const { body: options } = await roster.post(`${path}/login/options`)
    const credential = softwareAuthenticator().sign(options, true)
    const reply = await roster.post(`${path}/login/verify`, { credential, fromNextYear: 1 })
    expect([reply.status, reply.body.code]).toEqual([400, 'validation_failed'])
  })
})
