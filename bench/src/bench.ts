import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryOf } from './processes.ts'
import {
  authenticatedReads,
  bareLogins,
  type Comparison,
  type Effort,
  logins,
  readsInLoginStorm,
  refreshes,
  registrations,
} from './scenarios.ts'
import { type BenchUser, type Service, signUp, startService } from './service.ts'
import { median } from './statistics.ts'
import { stormOfDearHashes } from './storm.ts'

export const sections = ['start', 'reads', 'logins', 'latency', 'storm', 'writes'] as const
export type Section = (typeof sections)[number]

export type Plan = {
  users: number
  reads: Effort
  logins: Effort
  /** Seconds of each. */
  latency: number
  storm: { accounts: number; attacksPerSecond: number; seconds: number }
  writes: number
  rest: number
  restarts: number
}

export const plans = {
  full: {
    users: 50,
    reads: { seconds: 2, rounds: 7 },
    logins: { seconds: 3, rounds: 6 },
    latency: 10,
    storm: { accounts: 60, attacksPerSecond: 50, seconds: 20 },
    writes: 4,
    rest: 3,
    restarts: 3,
  },
  quick: {
    users: 4,
    reads: { seconds: 0.2, rounds: 2 },
    logins: { seconds: 0.3, rounds: 2 },
    latency: 0.5,
    storm: { accounts: 4, attacksPerSecond: 50, seconds: 2 },
    writes: 0.3,
    rest: 0,
    restarts: 1,
  },
} as const satisfies Record<string, Plan>

export type Result = { name: string; value: number; unit: string; goal?: Goal }

type Goal = { kind: 'at least' | 'at most'; value: number }

/** Runs the parts in `wanted` against one service and prints a line for each figure as it comes. */
export async function bench(
  plan: Plan,
  wanted: ReadonlySet<string>,
  print: (line: string) => void,
): Promise<Result[]> {
  const results: Result[] = []
  function report(result: Result, note = ''): void {
    results.push(result)
    print(describe(result) + (note && `  (${note})`))
  }

  print(machine())
  const service = await startService()
  try {
    const users = await signUp(service, plan.users)
    if (wanted.has('start')) await reportStart(service, plan, report)
    if (wanted.has('reads')) await reportReads(service, users, plan, report)
    if (wanted.has('logins')) await reportLogins(service, users, plan, report)
    if (wanted.has('latency')) await reportLatency(service, users, plan, report)
    if (wanted.has('storm')) await reportStorm(service, users, plan, report)
    if (wanted.has('writes')) await reportWrites(service, users, plan, report)
    report({ name: 'memory after that', value: memoryOf(service.pid), unit: 'MB' })
  } finally {
    await service.stop()
  }
  return results
}

type Report = (result: Result, note?: string) => void

async function reportReads(service: Service, users: readonly BenchUser[], plan: Plan, report: Report) {
  for (const clients of [10, 100]) {
    const found = await authenticatedReads(service, users, clients, plan.reads)
    const goal = { kind: 'at least', value: 0.75 } as const
    report(
      { name: `GET /auth/me : bare Fastify, ${clients} connections`, value: found.ratio, unit: '', goal },
      compare(found),
    )
  }
}

async function reportLogins(service: Service, users: readonly BenchUser[], plan: Plan, report: Report) {
  const found = await logins(service, users, 16, plan.logins)
  const goal = { kind: 'at least', value: 0.9 } as const
  report({ name: 'logins : raw argon2id on every core', value: found.ratio, unit: '', goal }, compare(found))
  const bare = await bareLogins(users, 16, plan.logins)
  report({ name: 'logins of the barest kind : the same', value: bare.ratio, unit: '' }, compare(bare))
}

async function reportLatency(service: Service, users: readonly BenchUser[], plan: Plan, report: Report) {
  const found = await readsInLoginStorm(service, users, {
    perSecond: 1000,
    clients: 50,
    seconds: plan.latency,
  })
  report(
    {
      name: 'p95 of GET /auth/me at 1,000/s in a login storm',
      value: found.p95,
      unit: 'ms',
      goal: { kind: 'at most', value: 5 },
    },
    `p50 ${round(found.p50)}, p99 ${round(found.p99)}, max ${round(found.max)} ms; ` +
      `${round(found.loginsPerSecond)} logins/s meanwhile`,
  )
}

async function reportStorm(service: Service, users: readonly BenchUser[], plan: Plan, report: Report) {
  const found = await stormOfDearHashes(service, users, plan.storm)
  const figure = (name: string, value: number, limit?: number) =>
    report({ name, value, unit: 'ms', ...(limit && { goal: { kind: 'at most', value: limit } }) })
  report(
    {
      name: 'p95 of known devices in a storm of dear hashes',
      value: found.honestP95,
      unit: 'ms',
      goal: { kind: 'at most', value: 3000 },
    },
    `${found.judged} of the storm judged, ${found.refused} told to come back`,
  )
  figure('p95 of those told to come back', found.refusedP95)
  figure('p95 of GET /auth/me meanwhile', found.readsP95, 5)
}

async function reportWrites(service: Service, users: readonly BenchUser[], plan: Plan, report: Report) {
  report({ name: 'refreshes', value: await refreshes(service, users, plan.writes), unit: '/s' })
  report({ name: 'registrations', value: await registrations(service, plan.writes), unit: '/s' })
}

/** Memory of the service's process alone: PostgreSQL's is its cache, and hashing starts with the first password. */
async function reportStart(service: Service, plan: Plan, report: Report) {
  report({ name: 'first start to ready', value: service.firstStart / 1000, unit: 's' })
  const times: number[] = []
  for (let n = 0; n < plan.restarts; n++) times.push(await service.restart())
  const goal = { kind: 'at most', value: 2.5 } as const
  report({ name: 'warm restart to ready', value: median(times) / 1000, unit: 's', goal })
  await sleep(plan.rest * 1000)
  const atRest = { kind: 'at most', value: 150 } as const
  report({ name: 'memory at rest', value: memoryOf(service.pid), unit: 'MB', goal: atRest })
}

function compare({ ours, limit, oursCpu, limitCpu, ratios }: Comparison): string {
  const cpu = (value: number | undefined) => (value === undefined ? '' : `, ${round(value)} µs CPU each`)
  return (
    `${round(ours)}/s${cpu(oursCpu)} : ${round(limit)}/s${cpu(limitCpu)}; ` +
    `turns ${ratios.map(round).join(' ')}`
  )
}

function describe({ name, value, unit, goal }: Result): string {
  const figure = `${round(value)}${unit && ` ${unit}`}`
  return `${name.padEnd(50)} ${figure.padStart(10)}${goal ? `  ${isMet(goal, value) ? 'ok' : 'MISSED'}, goal ${goal.kind} ${goal.value}` : ''}`
}

const isMet = (goal: Goal, value: number): boolean =>
  goal.kind === 'at least' ? value >= goal.value : value <= goal.value

const round = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)

function machine(): string {
  const model = os.cpus()[0]?.model.trim() ?? 'unknown processor'
  const memory = Math.round(os.totalmem() / 2 ** 30)
  return `${os.availableParallelism()} cores of ${model}, ${memory} GB, Node ${process.versions.node}, ${os.platform()}, load ${round(os.loadavg()[0] ?? 0)}`
}
