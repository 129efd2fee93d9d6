import net from 'node:net'
import { text } from 'node:stream/consumers'
import fastify from 'fastify'
import { afterAll, describe, expect, test } from 'vitest'
import { createResponseClass, setCommonHeaders, setLimitHeaders } from './ready-lines.ts'

const table = [
  ['cache-control', 'no-store'],
  ['x-content-type-options', 'nosniff'],
] as const

const app = fastify({ http: { ServerResponse: createResponseClass(table) } })
app.addHook('onRequest', (request, reply, done) => {
  setCommonHeaders(reply, table, `id-${request.id}`)
  setLimitHeaders(reply, { limit: 60, remaining: 59, reset: 7 })
  done()
})
app.get('/plain', (_request, reply) => reply.send({ ok: true }))
app.get('/cached', (_request, reply) => reply.header('cache-control', 'public, max-age=300').send('kept'))
app.get('/empty', (_request, reply) => reply.code(204).send())
app.get('/raw', (_request, reply) => {
  reply.hijack()
  reply.raw.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-cache' })
  reply.raw.end('by hand')
})
await app.listen({ host: '127.0.0.1', port: 0 })
afterAll(() => app.close())

/** The head of a reply as it comes over a connection: its lines without status and date, in order of names. */
async function head(path: string): Promise<string[]> {
  const { port } = new URL(app.listeningOrigin)
  const socket = net.connect({ host: '127.0.0.1', port: Number(port) })
  socket.end(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  const [lines = ''] = (await text(socket)).split('\r\n\r\n')
  return lines
    .split('\r\n')
    .slice(1)
    .map(line => line.toLowerCase())
    .filter(line => !/^(date|connection|content-)/.test(line))
    .sort()
}

const limits = ['ratelimit-limit: 60', 'ratelimit-remaining: 59', 'ratelimit-reset: 7']

describe('a reply over a connection', () => {
  test.each(['/plain', '/empty', '/unknown'])('has every common header once (%s)', async path => {
    expect(await head(path)).toEqual([
      'cache-control: no-store',
      ...limits,
      'x-content-type-options: nosniff',
      expect.stringMatching(/^x-request-id: id-req-\w+$/),
    ])
  })

  test.each([
    ['/cached', 'public, max-age=300'],
    ['/raw', 'no-cache'],
  ])('has a common header as its route set it, and once (%s)', async (path, value) => {
    expect((await head(path)).filter(line => line.startsWith('cache-control'))).toEqual([
      `cache-control: ${value}`,
    ])
    expect(await head(path)).toContain('x-content-type-options: nosniff')
  })
})

test('an injected request has the same headers', async () => {
  const { headers } = await app.inject('/plain')
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'ratelimit-limit': '60',
    'ratelimit-remaining': '59',
    'ratelimit-reset': '7',
  })
  expect(headers['x-request-id']).toMatch(/^id-req-/)
})
