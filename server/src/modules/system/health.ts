/** Where the process is in its life. `draining` begins with SIGTERM, before the port closes. */
export type Phase = 'starting' | 'ready' | 'draining'

/** One thing the service needs, by what proves that it answers. */
export type Probe = () => Promise<void>

export type DependencyState = { state: 'up' | 'down'; latency_ms: number | null }

/** Milliseconds after which a dependency that has not answered counts as down. */
const patience = 2000

/**
 * Asks every dependency at once, and answers within two seconds whatever they do. A probe that hangs is not
 * started again until it ends, so that health checks against a dead database pile nothing up.
 */
export function createHealthChecks(probes: Readonly<Record<string, Probe>>) {
  const checks = Object.entries(probes).map(([name, probe]) => [name, createCheck(probe)] as const)
  return async (): Promise<Record<string, DependencyState>> =>
    Object.fromEntries(await Promise.all(checks.map(async ([name, check]) => [name, await check()] as const)))
}

function createCheck(probe: Probe): () => Promise<DependencyState> {
  let running: Promise<DependencyState> | undefined
  return () => {
    running ??= measure(probe).finally(() => {
      running = undefined
    })
    return withPatience(running)
  }
}

async function measure(probe: Probe): Promise<DependencyState> {
  const start = performance.now()
  try {
    await probe()
    return { state: 'up', latency_ms: Math.round((performance.now() - start) * 100) / 100 }
  } catch {
    return { state: 'down', latency_ms: null }
  }
}

function withPatience(running: Promise<DependencyState>): Promise<DependencyState> {
  const { promise, resolve } = Promise.withResolvers<DependencyState>()
  const timer = setTimeout(() => resolve({ state: 'down', latency_ms: null }), patience)
  running.then(state => {
    clearTimeout(timer)
    resolve(state)
  })
  return promise
}
