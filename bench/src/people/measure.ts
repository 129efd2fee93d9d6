import { setTimeout as sleep } from 'node:timers/promises'
import { Connection, prepare } from '../connection.ts'
import { closedLoop, openLoop } from '../load.ts'
import { inTurns, percentile } from '../statistics.ts'
import { abilities, jobs, names, places } from './seed.ts'
import { pick, timesOf } from './timing.ts'
import type { World } from './world.ts'

const random = (array: readonly string[]): string => pick(array, Math.floor(Math.random() * array.length))
const part = (word: string, from: number, size: number): string => word.slice(from, from + size).toLowerCase()
const letter = (): string => 'abcdefghijklmnopqrstuvwxyz'[Math.floor(Math.random() * 26)] ?? 'a'

/** What people search for, each kind with as many different words as there are. */
const searches: Readonly<Record<string, () => string>> = {
  'prefix of a name': () => `q=${part(random(names), 0, 4)}`,
  'first and last name': () => `q=${random(names)}%20${letter()}`,
  'inside of a name': () => `q=${part(random(['steinmann', 'waldbach', 'martinson', 'garciasch']), 1, 4)}`,
  'one letter': () => `q=${letter()}`,
  'two letters': () => `q=${letter()}${letter()}`,
  'a skill': () => `skills=${encodeURIComponent(random(abilities))}`,
  'a location': () => `location=${random(places)}`,
  'a title': () => `title=${random(jobs)}`,
  'all of them': () =>
    `q=${part(random(names), 0, 3)}&location=${random(places)}&skills=${encodeURIComponent(random(abilities))}`,
  'what nobody has': () => `q=${letter()}qj${letter()}zx`,
}

export type SearchTimes = { kind: string; p50: number; p95: number; perSecond: number }

/** How long searches take with ten clients at once, in milliseconds, by kind. */
export async function searchTimes({ port, tokens }: World, seconds: number): Promise<SearchTimes[]> {
  const results: SearchTimes[] = []
  for (const [kind, query] of Object.entries(searches)) {
    const next = (n: number) => prepare('GET', `/api/v1/users/search?${query()}`, { token: pick(tokens, n) })
    await timesOf({ port, clients: 10, seconds: seconds / 4, next })
    const times = await timesOf({ port, clients: 10, seconds, next })
    results.push({
      kind,
      p50: percentile(times, 0.5),
      p95: percentile(times, 0.95),
      perSecond: times.length / seconds,
    })
  }
  return results
}

/** Reads of one's own settings against reads of one's own record; both of users who were here a moment ago. */
export function settingsAgainstRecord({ port, tokens }: World, effort: { seconds: number; rounds: number }) {
  const requests = (path: string) => tokens.map(token => prepare('GET', `/api/v1${path}`, { token }))
  const run = (path: string) => {
    const prepared = requests(path)
    return () =>
      closedLoop({ port, clients: 10, seconds: effort.seconds, next: n => pick(prepared, n), expected: 200 })
  }
  return inTurns(effort.rounds, run('/users/me/settings'), run('/auth/me'))
}

/** The same of users whom the process doesn't remember: each read is a look-up in the database. */
export function coldSettingsAgainstRecord(
  { port, admin, ids }: World,
  effort: { seconds: number; rounds: number },
) {
  let at = 0
  const run = (path: (id: string) => string) => () =>
    closedLoop({
      port,
      clients: 10,
      seconds: effort.seconds,
      next() {
        at += 1
        return prepare('GET', path(pick(ids, at * 7919)), { token: admin })
      },
      expected: 200,
    })
  return inTurns(
    effort.rounds,
    run(id => `/api/v1/users/${id}/settings`),
    run(id => `/api/v1/users/${id}`),
  )
}

export type DryRunEffect = {
  /** p95 of others' requests during the run to that without one. */
  ratio: number
  seconds: number
  checked: number
  invalid: number
  /** How many different states of progress were seen. */
  steps: number
}

/** A dry-run over everybody's values while others read and write at a constant rate. */
export async function dryRunEffect(
  world: World,
  options: { perSecond: number; seconds: number },
): Promise<DryRunEffect> {
  const { port, tokens } = world
  let n = 0
  const others = () =>
    openLoop({
      port,
      ...options,
      expected: 200,
      next() {
        n += 1
        const token = pick(tokens, n)
        if (n % 5) return prepare('GET', '/api/v1/users/me', { token })
        return prepare('PUT', '/api/v1/users/me/settings', {
          token,
          body: { 'ui.font_scale': 1 + (n % 90) / 100 },
        })
      },
    })
  const quiet: number[] = []
  const disturbed: number[] = []
  await others()
  quiet.push(percentile(await others(), 0.95))
  const run = followDryRun(world)
  while (!run.ended()) disturbed.push(percentile(await others(), 0.95))
  quiet.push(percentile(await others(), 0.95))
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  return { ratio: mean(disturbed) / mean(quiet), ...(await run.result) }
}

function followDryRun({ port, admin }: World) {
  let ended = false
  const began = performance.now()
  const result = (async () => {
    const connection = await Connection.open(port)
    const url = '/api/v1/settings/definitions/job.salary_min/dry-run'
    const body = { validation_rules: { min: 0, max: 50_000 } }
    const started = await connection.exchange(prepare('POST', url, { token: admin, body }))
    let state = JSON.parse(started.body)
    const seen = new Set<number>()
    while (state.status === 'running') {
      seen.add(state.checked)
      await sleep(200)
      const reply = await connection.exchange(prepare('GET', `${url}/${state.id}`, { token: admin }))
      state = JSON.parse(reply.body)
    }
    connection.close()
    ended = true
    return {
      seconds: (performance.now() - began) / 1000,
      checked: Number(state.checked),
      invalid: Number(state.invalid),
      steps: seen.size,
    }
  })()
  return { ended: () => ended, result }
}
