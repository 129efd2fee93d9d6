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

/** Slips that are counted: words further apart are simply different. */
const most = 2

/**
 * Letters left out, added, mistaken or swapped with their neighbour (optimal string alignment distance),
 * counted no further than 3. Takes time linear in the words: of each row only the places next to the diagonal
 * can still matter, and where none of them can, it stops.
 */
export function slipsBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let beforeLast: number[] = []
  let last = [most + 1, most + 1, 0, 1, 2]
  for (let i = 1; i <= a.length; i++) {
    const row: number[] = []
    let least = most + 1
    for (let place = 0; place <= 2 * most; place++) {
      const j = i + place - most
      let cost = j === 0 ? i : most + 1
      if (j > 0 && j <= b.length) {
        const same = a[i - 1] === b[j - 1] ? 0 : 1
        cost = Math.min(at(last, place + 1) + 1, at(row, place - 1) + 1, at(last, place) + same)
        const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
        if (swapped) cost = Math.min(cost, at(beforeLast, place) + 1)
      }
      row.push(cost)
      least = Math.min(least, cost)
    }
    if (least > most) return most + 1
    beforeLast = last
    last = row
  }
  return Math.min(most + 1, at(last, b.length - a.length + most))
}

/** Of a row only the places by the diagonal are kept; what is further away has too many slips already. */
const at = (row: number[], place: number): number => row[place] ?? most + 1
