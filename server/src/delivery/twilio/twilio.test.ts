import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../http/metrics.ts'
import { useTestApp } from '../../testing/harness.ts'
import { answerJson, startApiServer } from '../../testing/mail-servers.ts'
import { createDelivery } from '../index.ts'
import { createTwilioProvider } from '../providers/twilio.ts'

const publicUrl = 'https://accounts.example.com/base'
const authToken = 'a-token-for-tests'
const accountSid = `AC${'0'.repeat(32)}`
const from = '+12025550100'
const roster = await useTestApp({
  config: {
    publicUrl,
    smsProvider: 'twilio',
    twilioAccountSid: accountSid,
    twilioAuthToken: authToken,
    twilioFrom: from,
  },
})

/** X-Twilio-Signature as Twilio's security page describes it: the address, then each field's name and value. */
function signatureOf(url: string, form: Record<string, string>, token = authToken): string {
  const text = Object.keys(form)
    .sort()
    .reduce((sum, key) => sum + key + form[key], url)
  return createHmac('sha1', token).update(text).digest('base64')
}

async function call(path: string, form: Record<string, string>, headers: Record<string, string> = {}) {
  const {
    statusCode,
    headers: replyHeaders,
    body,
  } = await roster.app.inject({
    method: 'POST',
    url: path,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': signatureOf(publicUrl + path, form),
      ...headers,
    },
    payload: new URLSearchParams(form).toString(),
  })
  return { status: statusCode, type: String(replyHeaders['content-type']), text: body }
}

const incoming = (From: string, Body: string, more: Record<string, string> = {}) =>
  call('/twilio/sms/inbound', { MessageSid: 'SM1', AccountSid: accountSid, From, To: from, Body, ...more })

/** Twilio on loopback, and a sender that uses it. */
async function withTwilio(answer: { status: number; body: unknown }) {
  const api = await startApiServer((_request, response) => answerJson(response, answer.status, answer.body))
  const provider = createTwilioProvider({
    accountSid,
    authToken,
    from,
    statusUrl: `${publicUrl}/twilio/sms/status`,
    baseUrl: api.url,
  })
  const delivery = createDelivery(
    { ...roster.resources, metrics: createMetrics(), wantsMail: async () => true },
    { email: undefined, sms: provider },
  )
  const send = async (to: string): Promise<string> => {
    const id = await roster.resources.store.transact(trx =>
      delivery.outbound.sms(trx, { template: 'phone_code', to, data: { code: '482913' } }),
    )
    await delivery.sender.send(id)
    return id
  }
  return { send, requests: api.requests }
}

const row = async (id: string) => (await roster.sql('select * from messages where id = $1', [id]))[0]

describe('Twilio’s signature', () => {
  const form = { From: '+12025550199', Body: 'STOP', MessageSid: 'SM1' }
  test.each([
    ['none', { 'x-twilio-signature': '' }],
    ['another token’s', { 'x-twilio-signature': signatureOf(`${publicUrl}/twilio/sms/inbound`, form, 'x') }],
    [
      'one for another address',
      { 'x-twilio-signature': signatureOf('https://evil.example/twilio/sms/inbound', form) },
    ],
    [
      'one for the host that the request names',
      {
        host: 'evil.example',
        'x-forwarded-host': 'evil.example',
        'x-twilio-signature': signatureOf('https://evil.example/twilio/sms/inbound', form),
      },
    ],
    [
      'one for other fields',
      { 'x-twilio-signature': signatureOf(`${publicUrl}/twilio/sms/inbound`, { ...form, Body: 'Y' }) },
    ],
  ])('%s is refused, and nothing happens', async (_which, headers) => {
    const { status, text } = await call('/twilio/sms/inbound', form, headers)
    expect(status).toBe(403)
    expect(JSON.parse(text).code).toBe('invalid_signature')
    expect(await roster.sql('select 1 from sms_opt_outs')).toEqual([])
  })

  test('Twilio’s own is taken, whatever host the proxy says', async () => {
    expect(
      await call('/twilio/sms/inbound', { ...form, Body: 'Hello' }, { host: 'internal:8000' }),
    ).toMatchObject({
      status: 200,
    })
  })

  test('other bodies than a form’s, and forms with a field twice, are refused', async () => {
    const post = (type: string, payload: string) =>
      roster.app.inject({
        method: 'POST',
        url: '/twilio/sms/inbound',
        headers: { 'content-type': type },
        payload,
      })
    expect((await post('text/plain', 'From=%2B12025550199&Body=STOP')).statusCode).toBe(415)
    expect((await post('application/x-www-form-urlencoded', 'From=a&From=b&Body=STOP')).statusCode).toBe(400)
    expect((await post('application/x-www-form-urlencoded', '__proto__=a&From=b&Body=x')).statusCode).toBe(
      400,
    )
    expect((await post('application/x-www-form-urlencoded', `From=${'x'.repeat(20_000)}`)).statusCode).toBe(
      413,
    )
  })

  test('forms are taken nowhere else', async () => {
    const reply = await roster.app.inject({
      method: 'POST',
      url: '/api/v1/auth/login',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: 'email=a@example.com&password=x',
    })
    expect(reply.statusCode).toBe(415)
  })
})

describe('STOP, START and HELP', () => {
  test('after STOP nothing is sent to that number, also not through the API, until START', async () => {
    const number = '+12025550111'
    const { send, requests } = await withTwilio({ status: 201, body: { sid: 'SM1' } })
    const { token } = await roster.signUpAdmin()
    const sendByApi = () => roster.post('/api/v1/twilio/sms/send', { to: number, text: 'Hi' }, { token })

    expect((await incoming(number, ' stop ')).text).toContain('<Response></Response>')
    const suppressed = await send(number)
    expect(requests).toEqual([])
    expect(await row(suppressed)).toMatchObject({ state: 'suppressed', content: null })
    expect(await sendByApi()).toMatchObject({ status: 409, body: { code: 'sms_opted_out' } })
    expect(JSON.stringify(await roster.sql('select o::text from sms_opt_outs o'))).not.toContain('2025550111')

    expect((await incoming(number, 'START')).text).toMatch(/<Message>Roster: you will get/)
    await send(number)
    expect(requests).toHaveLength(1)
    expect(await sendByApi()).toMatchObject({ status: 202 })
  })

  test('HELP is answered, as XML that a brand name can’t break', async () => {
    const { status, type, text } = await incoming('+12025550112', 'Help')
    expect({ status, type }).toEqual({ status: 200, type: 'text/xml; charset=utf-8' })
    expect(text).toContain('Reply STOP to end them.')
  })

  test('where Twilio has answered itself, we are silent and still obey', async () => {
    const { text } = await incoming('+12025550113', 'Arrêt', { OptOutType: 'STOP' })
    expect(text).toContain('<Response></Response>')
    const { send } = await withTwilio({ status: 201, body: { sid: 'SM1' } })
    expect(await row(await send('+12025550113'))).toMatchObject({ state: 'suppressed' })
  })

  test.each(['please stop by', 'STOPPING', '', 'HELP me'])('%j is no keyword', async body => {
    expect((await incoming('+12025550114', body)).text).toContain('<Response></Response>')
    const { send, requests } = await withTwilio({ status: 201, body: { sid: 'SM1' } })
    await send('+12025550114')
    expect(requests).toHaveLength(1)
  })

  test('a number that replied STOP to Twilio alone is remembered from its refusal', async () => {
    const { send, requests } = await withTwilio({
      status: 400,
      body: { code: 21610, message: 'unsubscribed' },
    })
    expect(await row(await send('+12025550115'))).toMatchObject({ state: 'suppressed' })
    await send('+12025550115')
    expect(requests).toHaveLength(1)
  })
})

describe('what Twilio reports later', () => {
  test('is noted with the message, and a late report does not undo a final one', async () => {
    const { send } = await withTwilio({ status: 201, body: { sid: 'SM9' } })
    const id = await send('+12025550120')
    expect(await row(id)).toMatchObject({ state: 'sent', provider: 'twilio', provider_id: 'SM9' })
    const report = (MessageStatus: string, more: Record<string, string> = {}) =>
      call(`/twilio/sms/status?message_id=${id}`, { MessageSid: 'SM9', MessageStatus, ...more })

    expect(await report('sent')).toMatchObject({ status: 204 })
    expect(await report('undelivered', { ErrorCode: '30003' })).toMatchObject({ status: 204 })
    expect(await report('sent')).toMatchObject({ status: 204 })
    expect(await row(id)).toMatchObject({ provider_status: 'undelivered', last_error: 'Twilio error 30003' })
  })

  test('without a signature is refused', async () => {
    const path = '/twilio/sms/status?message_id=019c1a2b-3c4d-7e5f-8a6b-9c0d1e2f3a4b'
    const form = { MessageSid: 'SM9', MessageStatus: 'delivered' }
    expect(await call(path, form, { 'x-twilio-signature': 'x' })).toMatchObject({ status: 403 })
  })
})

describe('POST /twilio/sms/send', () => {
  test('needs the permission', async () => {
    const { token } = await roster.signUp()
    const reply = await roster.post('/api/v1/twilio/sms/send', { to: from, text: 'Hi' }, { token })
    expect(reply).toMatchObject({ status: 403 })
  })

  test('queues the message and notes who sent it', async () => {
    const { token, id: adminId } = await roster.signUpAdmin()
    const reply = await roster.post(
      '/api/v1/twilio/sms/send',
      { to: '+1 202 555-0130', text: 'Two\nlines' },
      { token },
    )
    expect(reply.status).toBe(202)
    expect(await row(reply.body.id)).toMatchObject({
      state: 'queued',
      recipient: '+12025550130',
      template: 'custom',
    })
    expect(
      await roster.sql(`select actor_id, subject_id from audit_log where action = 'sms.sent'`),
    ).toContainEqual({
      actor_id: adminId,
      subject_id: reply.body.id,
    })
  })

  test.each([
    [{ to: 'nobody', text: 'Hi' }, '/to'],
    [{ to: '+12025550130', text: '' }, '/text'],
    [{ to: ['+12025550130'], text: 'Hi' }, '/to'],
    [{ to: '+12025550130', text: 'x'.repeat(1601) }, '/text'],
  ])('%j is refused, naming the field', async (body, path) => {
    const { token } = await roster.signUpAdmin()
    const reply = await roster.post('/api/v1/twilio/sms/send', body, { token })
    expect(reply).toMatchObject({ status: 400, body: { errors: [{ path }] } })
  })
})

test('without a provider a text message is refused, and Twilio has nothing to call', async () => {
  const { startTestApp } = await import('../../testing/harness.ts')
  const other = await startTestApp({ config: { smsProvider: 'none' } })
  try {
    const { token } = await other.signUpAdmin()
    expect(
      await other.post('/api/v1/twilio/sms/send', { to: '+12025550130', text: 'Hi' }, { token }),
    ).toMatchObject({ status: 501, body: { code: 'sms_unavailable' } })
    const reply = await other.app.inject({
      method: 'POST',
      url: '/twilio/sms/inbound',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: 'From=a&Body=STOP',
    })
    expect(reply.statusCode).toBe(404)
  } finally {
    await other.stop()
  }
})
