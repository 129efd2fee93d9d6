import { describe, expect, onTestFinished, test } from 'vitest'
import { createMetrics } from '../http/metrics.ts'
import { hours, minutes, seconds } from '../lib/clock.ts'
import { wantsMail } from '../modules/settings/index.ts'
import { startTestApp, useTestApp } from '../testing/harness.ts'
import { answerJson, startApiServer, startSmtpServer, startTcpServer } from '../testing/mail-servers.ts'
import { rowsRead, statementsOf } from '../testing/plans.ts'
import { createDelivery, type Delivery } from './index.ts'
import type { MailMessage } from './outbound.ts'
import { createResendProvider } from './providers/resend.ts'
import { createSmtpProvider } from './providers/smtp.ts'
import { deleteMessagesOf, readBacklog } from './repo.ts'

const from = { name: 'Roster', address: 'no-reply@roster.localhost' }
const link = 'http://localhost:8000/verify-email?token=CANARY-LINK-x7Qm'
const verify = (to: string, more: Partial<MailMessage<'verify_email'>> = {}): MailMessage => ({
  template: 'verify_email',
  to,
  data: { name: 'Ada', code: '730519', link },
  ...more,
})

const roster = await useTestApp({ config: { emailProvider: 'smtp', smtpUrl: 'smtp://127.0.0.1:1' } })

/** The delivery of one process, with an SMTP server of the test's. */
function delivering(smtpUrl: string, timeout = 300) {
  const metrics = createMetrics()
  const provider = createSmtpProvider({ url: smtpUrl, from, requireTls: false, timeout })
  const delivery = createDelivery(
    { ...roster.resources, metrics, wantsMail },
    { email: provider, sms: undefined },
  )
  const metric = async (name: string) => {
    const line = (await metrics.registry.metrics()).split('\n').find(text => text.startsWith(`${name} `))
    return line === undefined ? 0 : Number(line.slice(name.length + 1))
  }
  return { ...delivery, metric }
}

async function queue({ outbound }: Pick<Delivery, 'outbound'>, message: MailMessage): Promise<string> {
  const id = await roster.resources.store.transact(trx => outbound.mail(trx, message))
  if (id === undefined) throw new Error('not wanted')
  return id
}

const row = async (id: string) => (await roster.sql('select * from messages where id = $1', [id]))[0]
const jobsOf = (id: string) =>
  roster.sql(
    `select j.payload, j.run_at from graphile_worker._private_jobs j where j.payload->>'message_id' = $1`,
    [id],
  )

describe('queueing', () => {
  test('a message is sealed in its row, and its job holds nothing but its id', async () => {
    const id = await queue(roster.services, verify('canary@example.com'))
    const stored = await row(id)
    expect(stored).toMatchObject({ state: 'queued', recipient: 'canary@example.com', attempts: 0 })
    const everything = JSON.stringify(
      await roster.sql('select m::text, encode(content, $1) from messages m', ['escape']),
    )
    expect(everything).not.toMatch(/730519|CANARY/)
    expect((await jobsOf(id)).map(({ payload }) => payload)).toEqual([{ message_id: id }])
    const jobs = JSON.stringify(await roster.sql('select j::text from graphile_worker._private_jobs j'))
    expect(jobs).not.toMatch(/730519|CANARY|canary@/)
  })

  test('a change that is rolled back sends nothing', async () => {
    let id = ''
    await expect(
      roster.resources.store.transact(async trx => {
        id = String(await roster.services.outbound.mail(trx, verify('nobody@example.com')))
        throw new Error('changed my mind')
      }),
    ).rejects.toThrow('changed my mind')
    expect(await row(id)).toBeUndefined()
    expect(await jobsOf(id)).toEqual([])
  })

  test('mail that a user has switched off is not sent, and notices about safety are', async () => {
    const user = await roster.signUp()
    const switchedOff = { 'notifications.account_changes': false }
    await roster.put('/api/v1/users/me/settings', switchedOff, { token: user.token })
    const about = { to: user.email, userId: user.id }
    const send = (message: MailMessage) =>
      roster.resources.store.transact(trx => roster.services.outbound.mail(trx, message))
    expect(
      await send({ ...about, template: 'username_changed', data: { new_username: 'new' } }),
    ).toBeUndefined()
    expect(
      await send({ ...about, template: 'password_changed', data: { at: roster.clock.now() } }),
    ).toBeDefined()
  })

  test.each([
    'ada@example.com\r\nBcc: eve@example.com',
    'ada@example.com, eve@example.com',
    'Ada <ada@example.com>',
    'ada@example.com\0',
    '"a b"@example.com',
    '',
  ])('no mail goes to what is not one plain address: %j', async to => {
    await expect(queue(roster.services, verify(to))).rejects.toThrow('not an address')
  })

  test('a link that leads anywhere else is refused', async () => {
    for (const elsewhere of [
      'http://evil.example/x',
      'http://localhost:8000.evil.example/',
      '//x',
      'javascript:x',
    ]) {
      await expect(
        queue(roster.services, verify('ada@example.com', { data: { code: '1', link: elsewhere } })),
      ).rejects.toThrow('PUBLIC_URL')
    }
  })
})

describe('sending', () => {
  test('a mail goes out through the job queue in the language of its user, and its content is dropped', async () => {
    const server = await startSmtpServer()
    const user = await roster.signUp({ full_name: 'Åda <b>{{ 7 }}' })
    await roster.put('/api/v1/users/me', { locale: 'de-AT' }, { token: user.token })
    const { outbound, sender, metric } = delivering(server.url)
    const id = await queue({ outbound }, verify(user.email, { userId: user.id }))
    expect(await metric('messages_waiting{channel="email"}')).toBeGreaterThan(0)

    await sender.send(id)
    expect(server.received.map(({ to }) => to)).toEqual([[user.email]])
    expect(server.received[0]?.raw).toContain('Subject: =?UTF-8?')
    expect(server.received[0]?.raw).toContain('730519')
    expect(server.received[0]?.raw).toContain('lang=3D"de"')
    expect(await row(id)).toMatchObject({ state: 'sent', provider: 'smtp', content: null, attempts: 1 })
    expect(await metric('messages_sent_total{channel="email"}')).toBe(1)
  })

  test('the worker takes what was queued', async () => {
    const server = await startSmtpServer()
    const other = await startTestApp({ config: { emailProvider: 'smtp', smtpUrl: server.url } })
    onTestFinished(() => other.stop())
    const user = await other.signUp()
    await other.runJobs()
    expect(server.received.map(({ to }) => to[0])).toContain(user.email)
  })

  test('of 20 attempts at once, one sends', async () => {
    const server = await startSmtpServer()
    const processes = Array.from({ length: 20 }, () => delivering(server.url, 3000))
    const id = await queue(roster.services, verify('race@example.com'))
    await Promise.all(processes.map(({ sender }) => sender.send(id)))
    expect(server.received).toHaveLength(1)
    expect((await row(id)).attempts).toBe(1)
    await processes[0]?.sender.send(id)
    expect(server.received).toHaveLength(1)
  })

  test('what a killed process had in hand is sent by another, a minute later', async () => {
    const stuck = await startTcpServer(() => undefined)
    const server = await startSmtpServer()
    const id = await queue(roster.services, verify('killed@example.com'))
    await roster.sql(`delete from graphile_worker._private_jobs where payload->>'message_id' = $1`, [id])
    // The attempt never ends while the test looks: as after kill -9, nothing is written down.
    void delivering(`smtp://127.0.0.1:${stuck.port}`, 15_000)
      .sender.send(id)
      .catch(() => undefined)
    await expect.poll(async () => (await row(id)).attempts).toBe(1)

    const { sender } = delivering(server.url, 3000)
    await sender.send(id)
    expect(await sender.recoverLost()).toBe(0)
    expect(server.received).toEqual([])

    roster.clock.advance(minutes(1) + seconds(11))
    expect(await sender.recoverLost()).toBeGreaterThanOrEqual(1)
    expect(await jobsOf(id)).toHaveLength(1)
    await sender.send(id)
    expect(server.received).toHaveLength(1)
    expect(await row(id)).toMatchObject({ state: 'sent', attempts: 2 })
  })

  test('recovering twice queues no message twice', async () => {
    const id = await queue(roster.services, verify('twice@example.com'))
    const { sender } = delivering('smtp://127.0.0.1:1')
    roster.clock.advance(minutes(2))
    await sender.recoverLost()
    await sender.recoverLost()
    expect(await jobsOf(id)).toHaveLength(1)
  })
})

describe('a provider in trouble', () => {
  const troubles: [string, () => Promise<string>][] = [
    ['hangs', async () => `smtp://127.0.0.1:${(await startTcpServer(() => undefined)).port}`],
    ['refuses connections', async () => 'smtp://127.0.0.1:1'],
    [
      'answers garbage',
      async () =>
        `smtp://127.0.0.1:${(await startTcpServer(socket => socket.end('\x00\xff\r\nwhat?\r\n'))).port}`,
    ],
  ]

  test.each(troubles)(
    'that %s: requests stay fast, the metric moves, and the mail comes in the end',
    async (_how, start) => {
      const { outbound, sender, metric } = delivering(await start())
      const began = performance.now()
      const id = await queue({ outbound }, verify('patient@example.com'))
      expect(performance.now() - began).toBeLessThan(250)

      await sender.send(id)
      expect(await metric('messages_failed_total{channel="email"}')).toBe(1)
      const failed = await row(id)
      expect(failed).toMatchObject({ state: 'queued', attempts: 1 })
      expect(failed.last_error).not.toMatch(/730519|CANARY/)
      expect(failed.next_attempt_at.getTime() - roster.clock.now().getTime()).toBe(seconds(10))
      expect(await metric('messages_oldest_seconds{channel="email"}')).toBeGreaterThanOrEqual(0)

      const server = await startSmtpServer()
      roster.clock.advance(seconds(11))
      await delivering(server.url, 3000).sender.send(id)
      expect(server.received.map(({ to }) => to)).toEqual([['patient@example.com']])
      expect(await row(id)).toMatchObject({ state: 'sent', last_error: null })
    },
  )

  test('is left alone for a while: a backlog is not tried one time-out after the other', async () => {
    let connections = 0
    const { port } = await startTcpServer(() => {
      connections += 1
    })
    const { outbound, sender } = delivering(`smtp://127.0.0.1:${port}`, 200)
    const ids = await Promise.all(
      Array.from({ length: 10 }, (_, i) => queue({ outbound }, verify(`backlog${i}@example.com`))),
    )
    for (const id of ids) await sender.send(id)
    expect(connections).toBe(1)
    expect((await Promise.all(ids.map(row))).map(({ attempts }) => attempts).sort()).toEqual([
      0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    ])
    for (const id of ids) expect(await jobsOf(id)).toHaveLength(1)
  })

  test('waits longer each time, and a message ends dead where an administrator sees it and sends it again', async () => {
    const admin = await roster.signUpAdmin()
    const { outbound, sender, metric } = delivering('smtp://127.0.0.1:1')
    const id = await queue(
      { outbound },
      {
        template: 'password_changed',
        to: 'unlucky@example.com',
        data: { name: 'Ada', at: roster.clock.now() },
      },
    )
    const waits: number[] = []
    for (;;) {
      await sender.send(id)
      const { state, next_attempt_at: next } = await row(id)
      if (state === 'dead') break
      const wait = next.getTime() - roster.clock.now().getTime()
      waits.push(wait)
      roster.clock.advance(wait)
    }
    expect(waits).toEqual(waits.toSorted((a, b) => a - b))
    expect(waits.length).toBe(9)
    expect(waits.reduce((a, b) => a + b)).toBeGreaterThan(hours(15))
    expect(await metric('messages_dead_total{channel="email"}')).toBe(1)
    expect(await metric('messages_dead{channel="email"}')).toBe(1)

    const { token } = await roster.signIn(admin)
    const { body } = await roster.get('/api/v1/messages?state=dead', { token })
    expect(body.items).toEqual([
      expect.objectContaining({
        id,
        to: 'unlucky@example.com',
        attempts: 10,
        last_error: expect.any(String),
      }),
    ])
    expect(JSON.stringify(body)).not.toContain('content')

    const retried = await roster.post(`/api/v1/messages/${id}/retry`, undefined, { token })
    expect(retried).toMatchObject({ status: 200, body: { id, state: 'queued', attempts: 0 } })
    expect(await roster.sql(`select subject_id from audit_log where action = 'message.retried'`)).toEqual([
      { subject_id: id },
    ])
    const server = await startSmtpServer()
    await delivering(server.url, 3000).sender.send(id)
    expect(server.received).toHaveLength(1)
    expect(await roster.post(`/api/v1/messages/${id}/retry`, undefined, { token })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    })
  })

  test('a code that no longer works is not sent any more, and not sent again', async () => {
    const admin = await roster.signUpAdmin()
    const server = await startSmtpServer()
    const { outbound, sender } = delivering(server.url)
    const id = await queue(
      { outbound },
      {
        template: 'mfa_code',
        to: 'late@example.com',
        data: { code: '730519' },
      },
    )
    roster.clock.advance(minutes(10) + seconds(1))
    await sender.send(id)
    expect(await row(id)).toMatchObject({ state: 'dead', last_error: 'too late to be of use' })
    expect(server.received).toEqual([])
    expect(await roster.post(`/api/v1/messages/${id}/retry`, undefined, admin)).toMatchObject({ status: 409 })
  })

  test('an address that the server refuses for good is not tried again, and closes the way to nobody else', async () => {
    const server = await startSmtpServer({
      refuse: address => (address.startsWith('gone') ? { responseCode: 550, message: 'gone' } : undefined),
    })
    const { outbound, sender } = delivering(server.url, 3000)
    const gone = await queue({ outbound }, verify('gone@example.com'))
    const there = await queue({ outbound }, verify('there@example.com'))
    await sender.send(gone)
    await sender.send(there)
    expect(await row(gone)).toMatchObject({ state: 'dead', attempts: 1 })
    expect(await row(there)).toMatchObject({ state: 'sent' })
  })

  test.each([
    ['is too late', async () => roster.clock.advance(minutes(10))],
    ['can’t be opened', (id: string) => roster.sql(`update messages set content = '' where id = $1`, [id])],
  ])('is tried with one message at a time, also after one that %s', async (_what, spoil) => {
    let connections = 0
    const { port } = await startTcpServer(socket => {
      connections += 1
      socket.destroy()
    })
    const { outbound, sender } = delivering(`smtp://127.0.0.1:${port}`)
    const first = await queue({ outbound }, verify('first@example.com'))
    const spoilt = await queue(
      { outbound },
      { template: 'mfa_code', to: 'spoilt@example.com', data: { code: '730519' } },
    )
    const others = await Promise.all(
      Array.from({ length: 4 }, (_, i) => queue({ outbound }, verify(`other${i}@example.com`))),
    )
    await sender.send(first)
    await spoil(spoilt)
    roster.clock.advance(seconds(11))
    await sender.send(spoilt)
    roster.clock.advance(seconds(5))
    await Promise.all(others.map(id => sender.send(id)))
    expect((await row(spoilt)).last_error).not.toBeNull()
    expect(connections).toBeLessThanOrEqual(2)
  })

  test('a reply that was lost is asked for again under the same idempotency key', async () => {
    let calls = 0
    const api = await startApiServer((_request, response) => {
      calls += 1
      if (calls === 1) response.destroy()
      else answerJson(response, 200, { id: 're-1' })
    })
    const provider = createResendProvider({ apiKey: 'k', from, baseUrl: api.url })
    const { outbound, sender } = createDelivery(
      { ...roster.resources, metrics: createMetrics(), wantsMail },
      { email: provider, sms: undefined },
    )
    const id = await queue({ outbound }, verify('again@example.com'))
    await sender.send(id)
    roster.clock.advance(seconds(11))
    await sender.send(id)
    expect(api.requests.map(({ headers }) => headers['idempotency-key'])).toEqual([id, id])
    expect(await row(id)).toMatchObject({ state: 'sent', provider: 'resend', provider_id: 're-1' })
  })
})

describe('what administrators see', () => {
  test('needs the permission', async () => {
    const user = await roster.signUp()
    expect(await roster.get('/api/v1/messages', user)).toMatchObject({ status: 403 })
    const url = '/api/v1/messages/019c1a2b-3c4d-7e5f-8a6b-9c0d1e2f3a4b/retry'
    expect(await roster.post(url, undefined, user)).toMatchObject({ status: 403 })
    expect(await roster.post(url, undefined, await roster.signUpAdmin())).toMatchObject({ status: 404 })
  })

  test('pages through everything once, newest first, and takes no cursor of another list', async () => {
    const { token } = await roster.signUpAdmin()
    const ids: string[] = []
    let cursor = ''
    do {
      const { body } = await roster.get(`/api/v1/messages?limit=3${cursor}`, { token })
      ids.push(...body.items.map(({ id }: { id: string }) => id))
      cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`
    } while (cursor !== '')
    const [{ count }] = await roster.sql('select count(*)::int from messages')
    expect(ids).toHaveLength(count)
    expect(ids).toEqual(ids.toSorted().reverse())

    const { body } = await roster.get('/api/v1/messages?limit=1', { token })
    const wrong = await roster.get(`/api/v1/messages?state=dead&cursor=${body.next_cursor}`, { token })
    expect(wrong).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })
})

test('erasing a person deletes every message to them, and no other', async () => {
  const { sender, outbound } = delivering('smtp://127.0.0.1:1')
  const user = await roster.signUp()
  const own = await queue({ outbound }, verify('Own@Example.com', { userId: user.id }))
  const byAddress = await queue({ outbound }, verify('Former@Example.com'))
  const other = await queue({ outbound }, verify('other@example.com'))
  await roster.resources.store.transact(trx =>
    deleteMessagesOf(trx, { userId: user.id, recipients: ['former@example.com'] }),
  )
  expect([await row(own), await row(byAddress)]).toEqual([undefined, undefined])
  expect(await row(other)).toBeDefined()
  // Its job is still there, and finds nothing to do.
  await sender.send(own)
})

test('after 30 days what is finished is deleted, and what waits is not', async () => {
  const { sender, outbound } = delivering('smtp://127.0.0.1:1')
  const waiting = await queue({ outbound }, verify('waiting@example.com'))
  const finished = await queue({ outbound }, verify('finished@example.com'))
  await roster.sql(`update messages set state = 'sent', content = null where id = $1`, [finished])
  await sender.deleteOld()
  expect(await row(finished)).toBeDefined()
  roster.clock.advance(hours(24 * 30) + 1)
  await sender.deleteOld()
  expect(await row(finished)).toBeUndefined()
  expect(await row(waiting)).toBeDefined()
})

test('what waits and what was given up is counted without a look at what was sent', async () => {
  await roster.sql(`
    insert into messages (id, channel, template, recipient, state, created_at, useful_until, finished_at)
    select gen_random_uuid(), 'email', 'verify_email', 'sent@example.com',
      case when n % 500 = 0 then 'dead' else 'sent' end, now(), now(), now()
    from generate_series(1, 3000) n`)
  await roster.sql('analyze messages')
  const [statement] = await statementsOf(roster, db => readBacklog(db, roster.clock.now()))
  expect(statement && (await rowsRead(roster, statement))).toBeLessThan(200)
  const counts = await readBacklog(roster.resources.store.db, roster.clock.now())
  expect(counts.find(({ channel }) => channel === 'sms')).toEqual({
    channel: 'sms',
    waiting: expect.any(Number),
    oldestSeconds: expect.any(Number),
    dead: expect.any(Number),
  })
  expect(counts.find(({ channel }) => channel === 'email')?.dead).toBeGreaterThanOrEqual(6)
  await roster.sql(`delete from messages where recipient = 'sent@example.com'`)
})
