import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ConfigError, loadConfig } from '../config.ts'

const cwd = mkdtempSync(join(tmpdir(), 'roster-config-'))
afterAll(() => rmSync(cwd, { recursive: true }))

const load = (env: Record<string, string>) => loadConfig(env, { cwd })

function refusedNames(env: Record<string, string>): string[] {
  try {
    load(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ name }) => name)
    throw error
  }
}

test.each([
  ['accounts@example.com', { name: undefined, address: 'accounts@example.com' }],
  ['Example <accounts@example.com>', { name: 'Example', address: 'accounts@example.com' }],
  ['"Example, Inc" <accounts@example.com>', { name: 'Example, Inc', address: 'accounts@example.com' }],
])('MAIL_FROM reads %s', (text, sender) => {
  expect(load({ MAIL_FROM: text }).mailFrom).toEqual(sender)
})

describe('what can be no sender, colour, logo or number is refused by name', () => {
  test.each([
    ['MAIL_FROM', 'Example'],
    ['MAIL_FROM', 'a@example.com, b@example.com'],
    ['MAIL_FROM', 'Example <a@example.com> <b@example.com>'],
    ['MAIL_FROM', 'Ex\r\nBcc: x <a@example.com>'],
    ['BRAND_COLOR', 'red'],
    ['BRAND_COLOR', '#2f6feb;background:url(x)'],
    ['BRAND_LOGO_URL', 'javascript:alert(1)'],
    ['BRAND_LOGO_URL', '/logo.png'],
    ['SMTP_URL', 'mail.example.com'],
    ['TWILIO_ACCOUNT_SID', 'AC123'],
    ['TWILIO_FROM', 'a sender name that is too long'],
    ['EMAIL_PROVIDER', 'sendmail'],
  ])('%s=%s', (name, value) => {
    expect(refusedNames({ [name]: value })).toEqual([name])
  })
})

test.each([
  [{ EMAIL_PROVIDER: 'resend' }, ['RESEND_API_KEY']],
  [{ EMAIL_PROVIDER: 'smtp' }, ['SMTP_URL']],
  [{ SMS_PROVIDER: 'twilio' }, ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN', 'TWILIO_FROM']],
])('a provider %o names everything it lacks', (env, names) => {
  expect(refusedNames(env)).toEqual(names)
})

test('the mailbox cannot be switched on in production', () => {
  const names = refusedNames({
    ENVIRONMENT: 'production',
    EMAIL_PROVIDER: 'mailbox',
    SMS_PROVIDER: 'mailbox',
  })
  expect(names).toEqual(expect.arrayContaining(['EMAIL_PROVIDER', 'SMS_PROVIDER', 'MAIL_FROM']))
})
