/**
 * The candidate that `word` was probably meant to be: the one with the fewest slips, if those are few for its
 * length (none are forgiven in words of up to 3 letters, one up to 7, two in longer ones).
 * @returns undefined where nothing is near, and where `word` itself is a candidate
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    const slips = slipsBetween(word, candidate)
    if (slips === 0) return undefined
    if (slips <= forgiven(candidate) && slips < least) {
      best = candidate
      least = slips
    }
  }
  return best
}

const forgiven = (word: string): number => (word.length <= 3 ? 0 : word.length <= 7 ? 1 : 2)

/**
 * Letters left out, added, mistaken or swapped with their neighbour (optimal string alignment distance),
 * counted no further than 3.
 */
export function slipsBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + same)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) cost = Math.min(cost, at(beforeLast, j - 2) + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return Math.min(3, at(last, b.length))
}

const at = (row: number[], index: number): number => row[index] ?? 3
