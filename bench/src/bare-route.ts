import fastify from 'fastify'

/* The limit: a Fastify with one route and nothing else, answering the bytes that it is told. */

const app = fastify()
let body = ''
app.get('/api/v1/auth/me', (_request, reply) => {
  reply.type('application/json; charset=utf-8').send(body)
})
const address = await app.listen({ host: '127.0.0.1', port: 0 })

process.on('message', (message: { body: string }) => {
  body = message.body
  process.send?.({ port: Number(new URL(address).port) })
})
process.on('disconnect', () => process.exit(0))
