import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { emailKey, readEmail } from '../../lib/text.ts'
import { startTestApp, useTestApp } from '../../testing/harness.ts'

const roster = await useTestApp()
const password = 'SecurePass123'

const register = (body: object, token?: string) =>
  roster.post('/api/v1/auth/register', { password, ...body }, token === undefined ? {} : { token })

const codes = (reply: Awaited<ReturnType<typeof register>>) =>
  reply.body.errors?.map(({ path, code }: { path: string; code: string }) => `${path} ${code}`)

describe('registration', () => {
  test('takes document 5’s example and answers with the user, without the password', async () => {
    const { status, body, text } = await register({
      email: 'User@Example.com',
      username: 'testuser',
      full_name: 'Test User',
      confirm_password: password,
    })
    expect(status).toBe(201)
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      username: 'testuser',
      email: 'User@Example.com',
      email_verified: false,
      email_verified_at: null,
      phone_number: null,
      phone_verified: false,
      full_name: 'Test User',
      first_name: null,
      last_name: null,
      role: 'user',
      roles: ['user'],
      is_active: true,
      is_premium: false,
      subscription: { tier: 'free', since: null, expires_at: null },
      current_title: null,
      location: null,
      avatar_url: null,
      locale: null,
      timezone: null,
      mfa_enabled: false,
      created_at: '2026-01-31T10:00:00.000Z',
      updated_at: null,
      updated_by: null,
      last_login_at: null,
      last_activity_at: null,
      password_changed_at: null,
      last_username_updated: null,
      deleted_at: null,
    })
    expect(text).not.toContain('argon2')
  })

  test('takes every optional field, and keeps each in its normal form', async () => {
    const { status, body } = await register({
      email: 'every.field@example.com',
      username: 'Every.Field_1-x',
      first_name: '  Zoe\u0308 ',
      last_name: 'von  der\tHeide',
      phone_number: '+43 (1) 234-5670',
    })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      username: 'Every.Field_1-x',
      first_name: 'Zoë',
      last_name: 'von der Heide',
      full_name: 'Zoë von der Heide',
      phone_number: '+4312345670',
    })
  })

  test('writes the record, the audit row and the event of one and the same act', async () => {
    const { body } = await roster.post(
      '/api/v1/auth/register',
      { email: 'traces@example.com', password },
      { headers: { 'user-agent': 'curl/8.5.0' } },
    )
    const [hash] = await roster.sql('select password_hash from user_credentials where user_id = $1', [
      body.id,
    ])
    expect(hash.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    const audit = await roster.sql(
      'select * from audit_log join audit_personal on audit_id = id where subject_id = $1',
      [body.id],
    )
    expect(audit).toEqual([
      expect.objectContaining({
        action: 'user.registered',
        outcome: 'success',
        actor_type: 'anonymous',
        request_id: expect.any(String),
        ip: '127.0.0.1',
        user_agent: 'curl/8.5.0',
      }),
    ])
    const events = await roster.sql('select type, data from events where user_id = $1', [body.id])
    expect(events).toEqual([
      {
        type: 'user.registered',
        data: {
          userId: body.id,
          email: 'traces@example.com',
          username: 'traces',
          fullName: null,
          isActive: true,
          emailVerified: false,
          createdAt: body.created_at,
        },
      },
    ])
  })

  test('a password that is confirmed wrongly is refused, one confirmed in another Unicode form is not', async () => {
    const wrong = await register({ email: 'confirm@example.com', confirm_password: 'SecurePass124' })
    expect([wrong.status, codes(wrong)]).toEqual([400, ['/confirm_password mismatch']])
    const right = await register({
      email: 'confirm@example.com',
      password: 'Sécure-Pass-1',
      confirm_password: 'Se\u0301cure-Pass-1',
    })
    expect(right.status).toBe(201)
  })

  test('closed: anonymous people and users are refused, administrators create users', async () => {
    const closed = await startTestApp({ config: { registration: 'closed' }, databaseUrl: roster.databaseUrl })
    const user = await roster.signUp()
    const admin = await closed.signUpAdmin()
    const body = { email: 'closed@example.com', password }
    for (const options of [{}, { token: user.token }]) {
      const refused = await closed.post('/api/v1/auth/register', body, options)
      expect([refused.status, refused.body.code]).toEqual([403, 'registration_closed'])
    }
    expect((await closed.post('/api/v1/auth/register', body, { token: admin.token })).status).toBe(201)
    await closed.stop()
  })
})

describe('a username', () => {
  test.each([
    ['ab', 'too short'],
    ['a'.repeat(31), 'too long'],
    ['anna@example.com', 'an e-mail address'],
    ['ｔｅｓｔｕｓｅｒ', 'full-width'],
    ['tеstuser', 'a Cyrillic look-alike'],
    ['test user', 'a space'],
    ['test\nuser', 'a line end'],
    ['...', 'points alone'],
    ['---', 'dashes alone'],
    ['.git', 'a point before it'],
    ['name_', 'a line after it'],
    ['test\u200buser', 'an invisible character'],
    ['', 'empty'],
  ])('%j is refused: %s', async username => {
    const reply = await register({ email: 'refused-name@example.com', username })
    expect([reply.status, codes(reply)]).toEqual([400, ['/username username']])
  })

  test('differs from others in more than case', async () => {
    await register({ email: 'mixed1@example.com', username: 'Mixed.Case' })
    const second = await register({ email: 'mixed2@example.com', username: 'mIXED.cASE' })
    expect([second.status, second.body.code]).toEqual([409, 'username_taken'])
  })

  test('is made from the address where it is left out, from whatever can stand in one', async () => {
    const names: [string, RegExp][] = [
      ['Maria.Huber+news@example.com', /^Maria\.Huber$/],
      ['ö@example.com', /^usero$/],
      ['жанна@example.com', /^user$/],
      [`${'x'.repeat(60)}@example.com`, /^x{24}$/],
    ]
    for (const [email, expected] of names) {
      const { status, body } = await register({ email })
      expect([email, status, body.username]).toEqual([email, 201, expect.stringMatching(expected)])
    }
  })

  test('50 people of one local part, at once, get 50 different names', async () => {
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, n) => register({ email: `anna@company${n}.example` })),
    )
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([201]))
    const names = replies.map(({ body }) => body.username)
    expect(new Set(names).size).toBe(50)
    for (const name of names) expect(name).toMatch(/^anna\d*$/)
  })
})

describe('an e-mail address', () => {
  test.each([
    'no-at.example.com',
    'two@@example.com',
    'a@b@example.com',
    '"quoted"@example.com',
    'line\r\nBcc: x@example.com',
    'line-end@example.com\nx',
    'nul-like\u0001@example.com',
    'zero\u200bwidth@example.com',
    'full＠width@example.com',
    'a@localhost',
    'a@[127.0.0.1]',
    'a@127.0.0.1',
    'a@-bad.example',
    'a@exa mple.com',
    '.dot@example.com',
    'dot..dot@example.com',
    'dot.@example.com',
    `${'l'.repeat(65)}@example.com`,
    `a@${'d'.repeat(250)}.com`,
    'a@b.example,c@d.example',
    '<a@b.example>',
    '',
  ])('%j is refused', async email => {
    const reply = await register({ email })
    expect([reply.status, reply.body.errors[0].path]).toEqual([400, '/email'])
  })

  test('is one and the same in any case, compatibility form and spelling of its domain', async () => {
    expect((await register({ email: 'Jürgen@Bücher.example' })).status).toBe(201)
    for (const email of [
      'jürgen@bücher.example',
      'JU\u0308RGEN@BÜCHER.EXAMPLE',
      'jürgen@xn--bcher-kva.example',
    ]) {
      const reply = await register({ email })
      expect([email, reply.status, reply.body.code]).toEqual([email, 409, 'email_taken'])
    }
  })

  test('that is accepted has no CR, LF, control character or second @, whatever was sent', () => {
    const nasty = fc.constantFrom(
      '@',
      '＠',
      '﹫',
      '\r',
      '\n',
      '\0',
      '\u2028',
      '"',
      ' ',
      '.',
      'ﷺ',
      '℀',
      'ß',
      '\u00ad',
      '%',
    )
    const part = fc.array(
      fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 3 }), fc.constantFrom('a', 'x1')),
    )
    const address = fc
      .tuple(part, part)
      .map(([local, domain]) => `${local.join('')}@${domain.join('')}.example`)
    fc.assert(
      fc.property(fc.oneof(address, fc.emailAddress(), fc.string({ unit: 'binary' })), email => {
        const key = emailKey(email)
        if (key === null) return
        for (const text of [key, readEmail(email) ?? key]) {
          expect(text).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u)
          expect(text.split('@')).toHaveLength(2)
          expect(text.length).toBeLessThanOrEqual(254)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('names and numbers', () => {
  test.each([
    [{ full_name: '' }, '/full_name name'],
    [{ full_name: 'x'.repeat(151) }, '/full_name name'],
    [{ full_name: 'Mallory\u202egnp.exe' }, '/full_name name'],
    [{ first_name: 'x'.repeat(76) }, '/first_name name'],
    [{ phone_number: '0664 1234567' }, '/phone_number phone_number'],
    [{ phone_number: '+0123456789' }, '/phone_number phone_number'],
    [{ phone_number: '+1234567890123456' }, '/phone_number phone_number'],
  ])('%j is refused by name', async (fields, fault) => {
    const reply = await register({ email: 'bad-field@example.com', ...fields })
    expect([reply.status, codes(reply)]).toEqual([400, [fault]])
  })

  test('are counted in code points, and may use the joiners of their script', async () => {
    const long = await register({ email: 'emoji@example.com', full_name: '𝒳'.repeat(150) })
    expect([long.status, long.body.full_name.length]).toEqual([201, 300])
    const persian = await register({ email: 'persian@example.com', full_name: 'علی\u200cرضا' })
    expect([persian.status, persian.body.full_name]).toEqual([201, 'علی\u200cرضا'])
  })

  test('first and last name that are too long together want a full name', async () => {
    const names = { first_name: 'a'.repeat(75), last_name: 'b'.repeat(75) }
    const reply = await register({ email: 'long-name@example.com', ...names })
    expect([reply.status, codes(reply)]).toEqual([400, ['/full_name name']])
    expect((await register({ email: 'long-name@example.com', full_name: 'A B', ...names })).status).toBe(201)
  })

  test('all faults are told at once', async () => {
    const reply = await register({ email: 'x', username: 'y', phone_number: 'z' })
    expect(codes(reply)).toEqual(['/username username', '/email email', '/phone_number phone_number'])
  })

  test.each([
    ['email', ['a@example.com']],
    ['email', { $ne: null }],
    ['email', 1],
    ['username', ['name']],
    ['full_name', null],
    ['password', ['SecurePass123']],
    ['is_active', 'true'],
    ['roles', 'admin'],
  ])('%s of a wrong type (%j) is refused, never converted', async (field, value) => {
    const reply = await register({ email: 'types@example.com', [field]: value })
    expect([reply.status, codes(reply)]).toEqual([400, [`/${field} wrong_type`]])
  })
})

describe('privileged fields at registration', () => {
  test.each([
    ['role', 'admin'],
    ['roles', ['user', 'auditor']],
    ['is_active', false],
    ['email_verified', true],
    ['id', '019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c'],
    ['is_premium', true],
    ['subscription', { tier: 'premium' }],
    ['created_at', '2000-01-01T00:00:00.000Z'],
    ['mfa_enabled', true],
  ])('%s is refused by name, to strangers and to users alike', async (field, value) => {
    const user = await roster.signUp()
    const before = await roster.sql('select count(*)::int as n from users')
    for (const token of [undefined, user.token]) {
      const reply = await register({ email: 'mallory@example.com', [field]: value }, token)
      expect([reply.status, reply.body.code, codes(reply)]).toEqual([
        403,
        'forbidden_field',
        [`/${field} forbidden_field`],
      ])
    }
    expect(await roster.sql('select count(*)::int as n from users')).toEqual(before)
  })

  test('are all named where several are sent', async () => {
    const reply = await register({
      email: 'mallory@example.com',
      role: 'admin',
      roles: ['admin'],
      is_active: false,
    })
    expect(codes(reply)).toEqual([
      '/role forbidden_field',
      '/roles forbidden_field',
      '/is_active forbidden_field',
    ])
  })

  test.each(['__proto__', 'constructor'])('%s is refused by name, and changes nobody’s rights', async key => {
    const reply = await roster.request('POST', '/api/v1/auth/register', {
      body: JSON.parse(`{"email":"proto@example.com","password":"${password}","${key}":{"role":"admin"}}`),
    })
    expect(reply.status).toBe(400)
    expect(reply.text).toContain(key)
  })

  test('that ask for no more than the default are taken', async () => {
    const defaults = { role: 'user', roles: ['user'], is_active: true, email_verified: false }
    const reply = await register({ email: 'defaults@example.com', ...defaults })
    expect([reply.status, reply.body.roles]).toEqual([201, ['user']])
  })

  test('are open to an administrator, with audit and event of the grant', async () => {
    const admin = await roster.signUpAdmin()
    const { status, body } = await register(
      {
        email: 'made@example.com',
        role: 'auditor',
        roles: ['support'],
        is_active: false,
        email_verified: true,
      },
      admin.token,
    )
    expect(status).toBe(201)
    expect(body).toMatchObject({
      roles: ['auditor', 'support', 'user'],
      is_active: false,
      email_verified: true,
      email_verified_at: body.created_at,
    })
    const grants = await roster.sql(
      `select actor_id, details from audit_log where action = 'role.granted' and subject_id = $1 order by id`,
      [body.id],
    )
    expect(grants).toEqual([
      { actor_id: admin.id, details: { role: 'support' } },
      { actor_id: admin.id, details: { role: 'auditor' } },
    ])
    const [event] = await roster.sql(
      `select data from events where type = 'user.roles_updated' and user_id = $1 order by id desc limit 1`,
      [body.id],
    )
    expect(event.data.roles).toEqual(['auditor', 'support', 'user'])
  })

  test('nobody grants a role that allows more than they may, or one that does not exist', async () => {
    await roster.sql(
      `insert into roles (name, description, permissions, is_system)
       values ('recruiter', 'Creates users', '{users:create,users:read,audit:read}', false)`,
    )
    const recruiter = await roster.signUp()
    await roster.sql(
      `insert into user_roles (user_id, role_name, granted_at) values ($1, 'recruiter', now())`,
      [recruiter.id],
    )
    const { token } = await roster.signIn(recruiter)
    const beyond = await register({ email: 'beyond@example.com', role: 'admin' }, token)
    expect([beyond.status, beyond.body.code]).toEqual([403, 'forbidden'])
    const support = await register({ email: 'beyond@example.com', roles: ['support'] }, token)
    expect([support.status, support.body.code]).toEqual([403, 'forbidden'])
    const unknown = await register({ email: 'beyond@example.com', role: 'emperor' }, token)
    expect([unknown.status, codes(unknown)]).toEqual([400, ['/role unknown_role']])
    const among = await register({ email: 'beyond@example.com', role: 'auditor', roles: ['emperor'] }, token)
    expect([among.status, codes(among)]).toEqual([400, ['/roles unknown_role']])
    expect((await register({ email: 'within@example.com', role: 'auditor' }, token)).status).toBe(201)
    expect(await roster.sql(`select id from users where email = 'beyond@example.com'`)).toEqual([])
  })
})

describe('registrations at the same moment', () => {
  test.each([
    ['address', (n: number) => ({ email: n % 2 ? 'Race@example.com' : 'race@EXAMPLE.com' }), 'email_taken'],
    [
      'username',
      (n: number) => ({ email: `race${n}@example.com`, username: n % 2 ? 'Racer' : 'rACER' }),
      'username_taken',
    ],
    [
      'phone number',
      (n: number) => ({ email: `call${n}@example.com`, phone_number: '+43555000111' }),
      'phone_taken',
    ],
  ])('30 of one %s: one succeeds, the others are told that it is taken', async (_what, body, code) => {
    const replies = await Promise.all(Array.from({ length: 30 }, (_, n) => register(body(n))))
    const outcomes = Map.groupBy(replies, reply => (reply.status === 201 ? 'created' : reply.body.code))
    expect(Object.fromEntries([...outcomes].map(([name, all]) => [name, all.length]))).toEqual({
      created: 1,
      [code]: 29,
    })
    const created = outcomes.get('created')?.[0]?.body.id
    const events = await roster.sql(
      `select user_id from events where type = 'user.registered' and user_id = $1`,
      [created],
    )
    expect(events).toHaveLength(1)
  })

  test('30 of one address and one name leave one user, one audit row and one event', async () => {
    const before = await counts()
    await Promise.all(
      Array.from({ length: 30 }, () => register({ email: 'twice@example.com', username: 'twice-taken' })),
    )
    const after = await counts()
    expect(after).toEqual(before.map((n: number) => n + 1))
  })
})

async function counts(): Promise<number[]> {
  const [row] = await roster.sql(`select
    (select count(*)::int from users) as users,
    (select count(*)::int from audit_log where action = 'user.registered') as audited,
    (select count(*)::int from events where type = 'user.registered') as published`)
  return Object.values(row)
}
