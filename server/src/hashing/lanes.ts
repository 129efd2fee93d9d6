/** Two queues in one: known callers go first, but every eighth turn is a stranger's, so that nobody waits for ever. */
export type Lanes<T> = {
  push(item: T, isKnown: boolean): void
  shift(): T | undefined
  /** Empties both. */
  clear(): T[]
  readonly length: number
}

const strangersTurn = 8

export function createLanes<T>(): Lanes<T> {
  const known: T[] = []
  const strangers: T[] = []
  let turn = 0
  return {
    push: (item, isKnown) => void (isKnown ? known : strangers).push(item),
    shift() {
      turn = (turn + 1) % strangersTurn
      const [first, second] = turn === 0 ? [strangers, known] : [known, strangers]
      return first.shift() ?? second.shift()
    },
    clear: () => [...known.splice(0), ...strangers.splice(0)],
    get length() {
      return known.length + strangers.length
    },
  }
}
