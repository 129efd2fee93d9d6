import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createPasswordHasher, type PasswordHasher } from '../../hashing/pool.ts'
import { type SignedUp, type TestApp, useTestApp } from '../../testing/harness.ts'
import { beginSignIn, enrolTotp, recoveryCodes } from '../../testing/second-factors.ts'

const living = async (roster: TestApp, { id }: SignedUp): Promise<string[]> => {
  const rows = await roster.sql('select id from sessions where user_id = $1 and revoked_at is null', [id])
  return rows.map(row => row.id)
}

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** A hasher that keeps those who verify a password until `meanwhile` is over. */
function slowHasher(): PasswordHasher & {
  meanwhile: Promise<unknown> | undefined
  entered(): Promise<void>
} {
  const hasher = createPasswordHasher()
  let enter: () => void = () => undefined
  const slow = {
    ...hasher,
    meanwhile: undefined as Promise<unknown> | undefined,
    async verify(hash: string, password: string) {
      const verification = await hasher.verify(hash, password)
      enter()
      await slow.meanwhile
      return verification
    },
    entered: () => new Promise<void>(resolve => (enter = resolve)),
  }
  return slow
}

describe('a session that ends while its password is checked', async () => {
  const hasher = slowHasher()
  const roster = await useTestApp({ hasher })

  /** Steps up, and lets `act` happen after the guard and the hash, before anything is written. */
  async function stepUpWhile(user: Pick<SignedUp, 'token' | 'password'>, act: () => Promise<unknown>) {
    const { promise, resolve } = Promise.withResolvers<void>()
    const entered = hasher.entered()
    hasher.meanwhile = promise
    const reply = roster.post('/api/v1/auth/step-up', { password: user.password }, { token: user.token })
    await entered
    hasher.meanwhile = undefined
    await act()
    resolve()
    return reply
  }

  test('is followed by none, where another one enrolled a factor', async () => {
    const one = await roster.signUp()
    const other = await roster.signIn(one)
    const reply = await stepUpWhile(other, () => enrolTotp(roster, one))
    expect([reply.status, reply.body.code]).toEqual([401, 'invalid_token'])
    expect(await living(roster, one)).toEqual([one.session])
  })

  test('is followed by none, where every session but another was ended', async () => {
    const one = await roster.signUp()
    const other = await roster.signIn(one)
    const reply = await stepUpWhile(other, () =>
      roster.post('/api/v1/auth/logout-all?keep_current=true', undefined, { token: one.token }),
    )
    expect([reply.status, reply.body.code]).toEqual([401, 'invalid_token'])
    expect(await living(roster, one)).toEqual([one.session])
  })

  test('counts no failure, however wrong the password', async () => {
    const user = await roster.signUp()
    for (let n = 0; n < 6; n++) {
      const other = await roster.signIn(user)
      const { status } = await stepUpWhile({ ...other, password: 'WrongPass123' }, () =>
        roster.post('/api/v1/auth/logout', undefined, { token: other.token }),
      )
      expect(status).toBe(401)
    }
    const { body } = await roster.post('/api/v1/auth/step-up', { password: user.password }, user)
    expect(body).toHaveProperty('access_token')
  })

  test('keeps the second factor that it proved itself in that time', async () => {
    const user = await roster.signUp()
    const { status, body } = await stepUpWhile(user, () => enrolTotp(roster, user))
    expect(status).toBe(200)
    expect(claimsOf(body.access_token)).toMatchObject({ aal: 'aal2', amr: ['pwd', 'mfa'] })
    expect((await recoveryCodes(roster, { token: body.access_token })).length).toBe(10)
  })
})

describe('steps at the same moment', async () => {
  const hasher = slowHasher()
  const roster = await useTestApp({ hasher })

  test('lead from one session to one other', async () => {
    const user = await roster.signUp()
    const app = await enrolTotp(roster, user)
    const [recoveryCode] = await recoveryCodes(roster, user)
    const proofs = [
      { password: user.password },
      { password: user.password },
      { method: 'totp', code: app.code(roster.clock.now()) },
      { method: 'recovery_code', code: recoveryCode },
    ]
    const replies = await Promise.all(
      proofs.map(proof => roster.post('/api/v1/auth/step-up', proof, { token: user.token })),
    )
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401])
    const stepped = replies.find(({ status }) => status === 200)
    expect(await living(roster, user)).toEqual([stepped?.body.session_id])
  })

  test('as the end of all other sessions leave none behind', async () => {
    for (let n = 0; n < 12; n++) {
      const user = await roster.signUp()
      const other = await roster.signIn(user)
      const checked = Promise.withResolvers<void>()
      const entered = hasher.entered()
      hasher.meanwhile = checked.promise
      const stepUp = roster.post('/api/v1/auth/step-up', { password: user.password }, { token: other.token })
      await entered
      hasher.meanwhile = undefined
      checked.resolve()
      await sleep(n / 2)
      const url = '/api/v1/auth/logout-all?keep_current=true'
      await Promise.all([roster.post(url, undefined, { token: user.token }), stepUp])
      expect(await living(roster, user)).toEqual([user.session])
    }
  })
})

describe('a proof', async () => {
  const roster = await useTestApp()
  const user = await roster.signUp()
  const app = await enrolTotp(roster, user)
  const stepUp = (body: object) => roster.post('/api/v1/auth/step-up', body, { token: user.token })
  const { password } = user
  const credential = {
    id: 'AA',
    rawId: 'AA',
    type: 'public-key',
    response: { clientDataJSON: 'AA', authenticatorData: 'AA', signature: 'AA' },
  }

  test.each([
    [{ method: 'totp' }, ['/code']],
    [{ method: 'recovery_code' }, ['/code']],
    [{ method: 'passkey' }, ['/credential']],
    [{ method: 'password' }, ['/password']],
    [{ method: 'passkey', code: '123456' }, ['/credential', '/code']],
    [{ method: 'totp', code: '123456', credential }, ['/credential']],
    [{ password, method: 'totp', code: '123456' }, ['/password']],
    [{ password, code: '123456' }, ['/code']],
    [{ code: '123456' }, ['']],
    [{}, ['']],
  ])('of %j is refused by name, and not counted', async (body, paths) => {
    for (let n = 0; n < 6; n++) {
      const reply = await stepUp(body)
      expect([reply.status, reply.body.code]).toEqual([400, 'validation_failed'])
      expect(reply.body.errors.map((error: { path: string }) => error.path)).toEqual(paths)
    }
    if (!('method' in body)) return
    const mfa_token = await beginSignIn(roster, user)
    const reply = await roster.post('/api/v1/auth/mfa/verify', { mfa_token, ...body })
    expect([reply.status, reply.body.errors]).toMatchObject([400, paths.map(path => ({ path }))])
  })

  test('that is right still works after all of these', async () => {
    const code = app.code(roster.clock.now())
    expect((await stepUp({ method: 'totp', code })).status).toBe(200)
  })
})
