import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { createTestClock } from '../testing/harness.ts'
import { createTestLog, createTestServer, documented, listen, sendRaw } from '../testing/http-server.ts'
import { createMetrics } from './metrics.ts'
import { ProblemError } from './problems.ts'
import { NoBody, problemResponses, ref } from './schemas.ts'
import type { App } from './types.ts'

const ok = { 200: Type.Object({ ok: Type.Boolean() }) }

/** A route that answers, and one that throws `error`. */
function addRoutes(app: App, error: () => unknown = () => new Error('secret cause')): App {
  app.route({
    method: 'GET',
    url: '/ok',
    config: { access: 'public' },
    schema: { ...documented, response: ok },
    handler: (_request, reply) => void reply.send({ ok: true }),
  })
  app.route({
    method: 'POST',
    url: '/fail',
    config: { access: 'public' },
    schema: { ...documented, operationId: 'fail', response: ok },
    handler: async () => {
      throw error()
    },
  })
  return app
}

describe('every reply', () => {
  test('carries the security headers and an id, errors and unknown paths included', async () => {
    const app = addRoutes(createTestServer())
    for (const url of ['/ok', '/nope', '/%zz', '/ok?unknown=1']) {
      const { headers } = await app.inject(url)
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'x-request-id': expect.stringMatching(/^[\w.-]{1,64}$/),
      })
      expect(headers).not.toHaveProperty('strict-transport-security')
    }
  })

  test('demands HTTPS for a year where the public URL is HTTPS', async () => {
    const app = addRoutes(createTestServer({ config: { publicUrl: 'https://id.example.org' } }))
    expect((await app.inject('/ok')).headers['strict-transport-security']).toMatch(/max-age=31536000/)
  })

  test('keeps a harmless request id of the caller, and replaces any other', async () => {
    const app = addRoutes(createTestServer())
    const idFor = async (given: string) =>
      (await app.inject({ url: '/ok', headers: { 'x-request-id': given } })).headers['x-request-id']
    expect(await idFor('trace-0af7651916cd43dd')).toBe('trace-0af7651916cd43dd')
    for (const odd of ['a'.repeat(65), 'a b', 'a"b', '<script>', '', 'ü'])
      expect(await idFor(odd)).not.toBe(odd)
  })
})

describe('errors', () => {
  test('of an unknown kind are a 500 without a word of the cause, which the log has under the same id', async () => {
    const { log, lines } = createTestLog()
    const app = addRoutes(createTestServer({ log }))
    const reply = await app.inject({ method: 'POST', url: '/fail' })
    expect(reply.statusCode).toBe(500)
    expect(reply.body).not.toContain('secret cause')
    expect(reply.json()).toMatchObject({ code: 'internal_error', request_id: reply.headers['x-request-id'] })
    expect(lines()).toContainEqual(
      expect.objectContaining({
        level: 'error',
        request_id: reply.headers['x-request-id'],
        err: expect.objectContaining({ message: 'secret cause' }),
      }),
    )
  })

  test.each([
    ['a refused connection', { code: 'ECONNREFUSED' }],
    ['a statement time-out', { code: '57014' }],
    ['a shutdown of the server', { code: '57P01' }],
    ['a server that is starting', { code: '57P03' }],
    ['too many connections', { code: '53300' }],
    ['a read-only server', { code: '25006' }],
    ['a pool that is exhausted', { message: 'timeout exceeded when trying to connect' }],
    ['a lost connection', { message: 'Connection terminated unexpectedly' }],
    ['a query that never answers', { message: 'Query read timeout' }],
    ['a socket that is not there', { code: 'ENOENT', syscall: 'connect' }],
    ['one of these as a cause', { cause: Object.assign(new Error('x'), { code: 'ECONNRESET' }) }],
  ])('from %s are 503 database_unavailable with Retry-After', async (_name, fields) => {
    const app = addRoutes(createTestServer(), () => Object.assign(new Error('failed at 10.0.0.5'), fields))
    const reply = await app.inject({ method: 'POST', url: '/fail' })
    expect(reply.statusCode).toBe(503)
    expect(reply.json().code).toBe('database_unavailable')
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0)
    expect(reply.body).not.toContain('10.0.0.5')
  })

  test.each([
    ['a mistake in SQL', Object.assign(new Error('syntax'), { code: '42601' })],
    ['a broken rule', Object.assign(new Error('duplicate'), { code: '23505' })],
    ['another file that is not there', Object.assign(new Error('x'), { code: 'ENOENT', syscall: 'open' })],
    ['nothing at all', undefined],
    ['a string', 'oops'],
    ['a status without meaning', Object.assign(new Error('x'), { statusCode: 599 })],
  ])('from %s are 500', async (_name, error) => {
    const app = addRoutes(createTestServer(), () => error)
    const reply = await app.inject({ method: 'POST', url: '/fail' })
    expect(reply.statusCode).toBe(500)
    expect(reply.json().code).toBe('internal_error')
  })

  test('of a plugin keep their status', async () => {
    const app = addRoutes(createTestServer(), () => Object.assign(new Error('x'), { statusCode: 406 }))
    expect((await app.inject({ method: 'POST', url: '/fail' })).json().code).toBe('not_acceptable')
  })

  test('of the catalogue are answered as they are', async () => {
    const app = addRoutes(createTestServer(), () => new ProblemError('service_busy', { retryAfter: 7 }))
    const reply = await app.inject({ method: 'POST', url: '/fail' })
    expect(reply.statusCode).toBe(503)
    expect(reply.headers['retry-after']).toBe('7')
    expect(reply.headers['content-type']).toMatch(/^application\/problem\+json/)
  })
})

describe('a path without the method', () => {
  test('is 405 with those it has, an unknown path 404', async () => {
    const app = addRoutes(createTestServer())
    const reply = await app.inject({ method: 'DELETE', url: '/ok' })
    expect(reply.statusCode).toBe(405)
    expect(reply.headers.allow).toBe('GET, HEAD')
    expect((await app.inject({ method: 'TRACE', url: '/fail/' })).headers.allow).toBe('POST')
    expect((await app.inject({ method: 'DELETE', url: '/ok/more' })).statusCode).toBe(404)
  })

  test('answers OPTIONS with what it allows', async () => {
    const reply = await addRoutes(createTestServer()).inject({ method: 'OPTIONS', url: '/ok' })
    expect(reply.statusCode).toBe(204)
    expect(reply.headers.allow).toBe('GET, HEAD')
  })

  test('answers a form with and without a slash at the end', async () => {
    expect((await addRoutes(createTestServer()).inject('/ok/')).statusCode).toBe(200)
  })
})

describe('starting', () => {
  test('fails for a route that does not say who may call it', () => {
    const app = createTestServer()
    expect(() =>
      app.get('/open', { schema: { ...documented, response: ok } }, async () => ({ ok: true })),
    ).toThrow(/GET \/open has no config.access/)
  })

  test('fails for a route without documentation', () => {
    const app = createTestServer()
    expect(() => app.get('/open', { config: { access: 'public' } }, async () => ({ ok: true }))).toThrow(
      /lacks operationId, summary, description, tags/,
    )
  })
})

describe('cross-origin access', () => {
  const origin = 'https://console.example.org'
  const preflight = {
    origin,
    'access-control-request-method': 'PUT',
    'access-control-request-headers': 'authorization',
  }

  test('in development is for every origin, with credentials', async () => {
    const app = addRoutes(createTestServer())
    const { headers } = await app.inject({ url: '/ok', headers: { origin } })
    expect(headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': expect.stringContaining('Retry-After'),
      vary: 'Origin',
    })
  })

  test.each(['http://localhost:3000', 'http://127.0.0.1:5173', 'https://app.example', 'http://[::1]:8080'])(
    'in development is for %s too, whatever origins are listed',
    async from => {
      const app = addRoutes(createTestServer({ config: { allowedOrigins: ['https://example.com'] } }))
      for (const method of ['GET', 'OPTIONS'] as const) {
        const reply = await app.inject({ method, url: '/ok', headers: { ...preflight, origin: from } })
        expect(reply.headers['access-control-allow-origin']).toBe(from)
      }
      const opaque = await app.inject({ url: '/ok', headers: { origin: 'null' } })
      expect(opaque.headers).not.toHaveProperty('access-control-allow-origin')
    },
  )

  test('in production is for the listed origins and no other, however similar', async () => {
    const app = addRoutes(
      createTestServer({ config: { environment: 'production', allowedOrigins: [origin] } }),
    )
    const allowed = async (from: string) =>
      (await app.inject({ url: '/ok', headers: { origin: from } })).headers['access-control-allow-origin']
    expect(await allowed(origin)).toBe(origin)
    for (const other of [
      `${origin}.evil.example`,
      'https://console.example.org:8443',
      'http://console.example.org',
      'https://CONSOLE.example.org',
      `${origin}/`,
      'null',
      '*',
      '',
    ]) {
      expect(await allowed(other)).toBeUndefined()
    }
  })

  test('is granted by a preflight that browsers keep for two hours', async () => {
    const reply = await addRoutes(createTestServer()).inject({
      method: 'OPTIONS',
      url: '/ok',
      headers: preflight,
    })
    expect(reply.statusCode).toBe(204)
    expect(reply.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': expect.stringContaining('PATCH'),
      'access-control-allow-headers': expect.stringContaining('If-Match'),
      'access-control-max-age': '7200',
    })
  })

  test('is not granted by a preflight from elsewhere', async () => {
    const app = addRoutes(createTestServer({ config: { environment: 'production', allowedOrigins: [] } }))
    const { headers } = await app.inject({ method: 'OPTIONS', url: '/ok', headers: preflight })
    expect(headers).not.toHaveProperty('access-control-allow-origin')
  })

  test('adds nothing to a request that has no origin', async () => {
    const { headers } = await addRoutes(createTestServer()).inject('/ok')
    expect(Object.keys(headers).filter(name => name.startsWith('access-control'))).toEqual([])
  })
})

describe('request limits', () => {
  const rateLimits = { login: { max: 3, windowMs: 60_000 }, read: { max: 5, windowMs: 60_000 } }

  function createLimited(trustedProxies: string[] = []) {
    const clock = createTestClock()
    const app = createTestServer({ clock, config: { rateLimits, trustedProxies } })
    app.route({
      method: 'POST',
      url: '/login',
      config: { access: 'public', rateLimit: 'login' },
      schema: { ...documented, response: ok },
      handler: (_request, reply) => void reply.send({ ok: true }),
    })
    app.route({
      method: 'GET',
      url: '/read',
      config: { access: 'public' },
      schema: { ...documented, operationId: 'read', response: ok },
      handler: (_request, reply) => void reply.send({ ok: true }),
    })
    const login = (remoteAddress: string, forwarded?: string) =>
      app.inject({
        method: 'POST',
        url: '/login',
        remoteAddress,
        headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
      })
    return { app, clock, login }
  }

  test('count down in headers, then refuse with Retry-After until the window ends', async () => {
    const { clock, login } = createLimited()
    for (const remaining of ['2', '1', '0']) {
      const reply = await login('198.51.100.1')
      expect(reply.statusCode).toBe(200)
      expect(reply.headers).toMatchObject({ 'ratelimit-limit': '3', 'ratelimit-remaining': remaining })
    }
    clock.advance(20_000)
    const refused = await login('198.51.100.1')
    expect(refused.statusCode).toBe(429)
    expect(refused.json()).toMatchObject({ code: 'rate_limited', retry_after: 40 })
    expect(refused.headers).toMatchObject({
      'retry-after': '40',
      'ratelimit-remaining': '0',
      'ratelimit-reset': '40',
    })
    clock.advance(40_000)
    expect((await login('198.51.100.1')).statusCode).toBe(200)
  })

  test('of one group and client leave others alone', async () => {
    const { app, login } = createLimited()
    for (let n = 0; n < 4; n++) await login('198.51.100.1')
    expect((await login('198.51.100.2')).statusCode).toBe(200)
    expect((await app.inject({ url: '/read', remoteAddress: '198.51.100.1' })).statusCode).toBe(200)
  })

  test('count a HEAD once, and unknown paths as well', async () => {
    const { app } = createLimited()
    expect((await app.inject({ method: 'HEAD', url: '/read' })).headers['ratelimit-remaining']).toBe('4')
    for (let n = 0; n < 4; n++) expect((await app.inject('/nope')).statusCode).toBe(404)
    expect((await app.inject('/nope')).statusCode).toBe(429)
  })

  test('are not escaped by rotating X-Forwarded-For', async () => {
    const { login } = createLimited()
    for (let n = 0; n < 3; n++) await login('198.51.100.1', `203.0.113.${n}`)
    expect((await login('198.51.100.1', '203.0.113.99')).statusCode).toBe(429)
  })

  test('count each client behind a trusted proxy', async () => {
    const { login } = createLimited(['10.0.0.0/8'])
    for (let n = 0; n < 4; n++) await login('10.0.0.1', `${n}.1.1.1, 203.0.113.1`)
    expect((await login('10.0.0.1', '203.0.113.1')).statusCode).toBe(429)
    expect((await login('10.0.0.1', '203.0.113.2')).statusCode).toBe(200)
  })

  test('count an IPv6 network as one client', async () => {
    const { login } = createLimited()
    for (let n = 0; n < 3; n++) await login(`2001:db8::${n}`)
    expect((await login('2001:db8::ffff')).statusCode).toBe(429)
    expect((await login('2001:db8:0:1::1')).statusCode).toBe(200)
  })
})

describe('a connection', () => {
  const request = (lines: string[], body = '') => `${lines.join('\r\n')}\r\n\r\n${body}`

  test.each([
    ['bytes that are no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n', 400],
    ['a made-up version', request(['GET /ok HTTP/9.9', 'Host: a']), 400],
    ['no Host', request(['GET /ok HTTP/1.1']), 400],
    ['two Hosts', request(['GET /ok HTTP/1.1', 'Host: a', 'Host: b']), 400],
    ['the same Host twice', request(['GET /ok HTTP/1.1', 'Host: a', 'X-Y: 1', 'host: a']), 400],
    ['two Hosts for a path that is none', request(['GET /nope HTTP/1.1', 'HOST: a', 'Host: b']), 400],
    ['two Hosts in HTTP/1.0', request(['GET /ok HTTP/1.0', 'Host: a', 'Host:']), 400],
    [
      'two Hosts and a body',
      request(['POST /fail HTTP/1.1', 'Host: a', 'Host: b', 'Content-Length: 2'], '{}'),
      400,
    ],
    ['no version', request(['GET /ok']), 400],
    ['no version, with headers', request(['GET /ok', 'Host: a']), 400],
    ['version 0.9', request(['GET /ok HTTP/0.9', 'Host: a']), 400],
    [
      'two lengths',
      request(['POST /fail HTTP/1.1', 'Host: a', 'Content-Length: 1', 'Content-Length: 2'], 'ab'),
      400,
    ],
    [
      'a length and chunks',
      request(
        ['POST /fail HTTP/1.1', 'Host: a', 'Content-Length: 1', 'Transfer-Encoding: chunked'],
        '0\r\n\r\n',
      ),
      400,
    ],
    ['a raw NUL in the path', request(['GET /\0 HTTP/1.1', 'Host: a']), 400],
    ['a space in a header name', request(['GET /ok HTTP/1.1', 'Host: a', 'X Y: 1']), 400],
    ['headers beyond 16 KiB', request(['GET /ok HTTP/1.1', 'Host: a', `X: ${'a'.repeat(17_000)}`]), 431],
  ])('with %s is answered and closed', async (_name, bytes, status) => {
    const reply = await sendRaw(addRoutes(createTestServer()), bytes)
    expect(reply).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(reply.match(/^HTTP\/1.1 /gm)).toHaveLength(1)
  })

  test('with one Host in HTTP/1.1, or none in HTTP/1.0, is served', async () => {
    for (const lines of [['GET /ok HTTP/1.1', 'hOsT: a', 'Connection: close'], ['GET /ok HTTP/1.0']])
      expect(await sendRaw(addRoutes(createTestServer()), request(lines))).toMatch(/^HTTP\/1.1 200 /)
  })

  test('with headers too large gets problem details with the security headers', async () => {
    const reply = await sendRaw(
      addRoutes(createTestServer()),
      request(['GET /ok HTTP/1.1', 'Host: a', `X: ${'a'.repeat(17_000)}`]),
    )
    expect(reply).toContain('content-type: application/problem+json')
    expect(reply).toContain('x-content-type-options: nosniff')
    expect(reply).toContain('"code":"headers_too_large"')
  })

  test('answers the request in front of pipelined garbage, and closes', async () => {
    const good = request(['GET /ok HTTP/1.1', 'Host: a'])
    const reply = await sendRaw(addRoutes(createTestServer()), `${good}${good}\x00\x01garbage\r\n\r\n`)
    const statuses = reply.match(/HTTP\/1.1 \d+/g) ?? []
    expect(statuses[0]).toBe('HTTP/1.1 200')
    expect(statuses.slice(1).every(status => ['HTTP/1.1 200', 'HTTP/1.1 400'].includes(status))).toBe(true)
  })

  test.each(['evil.example', 'a:b:c', '[::1', '%00', 'a@b', '../../x', ' '.repeat(10), 'ü'])(
    'with the Host %j is served, and no reply repeats it',
    async host => {
      const reply = await sendRaw(
        addRoutes(createTestServer()),
        Buffer.from(request([`GET /nope HTTP/1.1`, `Host: ${host}`, 'Connection: close']), 'latin1'),
      )
      expect(reply).toMatch(/^HTTP\/1.1 404 /)
      if (host.trim() !== '') expect(reply).not.toContain(host)
    },
  )

  test('that promises a large body and never sends it is refused at once', async () => {
    const app = createTestServer()
    app.route({
      method: 'POST',
      url: '/things',
      config: { access: 'public' },
      schema: { ...documented, body: Type.Object({}), response: ok },
      handler: (_request, reply) => void reply.send({ ok: true }),
    })
    const head = [
      'POST /things HTTP/1.1',
      'Host: a',
      'Content-Type: application/json',
      'Content-Length: 9999999',
    ]
    expect(await sendRaw(app, request(head))).toMatch(/^HTTP\/1.1 413 /)
  })

  test('that sends its headers slowly is closed with 408, and holds up nobody', async () => {
    const app = addRoutes(createTestServer())
    app.server.headersTimeout = 300
    const port = await listen(app)
    const started = performance.now()
    const slow = Array.from({ length: 50 }, () => sendRaw(app, 'GET /ok HTTP/1.1\r\nHost: a\r\nX-Slow: '))
    await sleep(50)
    expect((await fetch(`http://127.0.0.1:${port}/ok`)).status).toBe(200)
    const replies = await Promise.all(slow)
    expect(replies.every(reply => reply.startsWith('HTTP/1.1 408 '))).toBe(true)
    expect(performance.now() - started).toBeLessThan(30_000)
  })

  test('that is under way when the server begins to close is answered, and holds nothing up', async () => {
    const app = createTestServer()
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
    const { promise: answer, resolve: go } = Promise.withResolvers<void>()
    app.route({
      method: 'GET',
      url: '/slow',
      config: { access: 'public' },
      schema: { ...documented, response: ok },
      handler: async () => {
        ask()
        await answer
        return { ok: true }
      },
    })
    const port = await listen(app)
    const reply = fetch(`http://127.0.0.1:${port}/slow`)
    await asked
    const closed = app.close()
    await sleep(50)
    go()
    expect((await reply).status).toBe(200)
    const begin = performance.now()
    await closed
    expect(performance.now() - begin).toBeLessThan(14_000)
  })

  test('that goes away in the middle of its body leaves the service well, and is no fault of the database', async () => {
    const metrics = createMetrics()
    const app = addRoutes(createTestServer({ metrics }))
    const head = ['POST /fail HTTP/1.1', 'Host: a', 'Content-Type: application/json', 'Content-Length: 50']
    const port = await listen(app)
    const { connect } = await import('node:net')
    for (let n = 0; n < 20; n++) {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(request(head, '{"a"'))
        setTimeout(() => socket.resetAndDestroy(), 5)
      })
      socket.on('error', () => undefined)
    }
    // Some may be gone before the server has read anything of them.
    await expect.poll(() => metrics.text()).toContain('problems_total{code="bad_request"}')
    expect((await fetch(`http://127.0.0.1:${port}/ok`)).status).toBe(200)
    expect(await metrics.text()).not.toContain('database_unavailable')
  })
})

describe('the log', () => {
  test('has a line for what may change something, none for reads, and no query string', async () => {
    const { log, lines, text } = createTestLog()
    const app = addRoutes(createTestServer({ log }), () => new ProblemError('forbidden'))
    await app.inject('/ok')
    await app.inject('/ok?token=canary-1')
    await app.inject({ method: 'POST', url: '/fail?token=canary-2', remoteAddress: '198.51.100.1' })
    expect(lines().filter(line => line.msg === 'request')).toEqual([
      expect.objectContaining({
        level: 'info',
        method: 'POST',
        route: '/fail',
        client_address: '198.51.100.1',
      }),
    ])
    expect(text()).not.toContain('canary')
  })

  test('ties lines of a route to the request', async () => {
    const { log, lines } = createTestLog()
    const app = createTestServer({ log })
    app.route({
      method: 'GET',
      url: '/logs',
      config: { access: 'public' },
      schema: { ...documented, response: ok },
      handler(request, reply) {
        request.log.warn({ password: 'canary', nested: { refresh_token: 'canary' } }, 'careful')
        request.log.child({ step: 2 }).error('trouble')
        reply.send({ ok: true })
      },
    })
    await app.inject({ url: '/logs', headers: { 'x-request-id': 'r-1' } })
    expect(lines()).toMatchObject([
      { msg: 'careful', request_id: 'r-1', password: '[redacted]', nested: { refresh_token: '[redacted]' } },
      { msg: 'trouble', request_id: 'r-1', step: 2 },
    ])
  })
})

describe('metrics', () => {
  test('count each reply by method, route pattern and status, in cumulative buckets', async () => {
    const { createMetrics } = await import('./metrics.ts')
    const metrics = createMetrics()
    const app = addRoutes(createTestServer({ metrics }))
    for (const url of ['/ok', '/ok', '/ok?bad=1', '/nope', '/also-not']) await app.inject(url)
    const text = await metrics.registry.metrics()
    expect(text).toContain('http_request_duration_seconds_count{method="GET",route="/ok",status="200"} 2')
    expect(text).toContain('http_request_duration_seconds_count{method="GET",route="/ok",status="400"} 1')
    expect(text).toContain(
      'http_request_duration_seconds_count{method="(any)",route="(none)",status="404"} 2',
    )
    expect(text).toMatch(/bucket\{method="GET",route="\/ok",status="200",le="\+Inf"\} 2/)
    expect(text).toMatch(/http_request_duration_seconds_sum\{[^}]+status="200"\} 0\.\d/)
    expect(text).not.toContain('also-not')
  })

  test('read the gauges when they are scraped', async () => {
    const { createMetrics } = await import('./metrics.ts')
    const metrics = createMetrics()
    let waiting = 1
    metrics.watchPool(() => ({ total: 5, idle: 2, waiting }))
    metrics.watchHashing(() => ({ running: 2, queued: 7 }))
    waiting = 4
    const text = await metrics.registry.metrics()
    expect(text).toContain('db_pool_connections{state="used"} 3')
    expect(text).toContain('db_pool_connections{state="waiting"} 4')
    expect(text).toContain('password_hashing_jobs{state="queued"} 7')
    expect(text).toContain('process_resident_memory_bytes')
  })
})

describe('undeclared replies', () => {
  async function answer(body: unknown, status = 200, response: object = ok) {
    const told: string[] = []
    const app = createTestServer({ onUndeclaredResponse: error => void told.push(error.message) })
    app.route({
      method: 'GET',
      url: '/x',
      config: { access: 'public' },
      schema: { ...documented, response },
      handler: (_request, reply) => void reply.code(status).send(body as never), // wrong on purpose
    })
    const reply = await app.inject('/x')
    return { told, status: reply.statusCode, text: reply.body }
  }

  test.each([
    ['an undeclared status', { ok: true }, 201, 'the status is not declared'],
    ['an undeclared field', { ok: true, password_hash: 'x' }, 200, 'drops or changes fields'],
    ['a wrong type', { ok: 'yes' }, 200, 'drops or changes fields'],
  ])('of %s fail the request and tell the test', async (_name, body, status, message) => {
    const { told, status: got, text } = await answer(body, status)
    expect(told).toEqual([expect.stringContaining(message)])
    expect(got).toBe(500)
    expect(text).toContain(message)
  })

  test('of a string that breaks its format fail too', async () => {
    const response = { 200: Type.Object({ at: Type.String({ format: 'date-time' }) }) }
    expect((await answer({ at: 'yesterday' }, 200, response)).told).toEqual([
      expect.stringContaining('does not match its schema'),
    ])
  })

  test('are found where a module has schemas of its own', async () => {
    const told: string[] = []
    const app = createTestServer({ onUndeclaredResponse: error => void told.push(error.message) })
    const Own = Type.Object({ at: Type.String({ format: 'date-time' }) }, { $id: 'Own' })
    await app.register(
      async (module: App) => {
        module.addSchema(Own)
        module.route({
          method: 'GET',
          url: '/own',
          config: { access: 'public' },
          schema: { ...documented, response: { 200: ref(Own) } },
          handler: (_request, reply) => void reply.send({ at: 'never' }),
        })
      },
      { prefix: '/module' },
    )
    await app.inject('/module/own')
    expect(told).toEqual([expect.stringContaining('GET /module/own answered 200: the body does not match')])
  })

  test('do not include declared errors and empty bodies', async () => {
    const app = addRoutes(
      createTestServer({
        onUndeclaredResponse: error => {
          throw error
        },
      }),
    )
    app.route({
      method: 'GET',
      url: '/missing',
      config: { access: 'public' },
      schema: {
        ...documented,
        operationId: 'm',
        response: { 204: NoBody, ...problemResponses('not_found') },
      },
      handler: async (request, reply) => {
        if (request.headers['x-empty']) return reply.code(204).send()
        throw new ProblemError('not_found')
      },
    })
    expect((await app.inject('/missing')).statusCode).toBe(404)
    expect((await app.inject({ url: '/missing', headers: { 'x-empty': '1' } })).statusCode).toBe(204)
  })
})
