import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Connection, prepare, type Reply } from './connection.ts'
import { closedLoop, openLoop } from './load.ts'
import { cpuOf, startHelper } from './processes.ts'
import { type BenchUser, loginRequest, readRequest, registration, type Service } from './service.ts'
import { inTurns, percentile } from './statistics.ts'

/** How long and how often each thing is measured. */
export type Effort = { seconds: number; rounds: number }

export type Comparison = {
  ours: number
  limit: number
  ratio: number
  ratios: number[]
  /** CPU of the server process a request, in µs, where the system tells. */
  oursCpu?: number
  limitCpu?: number
}

/** `GET /auth/me` with real tokens against a bare Fastify that answers the same bytes. */
export async function authenticatedReads(
  service: Service,
  users: readonly BenchUser[],
  clients: number,
  { seconds, rounds }: Effort,
): Promise<Comparison> {
  const requests = users.map(readRequest)
  const bare = await startHelper(new URL('./bare-route.ts', import.meta.url))
  try {
    const { port } = await bare.ask<{ port: number }>({ body: await readOnce(service, requests[0]) })
    const ours = meter(service.pid)
    const limit = meter(bare.pid)
    const run = (to: number, length: number) =>
      closedLoop({
        port: to,
        clients,
        seconds: length,
        next: client => pick(requests, client),
        expected: 200,
      })
    await run(port, seconds / 2)
    await run(service.port, seconds / 2)
    const result = await inTurns(
      rounds,
      () => ours.measure(seconds, () => run(service.port, seconds)),
      () => limit.measure(seconds, () => run(port, seconds)),
    )
    return {
      ...result,
      ...(ours.perRequest() !== undefined && { oursCpu: ours.perRequest(), limitCpu: limit.perRequest() }),
    } as Comparison
  } finally {
    await bare.end()
  }
}

/** Logins against raw argon2id in as many processes as there are cores. */
export async function logins(
  service: Service,
  users: readonly BenchUser[],
  clients: number,
  effort: Effort,
): Promise<Comparison> {
  const server = meter(service.pid)
  const run = (length: number) => signIns(service.port, users, clients, length)
  const found = await againstRawHashing(effort, seconds => server.measure(seconds, () => run(seconds)))
  const cpu = server.perRequest()
  return { ...found, ...(cpu !== undefined && { oursCpu: cpu }) }
}

/** The same with a server that does nothing at a login but look a hash up, check it and keep one row. */
export async function bareLogins(
  users: readonly BenchUser[],
  clients: number,
  effort: Effort,
): Promise<Comparison> {
  const bare = await startHelper(new URL('./bare-login.ts', import.meta.url))
  try {
    const emails = users.map(({ email }) => email)
    const { port } = await bare.ask<{ port: number }>({ password: users[0]?.password, emails })
    return await againstRawHashing(effort, seconds => signIns(port, users, clients, seconds))
  } finally {
    await bare.end()
  }
}

/** @param run signs in for so many seconds, and says how often in each */
async function againstRawHashing(
  { seconds, rounds }: Effort,
  run: (seconds: number) => Promise<number>,
): Promise<Comparison> {
  const file = new URL('./raw-hashing.ts', import.meta.url)
  const processes = await Promise.all(
    Array.from({ length: os.availableParallelism() }, () => startHelper(file)),
  )
  async function raw(length: number): Promise<number> {
    const counts = await Promise.all(
      processes.map(one => one.ask<{ perSecond: number }>({ seconds: length })),
    )
    return counts.reduce((sum, { perSecond }) => sum + perSecond, 0)
  }
  try {
    await raw(seconds / 4)
    await run(seconds / 2)
    return await inTurns(
      rounds,
      () => run(seconds),
      () => raw(seconds),
    )
  } finally {
    await Promise.all(processes.map(one => one.end()))
  }
}

/** As many logins as `clients` get through. @returns logins per second */
function signIns(
  port: number,
  users: readonly BenchUser[],
  clients: number,
  seconds: number,
): Promise<number> {
  const requests = users.map(loginRequest)
  let turn = 0
  return closedLoop({
    port,
    clients,
    seconds,
    next: () => pick(requests, turn++),
    expected: 200,
    comesBack: true,
  })
}

export type Latency = { p50: number; p95: number; p99: number; max: number; loginsPerSecond: number }

/** `GET /auth/me` offered at a constant rate while clients do nothing but sign in. */
export async function readsInLoginStorm(
  service: Service,
  users: readonly BenchUser[],
  options: { perSecond: number; clients: number; seconds: number },
): Promise<Latency> {
  const reads = users.map(readRequest)
  // It begins before the first read and ends after the last.
  const storm = signIns(service.port, users, options.clients, options.seconds + 1)
  await sleep(500)
  const times = await openLoop({
    port: service.port,
    perSecond: options.perSecond,
    seconds: options.seconds,
    next: number => pick(reads, number),
    expected: 200,
  })
  return {
    p50: percentile(times, 0.5),
    p95: percentile(times, 0.95),
    p99: percentile(times, 0.99),
    max: Math.max(...times),
    loginsPerSecond: await storm,
  }
}

/** Refreshes per second, each client with a chain of its own. Moves the users' refresh tokens on. */
export async function refreshes(
  service: Service,
  users: readonly BenchUser[],
  seconds: number,
): Promise<number> {
  return closedLoop({
    port: service.port,
    clients: Math.min(16, users.length),
    seconds,
    next: client =>
      prepare('POST', '/api/v1/auth/refresh', { body: { refresh_token: pick(users, client).refreshToken } }),
    expected: 200,
    onReply(reply: Reply, client) {
      const tokens: { refresh_token: string } = JSON.parse(reply.body)
      pick(users, client).refreshToken = tokens.refresh_token
    },
  })
}

export const registrations = (service: Service, seconds: number): Promise<number> =>
  closedLoop({
    port: service.port,
    clients: 16,
    seconds,
    next: () => prepare('POST', '/api/v1/auth/register', { body: registration() }),
    expected: 201,
    comesBack: true,
  })

async function readOnce({ port }: Service, request: Buffer | undefined): Promise<string> {
  const connection = await Connection.open(port)
  const { body } = await connection.exchange(request ?? Buffer.alloc(0))
  connection.close()
  return body
}

function pick<T>(from: readonly T[], number: number): T {
  const one = from[number % from.length]
  if (one === undefined) throw new Error('nothing to pick from')
  return one
}

/** Sets the CPU that a process uses against what it answers. */
function meter(pid: number | undefined) {
  let cpu: number | undefined = 0
  let requests = 0
  return {
    async measure(seconds: number, run: () => Promise<number>): Promise<number> {
      const before = cpuOf(pid)
      const perSecond = await run()
      const after = cpuOf(pid)
      cpu =
        cpu === undefined || before === undefined || after === undefined ? undefined : cpu + after - before
      requests += perSecond * seconds
      return perSecond
    },
    perRequest: () => (cpu === undefined || requests === 0 ? undefined : (cpu / requests) * 1e6),
  }
}
