import path from 'node:path'
import { type Program, startProgram } from '@roster/server/src/testing/program.ts'
import { temporaryFolder } from '@roster/server/src/testing/temporary-folder.ts'
import { Connection, prepare } from './connection.ts'

const password = 'SecurePass123'

export type BenchUser = { email: string; password: string; accessToken: string; refreshToken: string }

/** The service under test, as `npm start` runs it, on a database of its own in a temporary folder. */
export type Service = {
  readonly port: number
  readonly pid: number | undefined
  /** What it was started with. */
  readonly env: Record<string, string>
  /** Milliseconds from the first start, on an empty folder, to the first `/health/ready` that says yes. */
  readonly firstStart: number
  /** Ends the program and starts it again on the same data. @returns milliseconds until it was ready */
  restart(): Promise<number>
  stop(): Promise<void>
}

/**
 * Limits are counted as always, but so high that they never refuse: counting is part of what a request costs.
 */
const rateLimits = ['read', 'write', 'login', 'register', 'refresh']
  .map(group => `${group}=9999999/s`)
  .join(',')

const root = path.join(import.meta.dirname, '../..')

export async function startService(): Promise<Service> {
  const { folder, remove } = temporaryFolder()
  const env = {
    DATA_DIR: folder,
    // Tokens name it, and shall outlive a restart on another port.
    PUBLIC_URL: 'http://localhost:8000',
    RATE_LIMITS: rateLimits,
    // So that one machine can be many clients.
    TRUSTED_PROXIES: '127.0.0.1',
    NODE_COMPILE_CACHE: path.join(root, 'node_modules/.cache/compile'),
  }
  let program: Program
  async function start(): Promise<number> {
    const begin = performance.now()
    program = await startProgram(env)
    return performance.now() - begin
  }
  const firstStart = await start().catch(async error => {
    await remove()
    throw error
  })
  return {
    firstStart,
    env,
    get port() {
      return Number(new URL(program.url).port)
    },
    get pid() {
      return program.process.pid
    },
    async restart() {
      await program.end('SIGTERM')
      return start()
    },
    async stop() {
      await program.end('SIGTERM')
      await remove()
    },
  }
}

let registered = 0

export const registration = (): object => {
  registered++
  return { email: `bench-${process.pid}-${registered}@example.com`, full_name: 'Bench User', password }
}

/** Registers and signs in `count` users, as fast as the hashing allows. */
export async function signUp({ port }: Service, count: number): Promise<BenchUser[]> {
  const users: BenchUser[] = []
  const clients = Array.from({ length: Math.min(8, count) }, async () => {
    const connection = await Connection.open(port)
    while (users.length < count) users.push(await signUpOne(connection))
    connection.close()
  })
  await Promise.all(clients)
  return users.slice(0, count)
}

async function signUpOne(connection: Connection): Promise<BenchUser> {
  const created = await connection.exchange(
    prepare('POST', '/api/v1/auth/register', { body: registration() }),
  )
  const { email }: { email: string } = JSON.parse(created.body)
  const entered = await connection.exchange(loginRequest({ email, password }))
  if (entered.status !== 200) throw new Error(`a login failed: ${entered.body}`)
  const tokens: { access_token: string; refresh_token: string } = JSON.parse(entered.body)
  return { email, password, accessToken: tokens.access_token, refreshToken: tokens.refresh_token }
}

export const loginRequest = (user: { email: string; password: string }): Buffer =>
  prepare('POST', '/api/v1/auth/login', { body: { email: user.email, password: user.password } })

export const readRequest = (user: BenchUser): Buffer =>
  prepare('GET', '/api/v1/auth/me', { token: user.accessToken })
