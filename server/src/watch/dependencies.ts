import type { Logger } from 'pino'
import { Counter, Gauge, type Registry } from 'prom-client'
import { reasonInWords } from '../lib/reason.ts'

/** What this process knows of one thing that it stands on. */
export type Dependency = {
  isUp(): boolean
  /** It answered. */
  up(): void
  /** It did not, and why. */
  down(reason: unknown): void
}

export type Dependencies = {
  /** @param name for logs and metrics: `rabbitmq`; `title`: for people */
  of(name: string, title: string): Dependency
}

/**
 * Says once in the log when a dependency goes away, with the reason, and once when it is back; counts what fails
 * meanwhile. Whoever meets a dependency tells what came of it: there is no other line about it.
 */
export function createDependencies({ log, registry }: { log: Logger; registry: Registry }): Dependencies {
  const known = new Map<string, Dependency>()
  const failures = new Counter({
    name: 'dependency_failures_total',
    help: 'How often a dependency did not answer, or refused.',
    labelNames: ['dependency'],
    registers: [registry],
  })
  new Gauge({
    name: 'dependency_up',
    help: 'Whether a dependency answered when it was last asked (1) or not (0).',
    labelNames: ['dependency'],
    registers: [registry],
    // Of several processes behind one port, the worst.
    aggregator: 'min',
    collect() {
      for (const [dependency, { isUp }] of known) this.set({ dependency }, isUp() ? 1 : 0)
    },
  })

  function create(dependency: string, title: string): Dependency {
    let downSince: number | undefined
    let failed = 0
    return {
      isUp: () => downSince === undefined,
      up() {
        if (downSince === undefined) return
        const seconds = Math.round((performance.now() - downSince) / 1000)
        downSince = undefined
        log.info({ dependency, seconds, failed }, `${title} answers again, after ${seconds} s`)
        failed = 0
      },
      down(reason) {
        failures.inc({ dependency })
        failed += 1
        if (downSince !== undefined) return
        downSince = performance.now()
        log.error({ dependency }, `${title} does not answer: ${reasonInWords(reason)}`)
      },
    }
  }

  return {
    of(name, title) {
      const dependency = known.get(name) ?? create(name, title)
      known.set(name, dependency)
      return dependency
    },
  }
}
