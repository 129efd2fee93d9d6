import { describe, expect, test } from 'vitest'
import { type TestApp, useTestApp } from '../testing/harness.ts'
import { lastSent, sentTo } from '../testing/outbox.ts'
import { createVisitor } from '../testing/page-visitor.ts'

const password = 'Analytical1843'
let people = 0
const newPerson = () => ({ email: `walker${++people}@example.com`, password })

const signUp = (visitor: ReturnType<typeof createVisitor>, person: Record<string, string>) =>
  visitor.post('/sign-up', person)

describe('signing up', async () => {
  const roster = await useTestApp()

  test('signs in at once, and the code of the mail confirms the address', async () => {
    const visitor = createVisitor(roster)
    const { email } = { ...newPerson() }
    const done = await signUp(visitor, {
      email,
      password,
      full_name: 'Ada Lovelace',
      next: '/account?from=1',
    })
    expect(done.location).toBe(`/check-mail?email=${encodeURIComponent(email)}&next=%2Faccount%3Ffrom%3D1`)
    expect((await visitor.get('/account')).text).toContain('Ada Lovelace')
    const { code } = await lastSent(roster, email, 'verify_email')
    const wrong = await visitor.post('/check-mail', { email, code: code === '000000' ? '000001' : '000000' })
    expect([wrong.status, wrong.text.includes('That code is not right')]).toEqual([400, true])
    expect((await visitor.post('/check-mail', { email, code: ' ' })).status).toBe(400)
    const confirmed = await visitor.post('/check-mail', { email, code: ` ${code} `, next: '/account?from=1' })
    expect(confirmed.location).toBe('/address-confirmed?next=%2Faccount%3Ffrom%3D1')
    expect((await visitor.get(confirmed.location)).text).toContain('href="/account?from=1"')
    const [user] = await roster.sql('select email_verified_at from users where email = $1', [email])
    expect(user.email_verified_at).not.toBeNull()
  })

  test('keeps what was typed and says at each field what is wrong, in the reader’s language', async () => {
    const visitor = createVisitor(roster)
    const taken = newPerson()
    await signUp(createVisitor(roster), taken)
    const empty = await signUp(visitor, { full_name: 'Ada' })
    expect([empty.status, empty.text.match(/Fill this in\./g)?.length]).toEqual([400, 2])
    expect(empty.text).toContain('value="Ada"')
    const again = await signUp(visitor, taken)
    expect([again.status, again.text.includes('has an account already')]).toEqual([409, true])
    expect(again.text).not.toContain(password)
    await visitor.get('/sign-up?ui_locales=de')
    const german = await signUp(visitor, { email: 'kein-at', password: 'kurz' })
    expect(german.text).toContain('Gib eine E-Mail-Adresse ein')
    await signUp(visitor, { ...newPerson(), password: 'kurz' }).then(({ text }) =>
      expect(text).toContain('Nimm mindestens 8 Zeichen.'),
    )
  })

  test('a double click makes one account and one session', async () => {
    const visitor = createVisitor(roster)
    const form = { form: 'sixteen_letters_', ...newPerson() }
    const both = await Promise.all([signUp(visitor, form), signUp(visitor, form)])
    expect(both.map(({ status }) => status)).toEqual([303, 303])
    const sessions = await roster.sql(
      'select count(*)::int as n from sessions join users on users.id = user_id where email = $1',
      [form.email],
    )
    expect(sessions).toEqual([{ n: 1 }])
  })

  test('leaves the account with whoever made it, however they wrote their address, also by a later mail', async () => {
    const visitor = createVisitor(roster)
    const { email } = newPerson()
    const kept = email.replace('example.com', 'EXAMPLE.com')
    await signUp(visitor, { email: `  ${kept} `, password })
    const typed = email.toUpperCase()
    await visitor.post('/check-mail', { email: typed, again: '1' })
    await roster.runJobs()
    const { code = '' } = await lastSent(roster, kept, 'verify_email')
    expect((await visitor.post('/check-mail', { email: typed, code })).location).toBe('/address-confirmed')
    expect((await visitor.get('/account')).status).toBe(200)
    const login = await roster.post('/api/v1/auth/login', { email, password })
    expect([login.status, login.body.user.email_verified]).toEqual([200, true])
  })

  test('asks for another mail', async () => {
    const visitor = createVisitor(roster)
    const { email } = newPerson()
    await signUp(visitor, { email, password })
    const sent = await visitor.post('/check-mail', { email, again: '1' })
    expect((await visitor.get(sent.location)).text).toContain('A new mail is on its way.')
    await roster.runJobs()
    expect(await sentTo(roster, email)).toHaveLength(2)
  })
})

test('where registration is closed nobody is asked to fill anything in', async () => {
  const roster = await useTestApp({ config: { registration: 'closed' } })
  const visitor = createVisitor(roster)
  const page = await visitor.get('/sign-up')
  expect([page.status, page.text.includes('<form')]).toEqual([403, false])
  expect((await signUp(visitor, newPerson())).status).toBe(403)
  expect((await visitor.get('/sign-in')).text).not.toContain('/sign-up')
})

test.each([
  ['registration is private', { registrationPrivacy: true }],
  ['addresses must be confirmed', { requireVerifiedEmail: true }],
] as const)('where %s, signing up signs nobody in', async (_what, config) => {
  const roster = await useTestApp({ config })
  const visitor = createVisitor(roster)
  const person = newPerson()
  expect((await signUp(visitor, person)).location).toMatch(/^\/check-mail\?email=/)
  expect((await visitor.get('/account')).status).toBe(303)
  if ('requireVerifiedEmail' in config) expect(await refusedUnverified(roster, person.email)).toBe(true)
})

async function refusedUnverified(roster: TestApp, email: string): Promise<boolean> {
  const visitor = createVisitor(roster)
  const flow = await visitor.begin(email)
  const reply = await visitor.post('/sign-in/password', { flow, password })
  return reply.status === 403 && reply.text.includes('Confirm your e-mail address first')
}

test('a forgotten password gets the same words for every address, and a mail where there is an account', async () => {
  const roster = await useTestApp()
  const user = await roster.signUp()
  const visitor = createVisitor(roster)
  expect((await visitor.post('/forgot-password', { email: ' ' })).status).toBe(400)
  const pages = await Promise.all(
    [user.email, 'nobody@example.com'].map(async email => {
      const { location } = await visitor.post('/forgot-password', { email })
      return (await visitor.get(location)).text.replaceAll(email, 'ADDRESS')
    }),
  )
  expect(pages[0]).toBe(pages[1])
  await roster.runJobs()
  await lastSent(roster, user.email, 'password_reset')
})
