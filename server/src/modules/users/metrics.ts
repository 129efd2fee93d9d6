import { Counter, type Registry } from 'prom-client'

/** Counts how changes of a username go. */
export type UsernameCounter = (outcome: 'changed' | 'cooldown' | 'taken') => void

export function createUsernameCounter(registry: Registry): UsernameCounter {
  const counter = new Counter({
    name: 'username_changes_total',
    help: 'Changes of a username: done, refused for the 15 days, refused for a taken name.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  return outcome => counter.inc({ outcome })
}
