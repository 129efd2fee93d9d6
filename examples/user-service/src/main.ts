import { startUserService } from './service.ts'

const {
  ROSTER_URL = 'http://localhost:8000',
  ROSTER_EMAIL = '',
  ROSTER_PASSWORD = '',
  DATABASE_URL = '',
  RABBITMQ_URL,
  PORT = '8100',
} = process.env

const service = await startUserService({
  rosterUrl: ROSTER_URL,
  email: ROSTER_EMAIL,
  password: ROSTER_PASSWORD,
  databaseUrl: DATABASE_URL,
  rabbitmqUrl: RABBITMQ_URL,
  port: Number(PORT),
})
console.log(`user-service at ${service.url}`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => service.stop())
