import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createWebhookCaller } from './webhook-caller.ts'

type Options = Partial<Parameters<typeof createWebhookCaller>[0]>

const caller = (options: Options = {}) =>
  createWebhookCaller({
    allowedNetworks: ['127.0.0.0/8'],
    allowPlainText: false,
    userAgent: 'Roster/test',
    ...options,
  })

async function receiver(handler: http.RequestListener): Promise<number> {
  const server = http.createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port // it listens on TCP
}

const message = (url: string) => ({ url, headers: { 'content-type': 'application/json' }, body: '{"a":1}' })

describe('calling a webhook', () => {
  test('posts the body to the address that was checked, under the name of the URL', async () => {
    const seen: { host: string | undefined; body: string }[] = []
    const port = await receiver(async (request, reply) => {
      const body = (await request.toArray()).join('')
      seen.push({ host: request.headers.host, body })
      reply.writeHead(204).end()
    })
    const resolve = async () => ['127.0.0.1']
    const result = await caller({ resolve })(message(`http://hooks.example.com:${port}/in`))
    expect(result).toEqual({ status: 204, error: null, durationMs: expect.any(Number) })
    expect(seen).toEqual([{ host: `hooks.example.com:${port}`, body: '{"a":1}' }])
  })

  test('looks a name up once: a second answer can’t lead elsewhere', async () => {
    const port = await receiver((_request, reply) => reply.end())
    let lookups = 0
    const resolve = async () => [lookups++ === 0 ? '127.0.0.1' : '127.0.0.2']
    expect((await caller({ resolve })(message(`http://rebind.example:${port}/`))).status).toBe(200)
    expect(lookups).toBe(1)
  })

  test.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::1]/',
    'http://localhost/',
    'http://169.254.169.254/latest/meta-data',
  ])('never calls %s unless that is allowed', async url => {
    let calls = 0
    const port = await receiver((_request, reply) => {
      calls += 1
      reply.end()
    })
    const target = new URL(url)
    target.port = String(port)
    const result = await caller({ allowedNetworks: [] })(message(target.href))
    expect(result).toMatchObject({ status: null, error: 'the host has no public address' })
    expect(calls).toBe(0)
  })

  test('sends no plain http over the internet', async () => {
    const resolve = async () => ['8.8.8.8']
    const result = await caller({ resolve })(message('http://hooks.example.com/'))
    expect(result.error).toBe('plain http is not sent over the internet')
  })

  test('follows no redirect', async () => {
    let inside = 0
    const secret = await receiver((_request, reply) => {
      inside += 1
      reply.end()
    })
    const port = await receiver((_request, reply) =>
      reply.writeHead(307, { location: `http://127.0.0.1:${secret}/` }).end(),
    )
    const result = await caller()(message(`http://127.0.0.1:${port}/`))
    expect(result).toMatchObject({ status: 307, error: 'answered 307' })
    expect(inside).toBe(0)
  })

  test('gives up on one that never answers', async () => {
    const port = await receiver(() => undefined)
    const result = await caller({ patience: 300 })(message(`http://127.0.0.1:${port}/`))
    expect(result).toMatchObject({ status: null, error: 'did not answer in time' })
    expect(result.durationMs).toBeLessThan(1500)
  })

  test('takes a change of protocols for no answer to a message', async () => {
    const port = await receiver(({ socket }) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    })
    const result = await caller()(message(`http://127.0.0.1:${port}/`))
    expect(result).toMatchObject({ status: 101, error: 'answered 101' })
  })

  test.each([
    [200, null],
    [503, 'answered 503'],
  ])('takes a %i for what it is though its body never ends, and cuts that off', async (status, error) => {
    const { promise: closed, resolve: close } = Promise.withResolvers<void>()
    const port = await receiver((_request, reply) => {
      reply.writeHead(status)
      const timer = setInterval(() => reply.write('.'), 20)
      reply.on('close', () => {
        clearInterval(timer)
        close()
      })
    })
    const result = await caller({ patience: 300 })(message(`http://127.0.0.1:${port}/`))
    expect(result).toMatchObject({ status, error })
    expect(result.durationMs).toBeLessThan(1500)
    await closed
  })

  test('cuts an endless reply off instead of reading it', async () => {
    let sent = 0
    const port = await receiver((_request, reply) => {
      const write = () => {
        while (!reply.destroyed && reply.write(Buffer.alloc(16_384))) sent += 16_384
      }
      reply.on('drain', write)
      write()
    })
    const result = await caller({ patience: 5000 })(message(`http://127.0.0.1:${port}/`))
    expect(result.status).toBe(200)
    expect(sent).toBeLessThan(20_000_000)
  })

  test('says so where the connection is refused', async () => {
    expect((await caller()(message('http://127.0.0.1:1/'))).error).toBe('ECONNREFUSED')
  })

  describe('tells no names of the own network from those that do not exist', () => {
    const fails = (code: string) => async () => {
      throw Object.assign(new Error(`getaddrinfo ${code} intranet`), { code })
    }
    const names: Record<string, () => Promise<string[]>> = {
      'a private address': async () => ['10.0.0.7'],
      'a private and a public one': async () => ['8.8.8.8', 'fd00::7'],
      'no address': async () => [],
      'no such name': fails('ENOTFOUND'),
      'a name server that fails': fails('EAI_AGAIN'),
    }

    test.each(Object.entries(names))('%s', async (_what, resolve) => {
      const call = caller({ resolve, refusalTime: 300 })
      const result = await call(message('https://intranet.example/'))
      expect(result).toMatchObject({ status: null, error: 'the host has no public address' })
      expect(result.durationMs).toBeGreaterThanOrEqual(299)
    })
  })
})
