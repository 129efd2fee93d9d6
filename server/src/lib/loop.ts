import { onProgress } from './progress.ts'
import type { Watched } from './watched.ts'

export type Loop = {
  start(): void
  /** Runs the next turn at once, or right after the one under way if that does not throw. */
  wake(): void
  /** Waits for the turn under way; there is none after it. */
  stop(): Promise<void>
  /** For whoever sees to it that the turns go on: see watch/watch.ts. */
  watched: Watched
}

export type LoopOptions = {
  /** What it does, for logs, health and metrics: `event_numbering`. */
  name: string
  /** One turn. True: there is more to do, so the next follows at once. */
  turn: () => Promise<boolean>
  /** Milliseconds between turns with nothing to do. */
  idle: number
  /** Told of a turn that threw. The pause after it grows from `idle` to five seconds. */
  failed: (error: unknown) => void
  /** Told of the first turn that did not throw after one that did. */
  recovered?: () => void
  /** Lets go of what a turn that hangs may hold, before the loop begins anew without it. */
  letGo?: () => void
}

/** Milliseconds that a turn may take without progress. What it waits for has limits of its own, all of them shorter. */
const turnLimit = 20_000

/**
 * Does a thing again and again, one turn at a time, until it is stopped. No error ends it. A turn that never ends
 * is left behind by `watched.restart()`: nothing follows on it any more.
 */
export function createLoop({ name, turn, idle, failed, recovered, letGo }: LoopOptions): Loop {
  /** Which of the runs is the one that counts: all before it were left behind. */
  let generation = 0
  let running: Promise<void> | undefined
  let stopped = true
  let failures = 0
  let failingSince: number | undefined
  let turnedAt = 0
  let woken = false
  let interrupt = () => {}

  const live = () => {
    turnedAt = performance.now()
  }

  async function run(): Promise<void> {
    const mine = ++generation
    const isOver = () => stopped || mine !== generation
    while (!isOver()) {
      let busy = false
      woken = false
      try {
        busy = await onProgress(() => !isOver() && live(), turn)
        if (isOver()) return
        if (failures > 0) recovered?.()
        failures = 0
        failingSince = undefined
      } catch (error) {
        if (isOver()) return
        failures += 1
        failingSince ??= performance.now()
        // What fails must not be tried without a pause, however often somebody wakes it meanwhile.
        woken = false
        failed(error)
      }
      live()
      if (!busy && !woken && !isOver()) await pause(Math.min(idle * 2 ** failures, Math.max(idle, 5000)))
    }
  }

  function pause(milliseconds: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, milliseconds)
      interrupt = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  function start() {
    if (!stopped) return
    stopped = false
    live()
    running = run()
  }

  return {
    start,
    wake() {
      woken = true
      interrupt()
    },
    async stop() {
      stopped = true
      interrupt()
      await running
    },
    watched: {
      name,
      dueBy: () => (stopped ? Number.POSITIVE_INFINITY : turnedAt + idle + turnLimit),
      failingSince: () => failingSince,
      restart() {
        if (stopped) return
        letGo?.()
        interrupt()
        running = run()
      },
    },
  }
}
