import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { startTestApp, type TestApp } from '../../testing/harness.ts'
import { listen } from '../../testing/http-server.ts'

/*
 * Clients that ask for a stream and then read nothing: the service can send no more, and must let go of them
 * all the same.
 */

async function startWithEvents(count: number): Promise<TestApp> {
  const roster = await startTestApp()
  await roster.sql(
    `with head as (update event_head set sequence = sequence + $1 returning sequence - $1 as base)
     insert into events (id, type, data, occurred_at, sequence, partition)
     select gen_random_uuid(), 'user.profile_updated', jsonb_build_object('text', repeat('x', 1000)), now(), base + n, 0
     from head, generate_series(1, $1::bigint) as n`,
    [count],
  )
  return roster
}

/** Opens a stream and takes the start of its reply. */
async function openStuck(roster: TestApp, token: string): Promise<net.Socket> {
  const socket = net.connect(await listen(roster.app), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  socket.write(
    `GET /api/v1/events?after=0&limit=1000 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n` +
      'accept: text/event-stream\r\n\r\n',
  )
  await once(socket, 'readable')
  return socket
}

const connections = ({ app }: TestApp): Promise<number> =>
  new Promise(resolve => app.server.getConnections((_error, count) => resolve(count)))

test('a stream that nobody reads does not keep the service from ending', async () => {
  const roster = await startWithEvents(15_000)
  const admin = await roster.signUpAdmin()
  await openStuck(roster, admin.token)
  await sleep(500)
  const from = performance.now()
  await roster.stop()
  expect(performance.now() - from).toBeLessThan(10_000)
})

test('a stream that nobody reads ends with its session', async () => {
  const roster = await startWithEvents(15_000)
  const admin = await roster.signUpAdmin()
  for (let n = 0; n < 10; n++) await openStuck(roster, admin.token)
  await sleep(500)
  expect(await connections(roster)).toBe(10)
  await roster.post('/api/v1/auth/logout', undefined, { token: admin.token })
  await expect.poll(() => connections(roster)).toBe(0)
  await roster.stop()
})

test('HEAD requests for a stream leave none of the 1000 open that a process holds', async () => {
  const roster = await startWithEvents(1)
  const { token } = await roster.signUpAdmin()
  const headers = { accept: 'text/event-stream' }
  for (let n = 0; n <= 1000; n++) {
    const { status } = await roster.request('HEAD', '/api/v1/events?after=1', { token, headers })
    expect(status).toBe(200)
  }
  await roster.stop()
})
