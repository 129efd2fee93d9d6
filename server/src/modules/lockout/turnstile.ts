/** Lets a number of callers in at a time under each key; the others wait in line. */
export type Turnstile = {
  /** @returns what the caller calls once, on leaving */
  enter(key: string): Promise<() => void>
}

/**
 * Keeps attempts at one account from asking the database again and again for a slot that another one of this
 * very process holds. What may be judged is decided there; this only spares it the questions.
 */
export function createTurnstile(places: number): Turnstile {
  const lines = new Map<string, { inside: number; waiting: (() => void)[] }>()
  return {
    async enter(key) {
      const line = lines.get(key) ?? { inside: 0, waiting: [] }
      lines.set(key, line)
      if (line.inside < places) line.inside += 1
      else await new Promise<void>(resolve => line.waiting.push(resolve))
      let left = false
      return function leave() {
        if (left) return
        left = true
        const next = line.waiting.shift()
        if (next) return next()
        line.inside -= 1
        if (line.inside === 0) lines.delete(key)
      }
    },
  }
}
