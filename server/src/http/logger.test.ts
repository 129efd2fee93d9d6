import { describe, expect, test } from 'vitest'
import { createTestLog } from '../testing/http-server.ts'

describe('the logger', () => {
  test.each([
    'authorization',
    'Authorization',
    'cookie',
    'set-cookie',
    'password',
    'newPassword',
    'current_password',
    'confirm_password',
    'refresh_token',
    'accessToken',
    'token',
    'code',
    'otp',
    'mfa_token',
    'secret',
    'METRICS_TOKEN',
  ])('never writes the value of %s, however deep, in lists, maps and bound fields', name => {
    const { log, text } = createTestLog()
    const secret = { [name]: 'canary' }
    log.info({ ...secret, a: { b: [{ c: secret }] }, map: new Map([['x', secret]]) }, 'line')
    log.child(secret).info({ headers: secret }, 'line')
    log.error({
      err: Object.assign(new Error('failed'), secret, { cause: Object.assign(new Error('x'), secret) }),
    })
    if (name !== 'code') expect(text()).not.toContain('canary')
    expect(text()).toContain('[redacted]')
  })

  test('keeps what helps of a database error, and leaves out what quotes the row', () => {
    const { log, lines, text } = createTestLog()
    const error = Object.assign(new Error('duplicate key value'), {
      code: '23505',
      constraint: 'users__email_unique',
      detail: 'Key (email)=(canary@example.org) already exists.',
      where: 'canary',
      parameters: ['canary'],
    })
    log.error({ err: error }, 'failed')
    log.error(error)
    for (const line of lines()) {
      expect(line.err).toMatchObject({ type: 'Error', code: '23505', constraint: 'users__email_unique' })
      expect(line.err).toHaveProperty('stack')
    }
    expect(text()).not.toContain('canary')
  })

  test('survives what objects can hold: cycles, buffers, depth, dates', () => {
    const { log, lines, text } = createTestLog()
    const cycle: Record<string, unknown> = { at: new Date(0), bytes: Buffer.alloc(5) }
    cycle.self = cycle
    log.info({ cycle }, 'line')
    expect(lines()).toMatchObject([
      { level: 'info', cycle: { at: '1970-01-01T00:00:00.000Z', bytes: '[5 bytes]' } },
    ])
    expect(text()).toContain('[deeper]')
  })
})
