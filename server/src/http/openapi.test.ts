import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { createTestServer, documented } from '../testing/http-server.ts'
import { apiDocument } from './openapi.ts'
import { nullable, problemResponses, ref } from './schemas.ts'

const Thing = Type.Object({ name: nullable(Type.String()) }, { $id: 'Thing', additionalProperties: false })

async function createDocumented() {
  const app = createTestServer()
  app.addSchema(Thing)
  app.route({
    method: 'PUT',
    url: '/things/:id',
    config: { access: { permission: 'things:write' } },
    schema: {
      ...documented,
      operationId: 'putThing',
      params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
      body: ref(Thing),
      response: { 200: ref(Thing), ...problemResponses('not_found', 'username_cooldown') },
    },
    handler: (request, reply) => void reply.send(request.body),
  })
  await app.ready()
  return app
}

describe('the OpenAPI document', () => {
  test('has components for shared schemas, and refers to them', async () => {
    const document = apiDocument(await createDocumented())
    expect(document.openapi).toBe('3.1.0')
    expect(Object.keys(document.components?.schemas ?? {}).sort()).toEqual(['Problem', 'Thing'])
    const operation = document.paths?.['/things/{id}']?.put
    expect(operation).toMatchObject({
      operationId: 'putThing',
      security: [{ bearerAuth: [] }],
      description: expect.stringContaining('`things:write`'),
      requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Thing' } } } },
    })
    expect(operation?.parameters).toMatchObject([{ name: 'id', in: 'path', required: true }])
  })

  test('declares the errors that every route can answer beside the route’s own', async () => {
    const responses = apiDocument(await createDocumented()).paths?.['/things/{id}']?.put?.responses ?? {}
    expect(Object.keys(responses)).toEqual([
      '200',
      '400',
      '401',
      '403',
      '404',
      '413',
      '414',
      '415',
      '431',
      '500',
      '503',
    ])
    expect(responses['400']).toMatchObject({
      description: expect.stringMatching(/username_cooldown.*validation_failed/),
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    })
  })

  test('is served as JSON', async () => {
    const reply = await (await createDocumented()).inject('/openapi.json')
    expect(reply.headers['content-type']).toMatch(/^application\/json/)
    expect(reply.json().info.title).toBe('Roster')
  })
})

describe('the documentation pages', () => {
  test.each(['/docs', '/redoc', '/docs/'])(
    '%s loads everything from this service, without inline script',
    async path => {
      const app = await createDocumented()
      const page = await app.inject(path)
      expect(page.statusCode).toBe(200)
      const policy = String(page.headers['content-security-policy'])
      expect(policy).toContain("script-src 'self';")
      expect(policy).not.toMatch(/unsafe|https?:|\*/)
      expect(page.headers).toMatchObject({ 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer' })
      expect(page.body).not.toMatch(/https?:\/\/|<script>|<style|style=|onload=/)
      for (const [, file] of page.body.matchAll(/(?:src|href)="([^"]+)"/g)) {
        expect((await app.inject(String(file))).statusCode).toBe(200)
      }
    },
  )

  test('ReDoc’s script asks no other host for its logo, and its styles carry a nonce of this page', async () => {
    const app = await createDocumented()
    expect((await app.inject('/redoc/redoc.standalone.js')).body).not.toContain('cdn.redoc.ly')
    const [first, second] = [await app.inject('/redoc'), await app.inject('/redoc')]
    const nonce = /data-nonce="([^"]+)"/.exec(first.body)?.[1]
    expect(first.headers['content-security-policy']).toContain(`'nonce-${nonce}'`)
    expect(second.body).not.toContain(nonce)
  })

  test('files are kept by the browser until they change', async () => {
    const app = await createDocumented()
    const { headers } = await app.inject('/docs/swagger-ui.css')
    const again = await app.inject({
      url: '/docs/swagger-ui.css',
      headers: { 'if-none-match': String(headers.etag) },
    })
    expect(again.statusCode).toBe(304)
  })
})
