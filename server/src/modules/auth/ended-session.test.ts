import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { expect, test } from 'vitest'
import { type Reply, type SignedUp, useTestApp } from '../../testing/harness.ts'
import { lastSent } from '../../testing/outbox.ts'
import { enrolTotp } from '../../testing/second-factors.ts'
import { offerPasskey, softwareAuthenticator } from '../../testing/software-authenticator.ts'

const roster = await useTestApp()

/** Sends a request that waits for the user's row, ends its session meanwhile, and lets it go on. */
async function endWhile(user: SignedUp, act: () => Promise<Reply>): Promise<Reply> {
  const holder = new pg.Client(roster.databaseUrl)
  await holder.connect()
  try {
    await holder.query('begin')
    await holder.query('select from users where id = $1 for no key update', [user.id])
    let answered = false
    const reply = act().finally(() => {
      answered = true
    })
    while (!answered && !(await isSomebodyWaiting())) await sleep(5)
    await roster.services.sessions.end({ actorType: 'system' }, user.id, user.session, 'revoked')
    await holder.query('rollback')
    return await reply
  } finally {
    await holder.end()
  }
}

async function isSomebodyWaiting(): Promise<boolean> {
  const rows = await roster.sql(
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rows.length > 0
}

type Act = (user: SignedUp) => Promise<() => Promise<Reply>>

const post = (user: SignedUp, path: string, body?: unknown) =>
  roster.post(`/api/v1/auth/${path}`, body, { token: user.token })

const acts: Record<string, Act> = {
  'sets up an app': async user => () => post(user, 'mfa/totp/setup'),
  'confirms a factor': async user => {
    await post(user, 'mfa/email/setup')
    const { code } = await lastSent(roster, user.email, 'mfa_code')
    return () => post(user, 'mfa/email/confirm', { code })
  },
  'removes a factor': async user => {
    await enrolTotp(roster, user)
    return () => roster.delete('/api/v1/auth/mfa/totp', { token: user.token })
  },
  'makes recovery codes': async user => {
    await enrolTotp(roster, user)
    return () => post(user, 'mfa/recovery-codes')
  },
  'registers a passkey': async user => {
    const { body } = await post(user, 'passkeys/register/options')
    const credential = softwareAuthenticator().register(body)
    return () => post(user, 'passkeys/register/verify', { credential })
  },
  'renames a passkey': async user => {
    const { body } = await offerPasskey(roster, user, softwareAuthenticator())
    return () => roster.patch(`/api/v1/auth/passkeys/${body.id}`, { name: 'Stolen' }, { token: user.token })
  },
  'removes a passkey': async user => {
    const { body } = await offerPasskey(roster, user, softwareAuthenticator())
    return () => roster.delete(`/api/v1/auth/passkeys/${body.id}`, { token: user.token })
  },
  'changes the password': async user => () =>
    post(user, 'change-password', { current_password: user.password, new_password: 'AnotherPass123' }),
  'changes the password in the template dialect': async user => () =>
    roster.patch('/v1/api/users/', { password: 'AnotherPass123' }, { token: user.token }),
  'changes the e-mail address': async user => {
    const new_email = `new.${user.email}`
    await post(user, 'profile/email/initiate', { new_email })
    const { code } = await lastSent(roster, new_email, 'email_change_code')
    return () => post(user, 'profile/email/complete', { new_email, otp: code })
  },
  'changes the phone number': async user => {
    const phone_number = '+4312345678'
    await post(user, 'profile/phone/initiate', { phone_number })
    const { code } = await lastSent(roster, phone_number, 'phone_code')
    return () => post(user, 'profile/phone/complete', { phone_number, otp: code })
  },
  'deletes the account': async user => () => roster.delete('/api/v1/users/me', { token: user.token }),
}

/** Everything about a user that the acts above would change. */
const stateOf = ({ id }: SignedUp) =>
  roster.sql(
    `select u.*, c.password_version,
       array(select f.method || coalesce(f.confirmed_at::text, '') from second_factors f where f.user_id = u.id) as factors,
       array(select p.name from passkeys p where p.user_id = u.id) as passkeys,
       (select count(*) from recovery_codes r where r.user_id = u.id) as recovery_codes
     from users u join user_credentials c on c.user_id = u.id where u.id = $1`,
    [id],
  )

test.each(Object.keys(acts))('a session that ends before it %s changes nothing', async name => {
  const user = await roster.signUp()
  const act = await acts[name]?.(user)
  if (!act) throw new Error('no such act')
  const before = await stateOf(user)
  const { status } = await endWhile(user, act)
  expect(status).toBe(401)
  expect(await stateOf(user)).toEqual(before)
})
