/** Lets a number of callers in at a time under each key; the others wait in line. */
export type Turnstile = {
  /** @returns what the caller calls on leaving; undefined where nobody left in time */
  enter(key: string): Promise<(() => void) | undefined>
}

/**
 * Keeps attempts at one account from asking the database again and again for a slot that another one of this
 * very process holds. What may be judged is decided there; this only spares it the questions.
 * @param patience milliseconds that somebody waits in line
 */
export function createTurnstile(places: number, patience: number): Turnstile {
  const lines = new Map<string, Line>()
  return {
    async enter(key) {
      const line = lines.get(key) ?? { inside: 0, waiting: [] }
      lines.set(key, line)
      if (line.inside < places) line.inside += 1
      else if (!(await isLetIn(line, patience))) return undefined
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

type Line = { inside: number; waiting: (() => void)[] }

function isLetIn({ waiting }: Line, patience: number): Promise<boolean> {
  return new Promise(resolve => {
    const timer = setTimeout(() => {
      waiting.splice(waiting.indexOf(letIn), 1)
      resolve(false)
    }, patience)
    function letIn() {
      clearTimeout(timer)
      resolve(true)
    }
    waiting.push(letIn)
  })
}
