import { setTimeout as sleep } from 'node:timers/promises'
import { administratorToken } from './administrator.ts'
import { Connection, prepare, type Reply } from './connection.ts'
import { openLoop } from './load.ts'
import { type BenchUser, readRequest, type Service } from './service.ts'
import { percentile } from './statistics.ts'

/* Strangers sign in to accounts whose hashes are the dearest that may be imported; owners want in meanwhile. */

/** Milliseconds, and how many attempts of the storm were judged and how many told to come back. */
export type StormFigures = {
  honestP95: number
  refusedP95: number
  readsP95: number
  judged: number
  refused: number
}

const dearest = `$2b$13$${'.'.repeat(53)}`

export async function stormOfDearHashes(
  service: Service,
  users: readonly BenchUser[],
  options: { accounts: number; attacksPerSecond: number; seconds: number },
): Promise<StormFigures> {
  const targets = await importAccounts(service, options.accounts)
  const honest = await Promise.all(users.slice(0, 8).map(user => knownLogin(service, user)))
  const reads = users.map(readRequest)
  const over = { storm: false }
  const storm = attack(service.port, targets, options.attacksPerSecond, over)
  await sleep(300)
  try {
    const [honestTimes, readTimes] = await Promise.all([
      honestLogins(service.port, honest, options.seconds),
      openLoop({
        port: service.port,
        perSecond: 200,
        seconds: options.seconds,
        next: number => reads[number % reads.length] as Buffer, // never empty
        expected: 200,
      }),
    ])
    over.storm = true
    const { judged, refused } = await storm
    return {
      honestP95: percentile(honestTimes, 0.95),
      refusedP95: percentile(refused, 0.95),
      readsP95: percentile(readTimes, 0.95),
      judged,
      refused: refused.length,
    }
  } finally {
    over.storm = true
  }
}

async function importAccounts(service: Service, count: number): Promise<string[]> {
  const url = `http://127.0.0.1:${service.port}`
  const token = await administratorToken(url, service.env)
  const emails = Array.from({ length: count }, (_, n) => `dear-${process.pid}-${n}@bench.example`)
  for (const email of emails) {
    const reply = await fetch(`${url}/api/v1/users`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ email, password_hash: dearest }),
    })
    if (reply.status !== 201) throw new Error(`no import: ${reply.status} ${await reply.text()}`)
  }
  return emails
}

/** A login of a browser that its owner signed in from before. */
async function knownLogin({ port, env }: Service, { email, password }: BenchUser): Promise<Buffer> {
  const headers = { 'X-Roster-Client': 'browser', Origin: String(env.PUBLIC_URL) }
  const reply = await fetch(`http://127.0.0.1:${port}/api/v1/auth/login`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  })
  const device = reply.headers.getSetCookie().find(cookie => cookie.includes('roster_device='))
  if (device === undefined) throw new Error(`no device: ${reply.status} ${await reply.text()}`)
  const Cookie = device.split(';', 1)[0] ?? ''
  return prepare('POST', '/api/v1/auth/login', { body: { email, password }, headers: { ...headers, Cookie } })
}

/** Four a second, whatever the replies do. @returns milliseconds of each */
async function honestLogins(port: number, requests: readonly Buffer[], seconds: number): Promise<number[]> {
  const times: Promise<number>[] = []
  for (let n = 0; n < seconds * 4; n += 1) {
    times.push(timed(port, requests[n % requests.length] as Buffer, 200)) // never empty
    await sleep(250)
  }
  return Promise.all(times)
}

/** An owner who is told to come back does so, each second, and all of it is the time of their login. */
async function timed(port: number, request: Buffer, expected: number): Promise<number> {
  const connection = await Connection.open(port)
  const began = performance.now()
  let reply = await connection.exchange(request)
  while (reply.status === 503) {
    await sleep(1000)
    reply = await connection.exchange(request)
  }
  connection.close()
  if (reply.status !== expected) throw new Error(`an honest login failed: ${reply.status} ${reply.body}`)
  return performance.now() - began
}

/** Each attempt comes from an address of its own: no limit of one address holds them back. */
async function attack(
  port: number,
  targets: readonly string[],
  perSecond: number,
  over: { storm: boolean },
): Promise<{ judged: number; refused: number[] }> {
  const idle: Connection[] = []
  const refused: number[] = []
  const underWay: Promise<void>[] = []
  let judged = 0

  async function attempt(number: number): Promise<void> {
    const connection = idle.pop() ?? (await Connection.open(port))
    const email = targets[number % targets.length]
    const address = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`
    const request = prepare('POST', '/api/v1/auth/login', {
      body: { email, password: 'WrongPass123' },
      headers: { 'X-Forwarded-For': address },
    })
    const began = performance.now()
    const reply = await connection.exchange(request)
    if (isRefusal(reply)) refused.push(performance.now() - began)
    else judged += 1
    idle.push(connection)
  }

  for (let number = 0; !over.storm; number += 1) {
    underWay.push(attempt(number))
    await sleep(1000 / perSecond)
  }
  await Promise.all(underWay)
  for (const connection of idle) connection.close()
  return { judged, refused }
}

function isRefusal({ status, body }: Reply): boolean {
  if (status === 401 || status === 429) return false
  const { retry_after }: { retry_after?: number } = JSON.parse(body)
  if (status !== 503 || retry_after === undefined) throw new Error(`an unexpected reply: ${status} ${body}`)
  return true
}
