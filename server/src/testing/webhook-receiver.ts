import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeEach } from 'vitest'
import type { Event } from '../modules/events/envelope.ts'
import type { SignedUp, TestApp } from './harness.ts'

export type Message = { path: string; headers: Record<string, string>; body: string; event: Event }

export type WebhookReceiver = {
  /** What its addresses begin with, without a slash at the end. */
  base: string
  /** In the order in which they came. */
  messages: Message[]
  at(path: string): Message[]
  /** The status to answer. While it is a promise, the sender waits. */
  answer: (path: string, event: Event) => number | Promise<number>
  stop(): Promise<void>
}

/** An HTTP server on loopback that takes webhooks. It answers 204 unless a test says otherwise. */
async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const messages: Message[] = []
  const server = http.createServer(async (request, reply) => {
    const body = (await request.toArray()).join('')
    const path = request.url ?? ''
    const event: Event = JSON.parse(body)
    messages.push({ path, headers: request.headers as Record<string, string>, body, event }) // none of these repeats
    reply.writeHead(await receiver.answer(path, event)).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const receiver: WebhookReceiver = {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // it listens on TCP
    messages,
    at: path => messages.filter(message => message.path === path),
    answer: () => 204,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return receiver
}

/** A receiver with the relay that calls it, for the tests of a file, and an administrator who is always signed in. */
export async function useWebhooks(roster: TestApp): Promise<{ receiver: WebhookReceiver; admin: SignedUp }> {
  const receiver = await startWebhookReceiver()
  const relay = roster.services.events.startRelay(roster.databaseUrl)
  const webhooks = { receiver, admin: await roster.signUpAdmin() }
  // Tests move the clock by days.
  beforeEach(async () => {
    webhooks.admin = await roster.signIn(webhooks.admin)
    receiver.answer = () => 204
  })
  afterAll(async () => {
    await relay.stop()
    await receiver.stop()
  })
  return webhooks
}
