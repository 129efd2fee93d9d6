import { createServer } from 'node:http'
import express from 'express'
import fastify, { type FastifyRequest } from 'fastify'
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { useTestApp } from '../../../server/src/testing/harness.ts'
import { listen } from '../../../server/src/testing/http-server.ts'
import { createRoster, type Roster } from '../index.ts'
import { createTokenVerifier } from '../tokens.ts'
import {
  authenticate,
  createIntrospector,
  expressGuard,
  fastifyGuard,
  type Verify,
  type Who,
  withUser,
} from './index.ts'

const service = await useTestApp()
let url: string
let verify: Verify<Who>
beforeAll(async () => {
  url = `http://127.0.0.1:${await listen(service.app)}`
  verify = createTokenVerifier({
    url: service.resources.config.publicUrl,
    keysUrl: `${url}/.well-known/jwks.json`,
  })
})
beforeEach(() => service.clock.set(new Date()))

/** A handler of each framework that answers who asks, and, on `/admin`, administrators alone. */
const frameworks: Record<string, () => Promise<string>> = {
  async Express() {
    const app = express()
    app.get(
      '/admin',
      expressGuard(verify, { roles: ['admin', 'owner'] }),
      (_request, reply) => void reply.send('admin'),
    )
    app.get('/', expressGuard(verify), (request: express.Request & { who?: Who }, reply) => {
      reply.send(request.who?.sub)
    })
    const server = createServer(app)
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  },
  async Fastify() {
    const app = fastify()
    onTestFinished(() => app.close())
    app.get('/admin', { onRequest: fastifyGuard(verify, { roles: ['admin', 'owner'] }) }, () => 'admin')
    app.get(
      '/',
      { onRequest: fastifyGuard(verify) },
      (request: FastifyRequest & { who?: Who }) => request.who?.sub,
    )
    return app.listen({ host: '127.0.0.1', port: 0 })
  },
}

describe.each(Object.entries(frameworks))('behind %s', (_name, start) => {
  test('whoever signed in gets in, and nobody else', async () => {
    const address = await start()
    const person = await service.signUp()
    const admin = await service.signUpAdmin()
    const get = async (path: string, authorization?: string) => {
      const reply = await fetch(
        address + path,
        authorization === undefined ? {} : { headers: { authorization } },
      )
      return [reply.status, reply.headers.get('www-authenticate'), await reply.text()] as const
    }
    expect(await get('/', `Bearer ${person.token}`)).toEqual([200, null, person.id])
    expect(await get('/', `bearer ${person.token}`)).toEqual([200, null, person.id])
    for (const header of [undefined, '', 'Basic eDp5', 'Bearer', `Bearer ${person.token} x`]) {
      expect((await get('/', header)).slice(0, 2)).toEqual([401, 'Bearer'])
    }
    const forged = `${person.token.slice(0, -6)}AAAAAA`
    expect((await get('/', `Bearer ${forged}`)).slice(0, 2)).toEqual([401, 'Bearer error="invalid_token"'])
    expect((await get('/admin', `Bearer ${person.token}`))[0]).toBe(403)
    expect(await get('/admin', `Bearer ${admin.token}`)).toEqual([200, null, 'admin'])
  })
})

test('a handler of requests, as Next.js has them, is given who asks', async () => {
  const person = await service.signUp()
  const handler = withUser(verify, (_request, { sub }, { id }: { id: string }) => Response.json({ sub, id }))
  const request = (authorization: string) => new Request('http://app.example', { headers: { authorization } })
  const reply = await handler(request(`Bearer ${person.token}`), { id: '7' })
  expect(await reply.json()).toEqual({ sub: person.id, id: '7' })
  expect((await handler(request('Bearer x'), { id: '7' })).status).toBe(401)
})

test('where keys can’t be had nobody is called signed out', async () => {
  const { token } = await service.signUp()
  const lost = createTokenVerifier({ url, keysUrl: 'http://127.0.0.1:1/' })
  await expect(authenticate(`Bearer ${token}`, lost)).rejects.toThrow()
})

describe('introspection', () => {
  async function introspecting(): Promise<{ roster: Roster; asked: () => number }> {
    const admin = await service.signUpAdmin()
    let count = 0
    const counting: typeof fetch = (input, init) => {
      const address = input instanceof Request ? input.url : String(input)
      if (address.endsWith('/introspect')) count += 1
      return fetch(input, init)
    }
    const roster = createRoster({ url, mode: 'token', fetch: counting })
    await roster.signIn({ email: admin.email, password: admin.password })
    return { roster, asked: () => count }
  }

  test('asks once for many, and again when its answer is old', async () => {
    const { roster, asked } = await introspecting()
    const introspect = createIntrospector({ roster, maxAge: 5 })
    const person = await service.signUp()
    const all = await Promise.all(Array.from({ length: 20 }, () => introspect(person.token)))
    expect(all.map(({ sub }) => sub)).toEqual(Array(20).fill(person.id))
    expect(asked()).toBe(1)
    await service.post('/api/v1/auth/logout', {}, { token: person.token })
    expect(await introspect(person.token)).toMatchObject({ active: true })
    const now = Date.now()
    vi.spyOn(Date, 'now').mockReturnValue(now + 5001)
    await expect(introspect(person.token)).rejects.toThrow('not active')
    vi.restoreAllMocks()
    expect(asked()).toBe(2)
  })

  test('remembers so many, and forgets a failure', async () => {
    const { roster, asked } = await introspecting()
    const introspect = createIntrospector({ roster, size: 2 })
    for (const token of ['a', 'b', 'c', 'a']) await expect(introspect(token)).rejects.toThrow('not active')
    expect(asked()).toBe(4)
    let fails = true
    const post = (...given: Parameters<Roster['post']>) =>
      fails ? Promise.reject(new TypeError('fetch failed')) : roster.post(...given)
    const flaky = createIntrospector({ roster: { post: post as Roster['post'] } })
    const person = await service.signUp()
    await expect(flaky(person.token)).rejects.toThrow('fetch failed')
    fails = false
    expect(await flaky(person.token)).toMatchObject({ sub: person.id })
  })
})
