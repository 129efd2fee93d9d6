import fc from 'fast-check'
import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { createTestServer, documented } from '../testing/http-server.ts'
import type { App } from './types.ts'

/** A route for each way in: body, query string and path. */
function createInputServer(): App {
  const app = createTestServer({
    onUndeclaredResponse: error => {
      throw error
    },
  })
  app.route({
    method: 'POST',
    url: '/things',
    config: { access: 'public' },
    schema: {
      ...documented,
      operationId: 'postThing',
      body: Type.Object(
        {
          email: Type.String({ minLength: 3, maxLength: 20 }),
          age: Type.Optional(Type.Integer({ minimum: 1 })),
          nickname: Type.Optional(Type.Union([Type.String({ maxLength: 5 }), Type.Null()])),
          sort: Type.Optional(Type.Union([Type.Literal('asc'), Type.Literal('desc')])),
          tags: Type.Optional(Type.Array(Type.String(), { maxItems: 3 })),
          address: Type.Optional(Type.Object({ city: Type.String() }, { additionalProperties: false })),
          owner_id: Type.Optional(Type.String({ format: 'uuid' })),
        },
        { additionalProperties: false },
      ),
      response: { 200: Type.Object({ email: Type.String(), owner_id: Type.Optional(Type.String()) }) },
    },
    handler: ({ body: { email, owner_id } }, reply) =>
      void reply.send({ email, ...(owner_id !== undefined && { owner_id }) }),
  })
  app.route({
    method: 'GET',
    url: '/things/:id',
    config: { access: 'public' },
    schema: {
      ...documented,
      operationId: 'getThing',
      params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
      querystring: Type.Object(
        {
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
          exact: Type.Optional(Type.Boolean()),
          q: Type.Optional(Type.String()),
          tags: Type.Optional(Type.Array(Type.String())),
        },
        { additionalProperties: false },
      ),
      response: { 200: Type.Object({ query: Type.Unknown() }) },
    },
    handler: (request, reply) => void reply.send({ query: request.query }),
  })
  return app
}

const id = '019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c'

async function post(app: App, payload: unknown, headers: Record<string, string> = {}) {
  const isRaw = typeof payload === 'string' || Buffer.isBuffer(payload)
  const reply = await app.inject({
    method: 'POST',
    url: '/things',
    headers: { 'content-type': 'application/json', ...headers },
    payload: isRaw ? payload : JSON.stringify(payload),
  })
  return { status: reply.statusCode, body: reply.json(), headers: reply.headers }
}

async function get(app: App, url: string) {
  const reply = await app.inject({ method: 'GET', url })
  return { status: reply.statusCode, body: reply.json() }
}

describe('a body', () => {
  test('that matches its schema is taken', async () => {
    expect(await post(createInputServer(), { email: 'a@b.example', nickname: null })).toMatchObject({
      status: 200,
      body: { email: 'a@b.example' },
    })
  })

  test.each([
    ['a list for a string', { email: ['a@b.example'] }, '/email', 'wrong_type'],
    ['an object for a string', { email: { $ne: null } }, '/email', 'wrong_type'],
    ['a number for a string', { email: 12345 }, '/email', 'wrong_type'],
    ['true for a string', { email: true }, '/email', 'wrong_type'],
    ['null for a string', { email: null }, '/email', 'wrong_type'],
    ['a string for a number', { email: 'a@b.example', age: '5' }, '/age', 'wrong_type'],
    ['a fraction for a whole number', { email: 'a@b.example', age: 1.5 }, '/age', 'wrong_type'],
    ['a missing field', {}, '/email', 'required'],
    ['a short field', { email: 'a' }, '/email', 'too_short'],
    ['a long field', { email: 'a'.repeat(21) }, '/email', 'too_long'],
    ['a small number', { email: 'a@b.example', age: 0 }, '/age', 'too_small'],
    [
      'a long field that may be null',
      { email: 'a@b.example', nickname: 'x'.repeat(6) },
      '/nickname',
      'too_long',
    ],
    ['a number where text or null is due', { email: 'a@b.example', nickname: 5 }, '/nickname', 'not_allowed'],
    ['a choice that is none', { email: 'a@b.example', sort: 'up' }, '/sort', 'not_allowed'],
    ['too many items', { email: 'a@b.example', tags: ['', '', '', ''] }, '/tags', 'too_many'],
    ['an id that is none', { email: 'a@b.example', owner_id: 'me' }, '/owner_id', 'format'],
    ['a number for an id', { email: 'a@b.example', owner_id: 7 }, '/owner_id', 'wrong_type'],
    ['a wrong item', { email: 'a@b.example', tags: ['', 1] }, '/tags/1', 'wrong_type'],
    ['an unknown field', { email: 'a@b.example', is_admin: true }, '/is_admin', 'unknown_field'],
    [
      'an unknown field inside',
      { email: 'a@b.example', address: { city: '', zip: 1 } },
      '/address/zip',
      'unknown_field',
    ],
    ['a list for the whole', [], '', 'wrong_type'],
    ['a string for the whole', '"text"', '', 'wrong_type'],
  ])('with %s is refused and the field named', async (_name, payload, path, code) => {
    const { status, body } = await post(createInputServer(), payload)
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: 'validation_failed', errors: [{ path, code }] })
  })

  test('hands ids on in lower case', async () => {
    const { body } = await post(createInputServer(), { email: 'a@b.example', owner_id: id.toUpperCase() })
    expect(body).toEqual({ email: 'a@b.example', owner_id: id })
  })

  test('with several faults names each, and what each takes', async () => {
    const { body } = await post(createInputServer(), { email: 1, sort: 'up', nickname: 5, role: 'admin' })
    expect(body.errors).toEqual(
      expect.arrayContaining([
        { path: '/email', code: 'wrong_type', message: 'Must be a string.' },
        { path: '/sort', code: 'not_allowed', message: 'Must be one of: asc, desc.' },
        { path: '/nickname', code: 'not_allowed', message: 'Must be a string or null.' },
        expect.objectContaining({ path: '/role', code: 'unknown_field' }),
      ]),
    )
  })

  test('with thousands of unknown fields costs little and is answered briefly', async () => {
    const many = Object.fromEntries(Array.from({ length: 6000 }, (_, n) => [`f${n}`, 1]))
    const start = performance.now()
    const { status, body } = await post(createInputServer(), many)
    expect(status).toBe(400)
    expect(JSON.stringify(body).length).toBeLessThan(4000)
    expect(performance.now() - start).toBeLessThan(500)
  })

  test.each([
    ['a key twice', '{"email":"a@b.example","email":"c@d.example"}', '/email'],
    ['__proto__', '{"email":"a@b.example","__proto__":{"is_admin":true}}', '/__proto__'],
    ['NUL', '{"email":"a\\u0000b"}', '/email'],
    ['half a surrogate pair', '{"email":"\\ud800"}', '/email'],
    ['invalid UTF-8', Buffer.from('{"email":"\xff\xfe"}', 'latin1'), '/email'],
  ])('with %s is malformed JSON, and the field named', async (_name, payload, path) => {
    const { status, body } = await post(createInputServer(), payload)
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: 'malformed_json', errors: [{ path }] })
  })

  test('that is cut off is malformed JSON, and the reply quotes none of it', async () => {
    const { status, body } = await post(createInputServer(), '{"password":"hunter2secret')
    expect(status).toBe(400)
    expect(body.code).toBe('malformed_json')
    expect(JSON.stringify(body)).not.toContain('hunter2')
  })

  test.each([
    ['empty', ''],
    ['null', 'null'],
  ])('that is %s is refused with a clear word', async (_name, payload) => {
    const { status, body } = await post(createInputServer(), payload)
    expect(status).toBe(400)
    expect(body.detail).toContain('needs a JSON object')
  })

  test('of 100 KiB is read, and one byte more is 413', async () => {
    const app = createInputServer()
    const padded = (size: number) => `{"email":"a@b.example"}${' '.repeat(size - 23)}`
    expect((await post(app, padded(100 * 1024))).status).toBe(200)
    expect(await post(app, padded(100 * 1024 + 1))).toMatchObject({
      status: 413,
      body: { code: 'payload_too_large' },
    })
  })

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'nonsense',
    'application/json/x',
  ])('of type %s is 415, and the reply says what is taken', async type => {
    const { status, body } = await post(createInputServer(), '{}', { 'content-type': type })
    expect(status).toBe(415)
    expect(body.detail).toContain('application/json')
  })

  test('that is compressed is 415', async () => {
    expect((await post(createInputServer(), '{}', { 'content-encoding': 'gzip' })).status).toBe(415)
  })

  test('with a charset in its type is taken', async () => {
    const type = { 'content-type': 'Application/JSON; charset=UTF-8' }
    expect((await post(createInputServer(), { email: 'a@b.example' }, type)).status).toBe(200)
  })
})

describe('a query string', () => {
  test('gives numbers, booleans and lists to a route that wants them, and defaults', async () => {
    const app = createInputServer()
    expect((await get(app, `/things/${id}?limit=5&exact=true&tags=a&q=1`)).body.query).toEqual({
      limit: 5,
      exact: true,
      tags: ['a'],
      q: '1',
    })
    expect((await get(app, `/things/${id}?tags=a&tags=b`)).body.query).toEqual({
      limit: 20,
      tags: ['a', 'b'],
    })
    expect((await get(app, `/things/${id}?q=a+b%20c`)).body.query).toEqual({ limit: 20, q: 'a b c' })
  })

  test.each([
    ['limit=0x10', 'limit'],
    ['limit=1e2', 'limit'],
    ['limit=%207', 'limit'],
    ['limit=', 'limit'],
    ['limit=101', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['limit=99999999999999999999', 'limit'],
    ['exact=1', 'exact'],
    ['q=a&q=b', 'q'],
    ['q[a]=b', 'q[a]'],
    ['unknown=1', 'unknown'],
    ['q=%00', 'q'],
    ['q=%zz', 'q'],
    ['q=%C0%80', 'q'],
    ['q=%ED%A0%80', 'q'],
    ['__proto__=1', '__proto__'],
    ['constructor=1', 'constructor'],
  ])('%s is refused by name', async (query, path) => {
    const { status, body } = await get(createInputServer(), `/things/${id}?${query}`)
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: 'validation_failed', errors: [{ path }] })
  })

  test('of a thousand parameters is refused', async () => {
    const query = Array.from({ length: 1000 }, (_, n) => `a${n}=1`).join('&')
    expect((await get(createInputServer(), `/things/${id}?${query}`)).status).toBe(400)
  })
})

describe('a path', () => {
  test.each([
    ['/things/not-a-uuid', 400, 'validation_failed'],
    [`/things/urn:uuid:${id}`, 400, 'validation_failed'],
    ['/things/%00', 400, 'validation_failed'],
    ['/things/%2500', 400, 'validation_failed'],
    ['/things/%zz', 400, 'bad_request'],
    ['/things/%C0%AF', 400, 'bad_request'],
    [`/things/${'a'.repeat(301)}`, 414, 'uri_too_long'],
    ['/things/../../etc/passwd', 404, 'not_found'],
    ['//things', 404, 'not_found'],
    ['/THINGS', 404, 'not_found'],
  ])('%s is %i %s', async (url, status, code) => {
    expect(await get(createInputServer(), url)).toMatchObject({ status, body: { code } })
  })
})

describe('whatever comes', () => {
  const app = { current: undefined as App | undefined }
  const server = () => (app.current ??= createInputServer())

  test('no body, query or path is ever answered with a 5xx', async () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.record({
        email: fc.jsonValue(),
        age: fc.jsonValue(),
        tags: fc.jsonValue(),
        address: fc.jsonValue(),
      }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          value.map(one => JSON.stringify(one)),
          fc.string(),
          fc.uint8Array().map(bytes => Buffer.from(bytes)),
        ),
        fc.webQueryParameters(),
        fc.webSegment(),
        async (payload, query, segment) => {
          const posted = await server().inject({
            method: 'POST',
            url: '/things',
            headers: { 'content-type': 'application/json' },
            payload,
          })
          expect(posted.statusCode).toBeLessThan(500)
          const got = await server().inject({ method: 'GET', url: `/things/${segment}?${query}` })
          expect(got.statusCode).toBeLessThan(500)
          expect(got.headers['content-type']).toMatch(/json/)
        },
      ),
      { numRuns: 300 },
    )
  })
})
