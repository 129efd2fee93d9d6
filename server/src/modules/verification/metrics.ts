import { Counter, type Registry } from 'prom-client'

/** Counts what happens to one-time codes: sent, wrongly guessed at, or held back by a quota or cool-down. */
export type CodeCounter = (result: 'sent' | 'failed' | 'limited', purpose: string) => void

export function createCodeCounter(registry: Registry): CodeCounter {
  const counter = new Counter({
    name: 'otp_total',
    help: 'One-time codes sent, wrong codes given, and codes refused by a quota or cool-down, by purpose.',
    labelNames: ['result', 'purpose'],
    registers: [registry],
  })
  return (result, purpose) => counter.inc({ result, purpose })
}
