import type { Logger } from 'pino'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Watched } from '../lib/watched.ts'

/** Sees to it that the background work of one process goes on. */
export type Watch = {
  add(...tasks: readonly Watched[]): void
  /** What health checks ask: each rejects while its task does not work. */
  probes(): Record<string, () => Promise<void>>
  start(): void
  stop(): void
}

export type WatchDeps = {
  log: Logger
  registry: Registry
  /** Whether the database answers: while it does not, no new process would do better. */
  isDatabaseUp: () => boolean
  /** The last resort: ends the process, so that whoever runs it starts another. */
  giveUp: (task: string) => void
}

const lookEvery = 1000
/** Milliseconds between two attempts to begin a task anew. */
const restartEvery = 20_000
/** Milliseconds for which a task may be dead with the database there, whatever was tried. */
const giveUpAfter = 120_000
/** Milliseconds for which a task may fail before that counts: things come back by themselves. */
const failingLimit = 20_000
/** A look so late, in milliseconds, says that the whole process stood still, and nothing of its tasks. */
const standstill = 5000
/** Milliseconds that tasks get to find their way: from the start, after a standstill, and once the database is back. */
const grace = 15_000

type State = 'works' | 'fails' | 'dead'

type Entry = {
  task: Watched
  state: State
  /** When it stopped working. */
  since: number
  /** Since when it is dead although the database answers, whatever was tried. */
  deadSince: number | undefined
  restartedAt: number
}

/**
 * Looks once a second whether each task has shown the sign of life that was due. One that has not is begun anew;
 * where that does not help for two minutes, the process is given up. Each change is said once in the log, both ways.
 */
export function createWatch({ log, registry, isDatabaseUp, giveUp }: WatchDeps): Watch {
  const entries: Entry[] = []
  const restarts = new Counter({
    name: 'background_restarts_total',
    help: 'How often a background task had to be begun anew.',
    labelNames: ['task'],
    registers: [registry],
  })
  let timer: NodeJS.Timeout | undefined
  let lookedAt = 0
  let givenUp = false
  /** Nobody counts as dead before. */
  let patientUntil = performance.now() + grace
  watchStates(registry, () =>
    entries.map(entry => ({
      task: entry.task.name,
      works: stateOf(entry, performance.now()) === 'works',
    })),
  )

  function stateOf({ task, state }: Entry, now: number): State {
    if (now < patientUntil) return state
    if (now > task.dueBy()) return 'dead'
    const failingSince = task.failingSince?.()
    return failingSince !== undefined && now - failingSince > failingLimit ? 'fails' : 'works'
  }

  function look(): void {
    const now = performance.now()
    if (now - lookedAt > lookEvery + standstill || !isDatabaseUp()) {
      patientUntil = now + grace
      for (const entry of entries) entry.deadSince = undefined
    }
    lookedAt = now
    if (now < patientUntil) return
    for (const entry of entries) {
      noteState(entry, stateOf(entry, now), now)
      if (entry.state === 'dead') revive(entry, now)
    }
  }

  function noteState(entry: Entry, state: State, now: number): void {
    const before = entry.state
    if (state === before) return
    entry.state = state
    const { name } = entry.task
    if (before === 'works') entry.since = now
    if (state === 'works') {
      entry.deadSince = undefined
      const seconds = Math.round((now - entry.since) / 1000)
      log.info({ task: name, seconds }, `background work goes on: ${words(name)}, after ${seconds} s`)
    } else if (state === 'dead') {
      log.error({ task: name }, `background work shows no sign of life: ${words(name)}; it is begun anew`)
    } else {
      log.error({ task: name }, `background work fails again and again: ${words(name)}`)
    }
  }

  function revive(entry: Entry, now: number): void {
    const { task } = entry
    entry.deadSince ??= now
    if (now - entry.deadSince >= giveUpAfter && !givenUp) {
      givenUp = true
      log.fatal(
        { task: task.name },
        `background work can't be begun anew: ${words(task.name)}; this process ends, to be started again`,
      )
      giveUp(task.name)
    }
    if (now - entry.restartedAt < restartEvery) return
    entry.restartedAt = now
    restarts.inc({ task: task.name })
    Promise.try(() => task.restart()).catch(error =>
      log.debug({ task: task.name, err: error }, 'background work could not be begun anew yet'),
    )
  }

  return {
    add(...tasks) {
      for (const task of tasks) {
        const restartedAt = Number.NEGATIVE_INFINITY
        entries.push({ task, state: 'works', since: 0, deadSince: undefined, restartedAt })
      }
    },
    probes: () =>
      Object.fromEntries(
        entries.map(entry => [
          entry.task.name,
          async () => {
            if (stateOf(entry, performance.now()) !== 'works') throw new Error(entry.state)
          },
        ]),
      ),
    start() {
      lookedAt = performance.now()
      timer = setInterval(look, lookEvery)
      timer.unref()
    },
    stop: () => clearInterval(timer),
  }
}

const words = (name: string): string => name.replaceAll('_', ' ')

function watchStates(registry: Registry, read: () => { task: string; works: boolean }[]): void {
  new Gauge({
    name: 'background_up',
    help: 'Whether a background task works (1) or has ended, hangs or fails (0).',
    labelNames: ['task'],
    registers: [registry],
    // Of several processes behind one port, the worst.
    aggregator: 'min',
    collect() {
      for (const { task, works } of read()) this.set({ task }, works ? 1 : 0)
    },
  })
}
