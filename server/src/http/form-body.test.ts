import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { createTestServer, documented } from '../testing/http-server.ts'
import { acceptForms } from './form-body.ts'

async function post(payload: string | Buffer) {
  const app = createTestServer()
  acceptForms(app)
  app.route({
    method: 'POST',
    url: '/form',
    config: { access: 'public' },
    schema: {
      ...documented,
      body: Type.Record(Type.String(), Type.String()),
      response: { 200: Type.Record(Type.String(), Type.String()) },
    },
    handler: ({ body }, reply) => void reply.send(body),
  })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const reply = await app.inject({ method: 'POST', url: '/form', headers, payload })
  return { status: reply.statusCode, body: reply.json() }
}

test('a form is read as browsers write it', async () => {
  const fields = { username: 'a b+c', pass_word: 'é&=%', empty: '' }
  expect(await post(new URLSearchParams(fields).toString())).toEqual({ status: 200, body: fields })
})

test.each([
  ['NUL as it is', 'username=a\0b', '/username', 'nul_character'],
  ['NUL in percent-encoding', 'username=a%00b', '/username', 'nul_character'],
  ['NUL in a name', 'user\0=a', '/user\uFFFD', 'nul_character'],
  ['a field that is there twice', 'username=a&password=x&username=b', '/username', 'repeated'],
  ['a field that reaches for a prototype', '__proto__=a', '/__proto__', 'forbidden_key'],
  ['what is not valid percent-encoding', 'a/b=%zz', '/a~1b', 'encoding'],
  [
    'more fields than any form has',
    Array.from({ length: 101 }, (_, n) => `f${n}=`).join('&'),
    '',
    'too_many',
  ],
])('%s is refused by name', async (_name, payload, path, code) => {
  const { status, body } = await post(payload)
  expect(status).toBe(400)
  expect(body).toMatchObject({ code: 'validation_failed', errors: [{ path, code }] })
})
