import { generateSync } from 'otplib'
import type { SignedUp, TestApp } from './harness.ts'

/** An authenticator app, as another library would be one: gives the code of any moment. */
export type Authenticator = { secret: string; code(at: Date): string }

const authenticator = (secret: string): Authenticator => ({
  secret,
  code: at => generateSync({ secret, epoch: Math.floor(at.getTime() / 1000) }),
})

/** Enrols an authenticator app, and moves on to a step whose code was not used yet. */
export async function enrolTotp(roster: TestApp, user: Pick<SignedUp, 'token'>): Promise<Authenticator> {
  const { token } = user
  const setup = await roster.post('/api/v1/auth/mfa/totp/setup', undefined, { token })
  if (setup.status !== 200) throw new Error(`set-up failed: ${setup.text}`)
  const app = authenticator(setup.body.secret)
  const code = app.code(roster.clock.now())
  const { status, text } = await roster.post('/api/v1/auth/mfa/totp/confirm', { code }, { token })
  if (status !== 200) throw new Error(`confirmation failed: ${text}`)
  roster.clock.advance(30_000)
  return app
}

/** Makes recovery codes. */
export async function recoveryCodes(roster: TestApp, { token }: Pick<SignedUp, 'token'>): Promise<string[]> {
  const { body } = await roster.post('/api/v1/auth/mfa/recovery-codes', undefined, { token })
  return body.codes
}

/** The first half of a sign-in: an mfa_token. */
export async function beginSignIn(
  roster: TestApp,
  { email, password }: Pick<SignedUp, 'email' | 'password'>,
): Promise<string> {
  const { body } = await roster.post('/api/v1/auth/login', { email, password })
  if (!body.mfa_required) throw new Error(`no second factor is due: ${JSON.stringify(body)}`)
  return body.mfa_token
}
