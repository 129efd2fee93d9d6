import { expect, test } from 'vitest'
import { answerJson, startApiServer, startSmtpServer, startTcpServer } from '../../testing/mail-servers.ts'
import { DeliveryError, type MailProvider, type SmsProvider } from './provider.ts'
import { createResendProvider } from './resend.ts'
import { createSmtpProvider } from './smtp.ts'
import { createTwilioProvider } from './twilio.ts'

const from = { name: 'Example, "Inc"\r\nBcc: x@evil.example', address: 'accounts@example.com' }
const mail = {
  id: '019c1a2b-3c4d-7e5f-8a6b-9c0d1e2f3a4b',
  to: 'ada@example.com',
  subject: 'Grüße <b>&',
  html: '<p>Hello</p>',
  text: 'Hello\n.\nEnd',
}
const sms = { id: mail.id, to: '+12025550123', text: '482913 is your code & more' }

const smtp = (url: string, timeout = 2000) => createSmtpProvider({ url, from, requireTls: false, timeout })
const resend = (baseUrl: string, timeout = 2000) =>
  createResendProvider({ apiKey: 're_key', from, baseUrl, timeout })
const twilio = (baseUrl: string, timeout = 2000) =>
  createTwilioProvider({
    accountSid: 'AC00',
    authToken: 'token',
    from: '+12025550100',
    statusUrl: 'https://accounts.example.com/twilio/sms/status',
    baseUrl,
    timeout,
  })

async function failure(sending: Promise<unknown>): Promise<{ fault: string; message: string }> {
  const error = await sending.then(
    () => undefined,
    reason => reason,
  )
  if (!(error instanceof DeliveryError)) throw new Error(`expected a DeliveryError, got ${error}`)
  return { fault: error.fault, message: error.message }
}

test('SMTP hands over one mail to one recipient, in two parts, with nobody else in its headers', async () => {
  const server = await startSmtpServer()
  await smtp(server.url).send(mail)

  expect(server.received).toHaveLength(1)
  const [{ from: sender, to, raw } = { from: '', to: [], raw: '' }] = server.received
  expect({ sender, to }).toEqual({ sender: 'accounts@example.com', to: ['ada@example.com'] })
  const headers = raw.slice(0, raw.indexOf('\r\n\r\n'))
  expect(headers).toMatch(/^To: ada@example\.com\r$/m)
  expect(headers).toMatch(/^Message-ID: <019c1a2b-3c4d-7e5f-8a6b-9c0d1e2f3a4b@example\.com>\r$/m)
  expect(headers).toMatch(/^Auto-Submitted: auto-generated\r$/m)
  expect(headers).not.toMatch(/^Bcc:/m)
  expect(headers).toMatch(/^From: "Example, Inc Bcc: x@evil\.example"|^From: "Example, \\"Inc\\" Bcc/m)
  expect(raw).toContain('text/plain')
  expect(raw).toContain('text/html')
})

test('a login over SMTP works, and a wrong one leaves the message for later', async () => {
  const server = await startSmtpServer({ login: { user: 'us er', password: 'p@ss/word' } })
  const good = server.url.replace('//', '//us%20er:p%40ss%2Fword@')
  await smtp(good).send(mail)
  expect(server.received).toHaveLength(1)
  expect(await failure(smtp(server.url.replace('//', '//us%20er:no@')).send(mail))).toMatchObject({
    fault: 'busy',
  })
})

test('where TLS is demanded, nothing is said to a server without it', async () => {
  const server = await startSmtpServer({ login: { user: 'u', password: 'secret-password' } })
  const provider = createSmtpProvider({
    url: server.url.replace('//', '//u:secret-password@'),
    from,
    requireTls: true,
    timeout: 1000,
  })
  const { fault, message } = await failure(provider.send(mail))
  expect(fault).toBe('busy')
  expect(message).not.toContain('secret-password')
  expect(server.received).toEqual([])
})

test('an SMTP server that refuses a recipient for good ends the message, one that asks for patience does not', async () => {
  const server = await startSmtpServer({
    refuse: address =>
      address === mail.to
        ? { responseCode: 550, message: 'no such user ada@example.com' }
        : { responseCode: 451, message: 'try later' },
  })
  expect(await failure(smtp(server.url).send(mail))).toMatchObject({ fault: 'message' })
  expect(await failure(smtp(server.url).send({ ...mail, to: 'bob@example.com' }))).toMatchObject({
    fault: 'unknown',
  })
})

test('Resend gets the request that its documentation describes, and its id comes back', async () => {
  const server = await startApiServer((_request, response) => answerJson(response, 200, { id: 're-1' }))
  expect(await resend(server.url).send(mail)).toEqual({ providerId: 're-1' })

  const [{ method, path, headers, body } = { method: '', path: '', headers: {}, body: '{}' }] =
    server.requests
  expect({ method, path }).toEqual({ method: 'POST', path: '/emails' })
  expect(headers).toMatchObject({
    authorization: 'Bearer re_key',
    'content-type': 'application/json',
    'idempotency-key': mail.id,
  })
  expect(JSON.parse(body)).toEqual({
    from: '"Example, Inc Bcc: x@evil.example" <accounts@example.com>',
    to: ['ada@example.com'],
    subject: mail.subject,
    html: mail.html,
    text: mail.text,
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
  })
})

test.each([
  [422, { name: 'validation_error', message: 'Invalid `to` field.' }, 'message'],
  [401, { name: 'missing_api_key', message: 'Missing API key' }, 'busy'],
  [403, { name: 'validation_error', message: 'The domain is not verified.' }, 'busy'],
  [409, { name: 'concurrent_idempotent_requests', message: 'In progress' }, 'unknown'],
  [429, { name: 'rate_limit_exceeded', message: 'Too many requests' }, 'busy'],
  [500, { name: 'application_error', message: 'An unexpected error' }, 'busy'],
])('an answer of Resend with status %i is taken for what it is', async (status, body, fault) => {
  const server = await startApiServer((_request, response) => answerJson(response, status, body))
  expect(await failure(resend(server.url).send(mail))).toMatchObject({ fault })
})

test('Twilio gets the request that its documentation describes, and its id comes back', async () => {
  const server = await startApiServer((_request, response) => answerJson(response, 201, { sid: 'SM1' }))
  expect(await twilio(server.url).send(sms)).toEqual({ providerId: 'SM1' })

  const [{ method, path, headers, body } = { method: '', path: '', headers: {}, body: '' }] = server.requests
  expect({ method, path }).toEqual({ method: 'POST', path: '/2010-04-01/Accounts/AC00/Messages.json' })
  expect(headers.authorization).toBe(`Basic ${btoa('AC00:token')}`)
  expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
    To: sms.to,
    From: '+12025550100',
    Body: sms.text,
    StatusCallback: `https://accounts.example.com/twilio/sms/status?message_id=${sms.id}`,
  })
})

test.each([
  [400, { code: 21211, message: "The 'To' number is not a valid phone number." }, 'message'],
  [400, { code: 21610, message: 'Attempt to send to unsubscribed recipient' }, 'opted_out'],
  [401, { code: 20003, message: 'Authenticate' }, 'busy'],
  [429, { code: 20429, message: 'Too Many Requests' }, 'busy'],
  [400, { code: 99999, message: 'Something new' }, 'unknown'],
])('an answer of Twilio with status %i and %o is taken for what it is', async (status, body, fault) => {
  const server = await startApiServer((_request, response) => answerJson(response, status, body))
  expect(await failure(twilio(server.url).send(sms))).toMatchObject({ fault })
})

const providers: [
  string,
  (port: number) => Pick<MailProvider | SmsProvider, 'name'> & { go(): Promise<unknown> },
][] = [
  ['SMTP', port => of(smtp(`smtp://127.0.0.1:${port}`, 400), mail)],
  ['Resend', port => of(resend(`http://127.0.0.1:${port}`, 400), mail)],
  ['Twilio', port => of(twilio(`http://127.0.0.1:${port}`, 400), sms)],
]

function of<Message>(
  provider: { name: 'smtp' | 'resend' | 'twilio'; send(m: Message): Promise<unknown> },
  message: Message,
) {
  return { name: provider.name, go: () => provider.send(message) }
}

test.each(providers)('%s that hangs is given up in time', async (_name, connect) => {
  const { port } = await startTcpServer(() => undefined)
  const start = performance.now()
  expect(await failure(connect(port).go())).toMatchObject({ fault: 'busy' })
  expect(performance.now() - start).toBeLessThan(2000)
})

test.each(providers)('%s that dribbles its answer is given up in time', async (_name, connect) => {
  const { port } = await startTcpServer(socket => {
    const timer = setInterval(() => socket.write(socket.bytesRead > 0 ? 'H' : '220-x\r\n'), 50)
    socket.on('close', () => clearInterval(timer))
  })
  const start = performance.now()
  const { fault } = await failure(connect(port).go())
  expect(fault).not.toBe('message')
  expect(performance.now() - start).toBeLessThan(2000)
})

test.each(providers)('%s that is not there leaves the message for later', async (_name, connect) => {
  expect(await failure(connect(1).go())).toMatchObject({ fault: 'busy' })
})

test.each(providers)('%s that answers garbage leaves the message for later', async (_name, connect) => {
  const { port } = await startTcpServer(socket => socket.end(Buffer.alloc(4096, '\x00\xffgarbage')))
  expect((await failure(connect(port).go())).fault).not.toBe('message')
})

test.each([
  ['no JSON', '<html>ok</html>'],
  ['an array', '[]'],
  ['an endless text', 'x'.repeat(300_000)],
])('an HTTP success with %s proves nothing, so the message is tried again', async (_what, text) => {
  const server = await startApiServer((_request, response) => response.writeHead(200).end(text))
  expect(await failure(resend(server.url).send(mail))).toMatchObject({ fault: 'unknown' })
  expect(await failure(twilio(server.url).send(sms))).toMatchObject({ fault: 'unknown' })
})

test('no redirect is followed, so no key goes elsewhere', async () => {
  const thief = await startApiServer((_request, response) => answerJson(response, 200, { id: 'x' }))
  const server = await startApiServer((_request, response) =>
    response.writeHead(307, { location: `${thief.url}/emails` }).end(),
  )
  await failure(resend(server.url).send(mail))
  expect(thief.requests).toEqual([])
})
