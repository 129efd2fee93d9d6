import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { AggregatorRegistry, type MetricObject, type Registry } from 'prom-client'
import { withTimeout } from './lib/promises.ts'

/*
 * WORKERS=n: several processes behind one port. The primary owns the port and, where nobody brought one, the
 * database; it hands each connection to a worker in turn, and replaces a worker that dies. A worker is a whole
 * service. All share nothing but the database, as processes on different machines do.
 */

/** Whether this process is one of several behind a port. */
export const isGroupMember = (): boolean => cluster.isWorker

/** Whether it is the one that speaks to the person at the terminal: replacements keep quiet. */
export const isFirstMember = (): boolean => cluster.worker === undefined || cluster.worker.id === 1

/** Lets go of the primary, which would otherwise keep this process alive. */
export function leaveGroup(): void {
  if (cluster.isWorker) process.disconnect?.()
}

export type GroupOptions = {
  size: number
  log: Logger
  /** Variables that the workers get besides the primary's own. */
  env: Readonly<Record<string, string>>
}

export type Group = {
  /** Lets every worker finish what it has under way. */
  stop(): Promise<void>
}

/** Milliseconds before a worker that died is replaced; doubled each time, until one has lived for a while. */
const firstPause = 200
const longestPause = 5000
const livedLongEnough = 30_000

/**
 * Starts the workers and keeps their number.
 * @throws where one ends before any has been ready: the next would not do better
 */
export async function startGroup({ size, log, env }: GroupOptions): Promise<Group> {
  let stopped = false
  let pause = firstPause
  const { promise: ready, resolve: firstIsReady, reject: firstFailed } = Promise.withResolvers<void>()

  function startWorker() {
    const startedAt = performance.now()
    const worker = cluster.fork(env)
    worker.once('listening', () => firstIsReady())
    worker.on('message', message => answerMember(worker, message))
    // A connection was handed to one that is just ending: the client tries again, and 'exit' says the rest.
    worker.on('error', error =>
      log.warn({ err: error, pid: worker.process.pid }, 'a worker could not be reached'),
    )
    worker.once('exit', (code, signal) => {
      if (stopped) return
      firstFailed(new Error(`a worker ended (${signal ?? code}) before it was ready`))
      if (performance.now() - startedAt > livedLongEnough) pause = firstPause
      log.error({ pid: worker.process.pid, exit_code: code, signal }, 'a worker ended; starting another')
      setTimeout(() => !stopped && startWorker(), pause)
      pause = Math.min(pause * 2, longestPause)
    })
  }

  for (let n = 0; n < size; n++) startWorker()
  const group = {
    async stop() {
      stopped = true
      const workers = members()
      for (const worker of workers) worker.process.kill('SIGTERM')
      await Promise.all(workers.map(worker => worker.isDead() || once(worker, 'exit')))
    },
  }
  try {
    await ready
    return group
  } catch (error) {
    await group.stop()
    throw error
  }
}

const members = (): Worker[] => Object.values(cluster.workers ?? {}).filter(worker => worker !== undefined)

type Part = MetricObject[]
type Message =
  | { roster: 'ask'; id: number }
  | { roster: 'part'; id: string; part: Part }
  | { roster: 'part-wanted'; id: string }
  | { roster: 'answer'; id: number; text: string }

const isMessage = (message: unknown): message is Message =>
  typeof message === 'object' && message !== null && 'roster' in message

/** Milliseconds after which a worker that has not told its metrics is left out of the sum. */
const patience = 1000
const collections = new Map<string, (worker: number, part: Part) => void>()

/** The primary's side of {@link groupMetrics}. */
async function answerMember(asker: Worker, message: unknown): Promise<void> {
  if (!isMessage(message)) return
  if (message.roster === 'part') collections.get(message.id)?.(asker.id, message.part)
  if (message.roster !== 'ask') return
  const id = `${asker.id}/${message.id}`
  const parts = new Map<number, Part>()
  const expected = members().filter(worker => worker.isConnected())
  const { promise, resolve } = Promise.withResolvers<void>()
  collections.set(id, (worker, part) => {
    parts.set(worker, part)
    if (parts.size >= expected.length) resolve()
  })
  for (const worker of expected) tell(worker, { roster: 'part-wanted', id })
  await Promise.race([promise, sleep(patience)])
  collections.delete(id)
  const text = await AggregatorRegistry.aggregate([...parts.values()]).metrics()
  tell(asker, { roster: 'answer', id: message.id, text })
}

/** With a callback: to one that is just ending, the failure would else be an `error` event that ends this process. */
function tell(other: Worker | NodeJS.Process, message: Message): void {
  other.send?.(message, undefined, undefined, () => undefined)
}

/** Lets a worker answer `/metrics` for all of them: whichever is asked, the numbers are those of the group. */
export function groupMetrics(registry: Registry): () => Promise<string> {
  let last = 0
  const waiting = new Map<number, (text: string) => void>()
  process.on('message', async (message: unknown) => {
    if (!isMessage(message)) return
    if (message.roster === 'answer') waiting.get(message.id)?.(message.text)
    if (message.roster !== 'part-wanted') return
    const part = await registry.getMetricsAsJSON()
    tell(process, { roster: 'part', id: message.id, part })
  })
  return async () => {
    const id = ++last
    const { promise, resolve } = Promise.withResolvers<string>()
    waiting.set(id, resolve)
    tell(process, { roster: 'ask', id })
    return withTimeout(promise, 2 * patience, () => new Error('the primary did not answer'))
      .catch(() => registry.metrics())
      .finally(() => waiting.delete(id))
  }
}
