export type Loop = {
  start(): void
  /** Runs the next turn at once, or right after the one under way if that does not throw. */
  wake(): void
  /** Waits for the turn under way; there is none after it. */
  stop(): Promise<void>
}

export type LoopOptions = {
  /** One turn. True: there is more to do, so the next follows at once. */
  turn: () => Promise<boolean>
  /** Milliseconds between turns with nothing to do. */
  idle: number
  /** Told of a turn that threw. The pause after it grows from `idle` to five seconds. */
  failed: (error: unknown) => void
}

/** Does a thing again and again, one turn at a time, until it is stopped. No error ends it. */
export function createLoop({ turn, idle, failed }: LoopOptions): Loop {
  let running: Promise<void> | undefined
  let stopped = true
  let failures = 0
  let woken = false
  let interrupt = () => {}

  async function run(): Promise<void> {
    while (!stopped) {
      let busy = false
      woken = false
      try {
        busy = await turn()
        failures = 0
      } catch (error) {
        failures += 1
        // What fails must not be tried without a pause, however often somebody wakes it meanwhile.
        woken = false
        failed(error)
      }
      if (!busy && !woken && !stopped) await pause(Math.min(idle * 2 ** failures, Math.max(idle, 5000)))
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

  return {
    start() {
      if (!stopped) return
      stopped = false
      running = run()
    },
    wake() {
      woken = true
      interrupt()
    },
    async stop() {
      stopped = true
      interrupt()
      await running
    },
  }
}
