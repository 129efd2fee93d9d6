import { Counter, type Registry } from 'prom-client'

/** Counts how changes of an e-mail address go. */
export type ContactCounter = (outcome: 'initiated' | 'completed' | 'failed' | 'undone') => void

export function createEmailChangeCounter(registry: Registry): ContactCounter {
  const counter = new Counter({
    name: 'email_changes_total',
    help: 'Changes of an e-mail address: initiated, completed, failed for a wrong code, undone.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  return outcome => counter.inc({ outcome })
}
